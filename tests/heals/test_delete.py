"""Deleting old files on real disks, beside people who swap folders for links, and nothing outside."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import stat
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from sidecar.clock import SystemClock
from sidecar.edges.heals import aside, delete, ground, writing
from sidecar.errors import Permanent, Temporary
from sidecar.model.heal import DeleteHeal
from sidecar.model.heal_folders import forbidden, plain
from sidecar.model.heal_globs import matches
from tests.heals.bench import call, door

LONG_AGO = 1_000_000_000
HOUR = 3600.0


def put(path: Path, content: str = "x", *, old: bool = True) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    if old:
        os.utime(path, (LONG_AGO, LONG_AGO))
    return path


def rule(folder: Path, *match: str, **more: Any) -> DeleteHeal:
    return DeleteHeal(str(folder), match or ("*.log",), more.pop("older", HOUR), **more)


async def does(heal: DeleteHeal, folder: Path) -> str:
    return await door(folder).heal(call(heal))


async def test_old_files_that_match_go_and_all_else_stays(logs: Path, tmp_path: Path) -> None:
    put(logs / "a.log", "x" * 10_000)
    stay = [
        put(logs / "fresh.log", old=False),
        put(logs / "a.txt"),
        put(logs / ".hidden.log"),
        put(logs / "below" / "b.log"),
        put(tmp_path / "beside.log"),
    ]
    assert await door(tmp_path).foresee(rule(logs)) == "1 file of 12.29kB: a.log"
    assert await does(rule(logs), tmp_path) == f"deleted 1 file in {logs} (12.29kB freed)"
    assert not (logs / "a.log").exists()
    assert all(file.exists() for file in stay)
    assert (await does(rule(logs), tmp_path)).startswith("deleted 0 files")


async def test_folders_within_are_gone_through_where_that_is_wanted(logs: Path, tmp_path: Path) -> None:
    deep = put(logs / "a" / "b" / "c.log")
    put(logs / "a" / "d.log")
    heal = rule(logs, deep=True)
    assert await door(tmp_path).foresee(heal) == "2 files of 8.192kB: a/d.log, a/b/c.log"
    assert "deleted 2 files" in await does(heal, tmp_path)
    assert deep.parent.is_dir()


@pytest.mark.parametrize("keep", [0, 1, 3, 9])
async def test_the_newest_stay(keep: int, logs: Path, tmp_path: Path) -> None:
    for number in range(6):
        os.utime(put(logs / f"{number}.log"), (LONG_AGO + number, LONG_AGO + number))
    await does(rule(logs, keep=keep), tmp_path)
    assert sorted(p.name for p in logs.iterdir()) == [f"{n}.log" for n in range(max(6 - keep, 0), 6)]


async def test_only_so_many_in_one_go(logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delete, "MOST", 4)
    for number in range(6):
        put(logs / f"{number}.log")
    assert (await does(rule(logs), tmp_path)).endswith("; there may be more, for the next time")
    assert len(list(logs.iterdir())) == 2
    assert "for the next time" not in await does(rule(logs), tmp_path)


async def test_a_file_that_is_being_written_stays(logs: Path, tmp_path: Path) -> None:
    put(logs / "done.log")
    with put(logs / "open.log").open("a"), put(logs / "read.log").open():
        assert "deleted 2 files" in (said := await does(rule(logs), tmp_path))
        assert said.endswith("1 file being written stayed")
        assert [p.name for p in logs.iterdir()] == ["open.log"]
    assert "deleted 1 file" in await does(rule(logs), tmp_path)


async def test_the_same_where_there_are_no_leases(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing, "_lease", lambda descriptor: None)
    put(logs / "done.log")
    with put(logs / "open.log").open("r+"), put(logs / "read.log").open():
        assert "deleted 2 files" in await does(rule(logs), tmp_path)
    assert [p.name for p in logs.iterdir()] == ["open.log"]


async def test_whoever_begins_to_write_meanwhile_does_so_afterwards_and_we_live_on(logs: Path) -> None:
    """The kernel tells the holder of a lease by a signal, which must not end us."""
    file = put(logs / "a.log")
    facts = file.stat()
    descriptor = os.open(logs, os.O_RDONLY)
    opened = threading.Event()

    def write() -> None:
        with file.open("a"):
            opened.set()

    writer = threading.Thread(target=write)
    with writing.Writing().held_off(descriptor, "a.log", facts) as unwritten:
        assert unwritten
        writer.start()
        assert not opened.wait(0.2)
    assert opened.wait(10)
    writer.join()
    os.close(descriptor)


async def test_a_name_that_was_given_to_another_file_meanwhile(logs: Path) -> None:
    facts = put(logs / "a.log").stat()
    put(logs / "b.log").rename(logs / "a.log")
    descriptor = os.open(logs, os.O_RDONLY)
    with writing.Writing().held_off(descriptor, "a.log", facts) as unwritten:
        assert not unwritten
    os.close(descriptor)


async def test_only_regular_files_go_and_no_link_is_followed(logs: Path, tmp_path: Path) -> None:
    target = put(tmp_path / "outside" / "target.log")
    (logs / "link.log").symlink_to(target)
    (logs / "folder.log").mkdir()
    (logs / "away").symlink_to(tmp_path / "outside")
    os.mkfifo(logs / "fifo.log")
    for each in ("link.log", "fifo.log", "folder.log"):
        os.utime(logs / each, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    assert "deleted 0 files" in await does(rule(logs, deep=True), tmp_path)
    assert target.exists()
    assert {p.name for p in logs.iterdir()} == {"link.log", "folder.log", "away", "fifo.log"}


async def test_another_name_of_a_file_frees_nothing(logs: Path, tmp_path: Path) -> None:
    kept = put(tmp_path / "kept")
    os.link(kept, logs / "a.log")
    assert "deleted 1 file" in (said := await does(rule(logs), tmp_path))
    assert "(0B freed)" in said
    assert kept.read_text() == "x"


async def test_a_folder_that_is_not_one_to_delete_in(logs: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(logs)
    put(tmp_path / "file")
    (tmp_path / "state" / "inner").mkdir(parents=True)
    for folder, words in [
        (tmp_path / "link", "link on the way to it is a symbolic link"),
        (tmp_path / "link" / "x", "link on the way to it is a symbolic link"),
        (tmp_path / "file", "file: Not a directory"),
        (tmp_path / "none", "none: No such file"),
        (tmp_path / "state", "belongs to the sidecar itself"),
        (tmp_path / "state" / "inner", "belongs to the sidecar itself"),
        (Path("/"), "a folder of the system"),
        (Path("/proc/self/fd"), "a folder of the system"),
        (Path("/etc"), "a folder of the system"),
        (Path("/home/../etc"), "has .. in it"),
        (Path("/root"), "a folder of the system"),
    ]:
        with pytest.raises(Permanent, match=words) as caught:
            await does(rule(folder), tmp_path)
        assert caught.value.hint


async def test_a_home_is_not_one_to_delete_in(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = put(logs / "user" / "logs" / "a.log")
    home = type("Entry", (), {"pw_dir": f"{logs}/user/"})
    monkeypatch.setattr(ground.pwd, "getpwall", lambda: [home])
    for heal, words in [
        (rule(logs / "user"), "is somebody's home"),
        (rule(logs, deep=True), f"and lies in {logs}"),
    ]:
        with pytest.raises(Permanent, match=words):
            await does(heal, tmp_path)
    assert "deleted 0 files" in await does(rule(logs), tmp_path)
    assert "deleted 1 file" in await does(rule(logs / "user" / "logs"), tmp_path)
    assert not old.exists()


@pytest.mark.parametrize(
    ("folder", "deep", "why"),
    [
        ("/", False, "of the system"),
        ("/usr/local", False, "of the system"),
        ("/usr/share/doc", False, "nothing is old enough"),
        ("/usr/local/app/logs", False, ""),
        ("/etcetera", False, ""),
        ("//etc//.", False, "nothing is old enough"),
        ("//", False, "of the system"),
        ("/srv/../etc", False, "has .. in it"),
        ("/var/log", False, ""),
        ("/var", False, "of the system"),
        ("/tmp", False, "of the system"),
        ("/tmp/mine", False, ""),
        ("/home/a", False, "somebody's home"),
        ("/home/a/logs", True, ""),
        ("/home/ab", False, ""),
        ("/data", False, ""),
        ("/data", True, "/data/b is somebody's home, and lies in /data"),
    ],
)
def test_names_of_folders(folder: str, deep: bool, why: str) -> None:
    found = forbidden(plain(folder), {"/home/a", "/data/b", ""}, deep=deep)
    assert why in found
    assert bool(why) is bool(found)


@pytest.mark.parametrize(
    ("name", "globs", "hit"),
    [
        ("a.log", ["*.log"], True),
        ("a.LOG", ["*.log"], False),
        (".a.log", ["*.log"], False),
        (".a.log", [".*.log"], True),
        ("a\n.log", ["a*.log"], True),
        ("a.log.1", ["*.log"], False),
        ("a.log.1", ["*.log", "*.[0-9]"], True),
        ("\udcff.log", ["?.log"], True),
    ],
)
def test_names_of_files(name: str, globs: list[str], hit: bool) -> None:
    assert matches(name, globs) is hit


async def test_our_own_folder_below_it_is_not_entered(logs: Path) -> None:
    mine, other = put(logs / "state" / "a.log"), put(logs / "other" / "b.log")
    assert "deleted 1 file" in await does(rule(logs, deep=True), logs)
    assert mine.exists()
    assert not other.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount")
async def test_another_mount_below_it_is_not_entered(logs: Path, tmp_path: Path) -> None:
    """Also one of the same file system, which has the same device number."""
    elsewhere = put(tmp_path / "elsewhere" / "a.log")
    with mounted("--bind", elsewhere.parent, logs / "bound"), mounted("tmpfs", None, logs / "small"):
        small = put(logs / "small" / "b.log")
        assert "deleted 0 files" in await does(rule(logs, deep=True), tmp_path)
        assert elsewhere.exists()
        assert "deleted 1 file" in await does(rule(logs / "small"), tmp_path)
        assert not small.exists()


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to mount")
async def test_a_file_system_that_has_no_files(logs: Path, tmp_path: Path) -> None:
    with mounted("proc", None, logs / "other"):
        with pytest.raises(Permanent, match=r"no folder of files \(proc\)"):
            await does(rule(logs / "other"), tmp_path)
        with pytest.raises(Permanent, match=r"no folder of files \(proc\)"):
            await does(rule(logs / "other" / "sys" / "kernel"), tmp_path)


@contextmanager
def mounted(kind: str, source: Path | None, target: Path) -> Iterator[None]:
    target.mkdir()
    how = ["--bind", str(source)] if source else ["-t", kind, kind]
    subprocess.run(["mount", *how, str(target)], check=True, timeout=20)
    try:
        yield
    finally:
        subprocess.run(["umount", str(target)], check=True, timeout=20)


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to make a file that root cannot delete")
async def test_what_cannot_be_deleted_is_told(logs: Path, tmp_path: Path) -> None:
    stuck = put(logs / "stuck.log")
    if subprocess.run(["chattr", "+i", str(stuck)], check=False, capture_output=True).returncode:
        pytest.skip("no attributes on this file system")
    try:
        with pytest.raises(Permanent, match=r"could be deleted: stuck.log \(Operation not permitted\)"):
            await does(rule(logs), tmp_path)
        put(logs / "loose.log")
        said = await does(rule(logs), tmp_path)
        assert said.endswith("1 could not be deleted: stuck.log (Operation not permitted)")
    finally:
        subprocess.run(["chattr", "-i", str(stuck)], check=True)


async def test_whoever_does_not_wait_any_more_has_nothing_more_deleted(logs: Path, tmp_path: Path) -> None:
    old = put(logs / "a.log")
    unwanted = threading.Event()
    unwanted.set()
    said = delete._delete(rule(logs), tmp_path / "state", SystemClock(), unwanted)
    assert said.startswith("deleted 0 files")
    assert old.exists()


@pytest.mark.parametrize("limit", ["_LOOKING", "_SECONDS"])
async def test_when_the_time_is_over_the_rest_is_for_the_next_one(
    limit: str, logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = put(logs / "a.log")
    monkeypatch.setattr(delete, limit, -1.0)
    said = await does(rule(logs), tmp_path)
    assert said.startswith("deleted 0 files")
    assert said.endswith("for the next time") is (limit == "_SECONDS")
    assert old.exists()


async def test_a_disk_that_does_not_answer_holds_up_nobody() -> None:
    never, seen = threading.Event(), threading.Event()

    def hang(unwanted: threading.Event) -> None:
        unwanted.wait(20)
        seen.set()
        never.wait(20)

    with pytest.raises(Temporary, match=r"the work did not end within 0\.05 s"):
        await aside.aside("the work", hang, 0.05)
    assert await asyncio.to_thread(seen.wait, 20)
    never.set()


class Swapper:
    """Puts a link in the place of a folder and back, as fast as it can."""

    def __init__(self, folder: Path, target: Path) -> None:
        self.folder, self.aside = folder, folder.with_name("aside")
        self.link = folder.with_name("link")
        self.link.symlink_to(target)
        self.swaps = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._over.is_set():
            self.folder.rename(self.aside)
            self.link.rename(self.folder)
            self.folder.rename(self.link)
            self.aside.rename(self.folder)
            self.swaps += 1

    def __enter__(self) -> Swapper:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


@pytest.mark.parametrize("where", ["itself", "below"])
async def test_a_folder_that_is_swapped_for_a_link_meanwhile(where: str, logs: Path, tmp_path: Path) -> None:
    victims = [put(tmp_path / "victim" / f"{number}.log") for number in range(20)]
    inner = logs / "inner"
    inner.mkdir()
    heal = rule(inner) if where == "itself" else rule(logs, deep=True)
    with Swapper(inner, victims[0].parent) as swapper:
        for _ in range(60):
            for number in range(5):
                put_if_there(inner / f"{number}.log")
            # It may just be a link, or not there.
            with contextlib.suppress(Permanent):
                await does(heal, tmp_path)
    assert swapper.swaps
    assert all(victim.exists() for victim in victims)


def put_if_there(path: Path) -> None:
    """Only in a real folder: the test itself must not write where the link leads."""
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY)
    except OSError:
        return
    try:
        os.close(os.open(path.name, os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=folder))
        os.utime(path.name, (LONG_AGO, LONG_AGO), dir_fd=folder)
    finally:
        os.close(folder)


async def test_a_folder_that_was_swapped_between_looking_and_deleting(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(logs / "inner" / "a.log")
    victim = put(tmp_path / "victim" / "a.log")
    gathered = delete._gathered

    def then_swap(*facts: Any) -> list[delete.Old]:
        found = gathered(*facts)
        (logs / "inner").rename(logs / "away")
        (logs / "inner").symlink_to(victim.parent)
        return found

    monkeypatch.setattr(delete, "_gathered", then_swap)
    assert "deleted 0 files" in await does(rule(logs, deep=True), tmp_path)
    assert victim.exists()
    assert (logs / "away" / "a.log").exists()


async def test_a_file_that_was_swapped_or_written_between_looking_and_deleting(
    logs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("gone", "link", "other", "written", "really"):
        put(logs / f"{name}.log")
    victim = put(tmp_path / "victim.log")
    gathered = delete._gathered

    def then_swap(*facts: Any) -> list[delete.Old]:
        found = gathered(*facts)
        for name in ("gone", "link", "other"):
            (logs / f"{name}.log").unlink()
        (logs / "link.log").symlink_to(victim)
        os.utime(put(logs / "other.log"), (LONG_AGO - 1, LONG_AGO - 1))
        put(logs / "written.log", "more", old=False)
        return found

    monkeypatch.setattr(delete, "_gathered", then_swap)
    assert "deleted 1 file" in await does(rule(logs), tmp_path)
    assert victim.exists()
    assert {p.name for p in logs.iterdir()} == {"link.log", "other.log", "written.log"}


WORDS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8).map(os.fsencode)
NAMES = (
    st.one_of(WORDS, st.binary(min_size=1, max_size=20))
    .filter(lambda name: not {b"/"[0], 0} & set(name) and name not in (b".", b".."))
    .map(os.fsdecode)
)
KINDS = st.sampled_from(["file", "fresh", "fifo", "link", "folder link", "hard link", "empty"])
TREES = KINDS | st.dictionaries(NAMES, KINDS | st.dictionaries(NAMES, KINDS, max_size=3), max_size=4)


@settings(max_examples=50)
@given(tree=st.dictionaries(NAMES, TREES, min_size=1, max_size=5), deep=st.booleans(), keep=st.integers(0, 3))
def test_nothing_but_old_files_within_ever_goes(tree: dict[str, Any], deep: bool, keep: int) -> None:
    with tempfile.TemporaryDirectory() as place:
        top = Path(place)
        outside = top / "outside"
        put(outside / "a.log")
        put(outside / "below" / "b")
        logs = top / "logs"
        grow(logs, tree, outside)
        before, kept = seen(outside), seen(logs)
        asyncio.run(does(rule(logs, "*", ".*", deep=deep, keep=keep), top))
        assert seen(outside) == before
        now = seen(logs)
        lost = kept.keys() - now.keys()
        assert all(kept[each][0] == stat.S_IFREG and kept[each][1] == LONG_AGO for each in lost)
        assert deep or all("/" not in each for each in lost)
        assert {each: now[each] for each in now} == {each: kept[each] for each in now}
        ages = [written for kind, written, _ in kept.values() if kind == stat.S_IFREG]
        old = ages.count(LONG_AGO)
        if deep:
            assert len(lost) == max(old - max(keep - (len(ages) - old), 0), 0)


def grow(folder: Path, tree: dict[str, Any], outside: Path) -> None:
    folder.mkdir()
    for name, what in tree.items():
        path = folder / name
        match what:
            case dict():
                grow(path, what, outside)
            case "fifo":
                os.mkfifo(path)
            case "link":
                path.symlink_to(outside / "a.log")
            case "folder link":
                path.symlink_to(outside)
            case "hard link":
                os.link(outside / "a.log", path)
            case _:
                put(path, "" if what == "empty" else "x", old=what != "fresh")


def seen(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """Everything in a folder: its kind, when it was written, and what is in it."""
    found: dict[str, tuple[int, int, bytes]] = {}
    for here, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = Path(here, name)
            facts = path.lstat()
            kind = stat.S_IFMT(facts.st_mode)
            when = int(facts.st_mtime) if kind == stat.S_IFREG else 0
            content = path.read_bytes() if kind == stat.S_IFREG else b""
            found[os.path.relpath(path, folder)] = (kind, when, content)
    return found


def test_it_is_a_tree_that_is_made() -> None:
    """The test above is only worth something if what it grows is there."""
    with tempfile.TemporaryDirectory() as place:
        outside = Path(place, "outside")
        put(outside / "a.log")
        kinds = ["file", "fresh", "fifo", "link", "folder link", "hard link", "empty"]
        grow(Path(place, "logs"), {kind: kind for kind in kinds} | {"in": {"a\nb": "file"}}, outside)
        assert set(seen(Path(place, "logs"))) == {*kinds, "in", "in/a\nb"}
        shutil.rmtree(Path(place, "logs"))
