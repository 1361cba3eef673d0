"""Rotating real logs while they are written, with nothing lost and nothing outside touched."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gzip
import os
import stat
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sidecar.clock import SystemClock
from sidecar.edges.heals import rotate
from sidecar.errors import Permanent, Temporary
from sidecar.model.heal import RotateHeal
from tests.box import eventually
from tests.heals.bench import call, door


def rule(folder: Path, *match: str, **more: Any) -> RotateHeal:
    return RotateHeal(str(folder), match or ("*.log",), more.pop("larger", 1000), **more)


async def does(heal: RotateHeal, folder: Path) -> str:
    return await door(folder).heal(call(heal))


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def test_the_content_of_a_large_file_moves_on(logs: Path, tmp_path: Path) -> None:
    (logs / "a.log").write_text("one\n" * 5000)
    (logs / "a.log").chmod(0o640)
    (logs / "small.log").write_text("x")
    (logs / "a.txt").write_text("x" * 5000)
    assert await door(tmp_path).foresee(rule(logs)) == "1 file: a.log"
    said = await does(rule(logs), tmp_path)
    assert said.startswith(f"rotated 1 file in {logs} (")
    assert names(logs) == ["a.log", "a.log.1.gz", "a.txt", "small.log"]
    assert gzip.decompress((logs / "a.log.1.gz").read_bytes()) == b"one\n" * 5000
    assert (logs / "a.log").read_bytes() == b""
    assert (logs / "a.log.1.gz").stat().st_mode & 0o777 == 0o640
    assert await does(rule(logs), tmp_path) == f"rotated 0 files in {logs}"


async def test_so_many_of_the_old_ones_are_kept(logs: Path, tmp_path: Path) -> None:
    for number in range(5):
        (logs / "a.log").write_text(f"{number}\n" * 1000)
        await does(rule(logs, keep=3), tmp_path)
    assert names(logs) == ["a.log", "a.log.1.gz", "a.log.2.gz", "a.log.3.gz"]
    first = [gzip.decompress((logs / f"a.log.{n}.gz").read_bytes())[:1] for n in (1, 2, 3)]
    assert first == [b"4", b"3", b"2"]


async def test_a_gap_that_a_cut_off_run_has_left_costs_no_old_one(logs: Path, tmp_path: Path) -> None:
    (logs / "a.log").write_text("new\n" * 1000)
    for number in (1, 3):
        (logs / f"a.log.{number}.gz").write_bytes(gzip.compress(b"%d" % number))
    (logs / ".a.log.1.gz.rotating").write_text("half of it")
    await does(rule(logs, "*.log", ".*", keep=3), tmp_path)
    assert names(logs) == ["a.log", "a.log.1.gz", "a.log.2.gz", "a.log.3.gz"]
    assert gzip.decompress((logs / "a.log.2.gz").read_bytes()) == b"1"
    assert gzip.decompress((logs / "a.log.3.gz").read_bytes()) == b"3"


WRITES = """
import sys
with open(sys.argv[1], sys.argv[2]) as file:
    for number in range(int(sys.argv[3])):
        file.write(f"line {number}\\n")
        file.flush()
    sys.stdin.read()
"""


@contextmanager
def writing(path: Path, mode: str) -> Iterator[None]:
    """A program that has written 300 lines, and has the file open for more."""
    program = subprocess.Popen(
        [sys.executable, "-c", WRITES, str(path), mode, "300"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        eventually(lambda: path.exists() and path.read_bytes().endswith(b"line 299\n"))
        yield
    finally:
        program.communicate(timeout=60)


async def test_a_program_goes_on_writing_into_the_same_file(logs: Path, tmp_path: Path) -> None:
    file = logs / "a.log"
    with writing(file, "a"):
        await does(rule(logs), tmp_path)
    assert gzip.decompress((logs / "a.log.1.gz").read_bytes()).count(b"\n") == 300
    assert file.read_bytes() == b""


async def test_what_is_written_while_it_is_packed_comes_along(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = logs / "a.log"
    file.write_text("before\n" * 1000)
    place = rotate._Pack.put_in_place

    def late(pack: rotate._Pack) -> None:
        place(pack)
        with file.open("a") as written:
            written.write("late\n")

    monkeypatch.setattr(rotate._Pack, "put_in_place", late)
    await does(rule(logs), tmp_path)
    assert gzip.decompress((logs / "a.log.1.gz").read_bytes()) == b"before\n" * 1000 + b"late\n"
    assert file.read_bytes() == b""


async def test_whoever_does_not_append_keeps_its_file(logs: Path, tmp_path: Path) -> None:
    """It would go on at its own place, behind a hole as large as what was there."""
    file = logs / "a.log"
    with writing(file, "w"):
        with pytest.raises(Permanent, match="does not append, and would leave a hole"):
            await does(rule(logs), tmp_path)
        assert names(logs) == ["a.log"]
        assert "rotated 1 file" in await does(rule(logs, truncate=False), tmp_path)
        assert names(logs) == ["a.log.1"]


async def test_one_that_is_renamed_is_compressed_once_nobody_writes_it(logs: Path, tmp_path: Path) -> None:
    (logs / "a.log").write_text("one\n" * 1000)
    with (logs / "a.log").open("a"):
        assert "rotated 1 file" in await does(rule(logs, truncate=False), tmp_path)
        assert names(logs) == ["a.log.1"]
    (logs / "a.log").write_text("two\n" * 1000)
    await does(rule(logs, truncate=False), tmp_path)
    assert names(logs) == ["a.log.1.gz", "a.log.2.gz"]
    assert gzip.decompress((logs / "a.log.2.gz").read_bytes()) == b"one\n" * 1000


async def test_one_that_is_written_again_while_it_is_compressed_stays(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (logs / "a.log").write_text("new\n" * 1000)
    old = logs / "a.log.1"
    old.write_text("old\n" * 1000)
    replace = rotate._Log._replace

    def late(log: rotate._Log, name: str, *facts: Any) -> None:
        with (logs / name).open("a") as written:
            written.write("late\n")
        replace(log, name, *facts)

    monkeypatch.setattr(rotate._Log, "_replace", late)
    await does(rule(logs), tmp_path)
    assert names(logs) == ["a.log", "a.log.1.gz", "a.log.2"]
    assert (logs / "a.log.2").read_text() == "old\n" * 1000 + "late\n"


async def test_what_may_be_reached_from_elsewhere_stays(logs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x" * 5000)
    os.link(outside, logs / "hard.log")
    (logs / "soft.log").symlink_to(outside)
    (logs / "folder.log").mkdir()
    os.mkfifo(logs / "fifo.log")
    with pytest.raises(Permanent, match=r"hard\.log \(it has another name"):
        await does(rule(logs), tmp_path)
    assert outside.read_text() == "x" * 5000
    assert names(logs) == ["fifo.log", "folder.log", "hard.log", "soft.log"]


async def test_links_in_the_place_of_old_ones_lead_nowhere(logs: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x")
    (logs / "a.log").write_text("one\n" * 1000)
    for name in ("a.log.1.gz", "a.log.2", ".a.log.1.gz.rotating"):
        (logs / name).symlink_to(outside)
    await does(rule(logs, keep=2), tmp_path)
    assert outside.read_text() == "x"
    assert gzip.decompress((logs / "a.log.1.gz").read_bytes()) == b"one\n" * 1000
    assert (logs / "a.log.1.gz").is_file()
    assert not (logs / "a.log.1.gz").is_symlink()


async def test_a_file_swapped_for_a_link_is_not_written_through(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("x" * 5000)
    (logs / "a.log").write_text("one\n" * 1000)
    large = rotate._large

    def then_swap(*facts: Any) -> list[str]:
        found = large(*facts)
        (logs / "a.log").unlink()
        (logs / "a.log").symlink_to(outside)
        return found

    monkeypatch.setattr(rotate, "_large", then_swap)
    with pytest.raises(Permanent, match="Too many levels of symbolic links"):
        await does(rule(logs), tmp_path)
    assert outside.read_text() == "x" * 5000


async def test_a_disk_without_room_loses_nothing(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (logs / "a.log").write_text("one\n" * 1000)
    (logs / "a.log.1.gz").write_bytes(b"old")

    def full(descriptor: int, raw: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(rotate, "_write", full)
    with pytest.raises(Permanent, match=r"a\.log \(No space left on device\)"):
        await does(rule(logs), tmp_path)
    assert (logs / "a.log").read_text() == "one\n" * 1000
    assert names(logs) == ["a.log", "a.log.1.gz"]


async def test_whoever_does_not_wait_any_more(logs: Path, tmp_path: Path) -> None:
    (logs / "a.log").write_text("one\n" * 1000)
    unwanted = threading.Event()
    unwanted.set()
    with pytest.raises(Permanent, match="no time was left"):
        rotate._rotate(rule(logs), tmp_path / "state", SystemClock(), unwanted)
    with (logs / "a.log").open() as source, pytest.raises(OSError, match="Operation canceled"):
        rotate._Pack(source.fileno(), -1, lambda: None, unwanted).add()
    assert names(logs) == ["a.log"]


async def test_one_that_goes_while_it_is_looked_at_stops_no_other(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (logs / "a.log").write_text("one\n" * 5000)
    (logs / "b.log").write_text("one\n" * 5000)

    def matches(name: str, _: object) -> bool:
        if name == "a.log":
            (logs / name).unlink()
        return name.endswith(".log")

    monkeypatch.setattr(rotate, "matches", matches)
    assert "rotated 1 file" in await does(rule(logs), tmp_path)
    assert names(logs) == ["b.log", "b.log.1.gz"]


async def test_a_disk_with_a_fault_is_told_as_such(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> list[str]:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(rotate, "_large", fail)
    with pytest.raises(Temporary, match="Input/output error"):
        await does(rule(logs), tmp_path)


async def test_only_so_many_in_one_go(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rotate, "MOST", 1)
    for name in ("a.log", "b.log"):
        (logs / name).write_text("one\n" * 1000)
    assert (await does(rule(logs), tmp_path)).endswith("left as they are: b.log (no time was left for it)")
    assert "rotated 1 file" in await does(rule(logs), tmp_path)


@pytest.mark.parametrize(
    ("name", "rotated"),
    [
        ("a.log", False), ("a.log.1", True), ("a.log.12.gz", True), (".a.log.1.gz.rotating", True),
        ("a.1.log", False), ("a.gz", False), ("1", False), ("a.log.1.gz.x", False),
    ],
)  # fmt: skip
def test_what_is_not_rotated_again(name: str, rotated: bool) -> None:
    assert rotate._is_rotated(name) is rotated


async def test_the_same_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="a folder of the system"):
        await does(rule(Path("/var")), tmp_path)


NAMES = st.sampled_from(["a.log", "a.log.1", "a.log.1.gz", "a.log.2", "a.log.3.gz", "b.log", ".c.log", "a"])
KINDS = st.sampled_from(["large", "small", "link", "hard link", "fifo", "folder"])


@settings(max_examples=25)
@given(
    tree=st.dictionaries(NAMES, KINDS, min_size=1, max_size=5),
    truncate=st.booleans(),
    times=st.integers(1, 2),
)
def test_nothing_is_lost_and_nothing_outside_is_touched(
    tree: dict[str, str], truncate: bool, times: int
) -> None:
    with tempfile.TemporaryDirectory() as place:
        logs, outside = Path(place, "logs"), Path(place, "outside")
        logs.mkdir()
        outside.write_text("outside" * 1000)
        for name, kind in tree.items():
            grow(logs / name, kind, outside)
        before = contents(logs)
        for _ in range(times):
            with contextlib.suppress(Permanent):
                asyncio.run(does(rule(logs, "*", ".*", keep=9, truncate=truncate), Path(place)))
        assert outside.read_text() == "outside" * 1000
        assert contents(logs) == before
        assert not list(logs.glob(".*rotating"))


def grow(path: Path, kind: str, outside: Path) -> None:
    match kind:
        case "link":
            path.symlink_to(outside)
        case "hard link":
            os.link(outside, path)
        case "fifo":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case _:
            text = (path.name + "\n").encode() * (1000 if kind == "large" else 1)
            path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def contents(folder: Path) -> Counter[bytes]:
    """All lines of all files of one name, whether they are compressed or not."""
    found: Counter[bytes] = Counter()
    for path in folder.iterdir():
        if stat.S_ISREG((facts := path.lstat()).st_mode) and facts.st_nlink == 1:
            raw = path.read_bytes()
            found.update((gzip.decompress(raw) if path.suffix == ".gz" else raw).splitlines())
    return found
