"""Files that are there, are not, are old, large, endless, pipes, or on a disk that does not answer."""

from __future__ import annotations

import os
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from sidecar.edges.probes import files
from sidecar.edges.probes.prober import Prober
from sidecar.model.probe import FAULTS, ProbeFault, ProbeKind, ProbeResult
from sidecar.model.probe_file import FileProbe, Part


async def ask(prober: Prober, path: Path | str, seconds: float = 10.0, **facts: Any) -> ProbeResult:
    result = await prober.probe(FileProbe(str(path), **facts), seconds, {})
    assert result.fault is None or result.fault in FAULTS[ProbeKind.FILE]
    return result


@pytest.mark.parametrize(
    ("facts", "fault", "fact"),
    [
        ({}, None, "was written 1.0 h ago and has 1.0 kB"),
        ({"younger": 7200.0, "older": 60.0}, None, "1.0 h ago"),
        ({"younger": 60.0}, ProbeFault.TOO_OLD, "it has to be younger than 1.0 min"),
        ({"older": 86_400.0}, ProbeFault.TOO_YOUNG, "it has to be older than 1.0 d"),
        ({"least": 1000, "most": 1000}, None, "1.0 kB"),
        ({"least": 2000}, ProbeFault.BELOW_LIMIT, "2.0 kB have to be there"),
        ({"most": 100}, ProbeFault.ABOVE_LIMIT, "the limit is 100 B"),
        ({"exists": False}, ProbeFault.UNWANTED, "is there, and should not be"),
        ({"match": "end$"}, None, "'end$' is in the last 1000 bytes"),
        ({"match": "^begin", "part": Part.HEAD}, None, "'^begin' is in the first 1000 bytes"),
        ({"match": "ERROR"}, ProbeFault.TEXT_MISMATCH, "'ERROR' is not in the last 1000 bytes"),
        ({"no_match": "x{10}"}, ProbeFault.TEXT_MISMATCH, "'x{10}' is in the last 1000 bytes"),
    ],
)
async def test_a_file(
    prober: Prober, tmp_path: Path, facts: dict[str, Any], fault: ProbeFault | None, fact: str
) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"begin".ljust(997, b"x") + b"end")
    hour = file.stat().st_mtime - 3601
    os.utime(file, (hour, hour))
    result = await ask(prober, file, **facts)
    assert (result.fault, fact in result.fact) == (fault, True), result


@pytest.mark.parametrize("path", ["gone", "file/gone"])
async def test_what_is_not_there(prober: Prober, tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    missing = await ask(prober, tmp_path / path, match="x")
    assert (missing.fault, missing.fact) == (ProbeFault.MISSING, f"{tmp_path / path} is not there")
    assert (await ask(prober, tmp_path / path, exists=False)).fault is None


async def test_only_an_end_is_read(prober: Prober, tmp_path: Path) -> None:
    file = tmp_path / "large"
    with file.open("wb") as one:
        one.write(b"first")
        one.truncate(1 << 40)
        one.seek(0, os.SEEK_END)
        one.write(b"last")
    assert (await ask(prober, file, match="last", no_match="first")).fault is None
    head = await ask(prober, file, match="first", no_match="last", part=Part.HEAD)
    assert (head.fault, head.value, "the first 65536 bytes" in head.fact) == (
        None,
        float((1 << 40) + 4),
        True,
    )


async def test_nothing_is_opened_that_would_wait(prober: Prober, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(tmp_path / "socket"))
        for path in (tmp_path / "pipe", tmp_path / "socket", tmp_path, Path("/dev/zero"), Path("/dev/tty")):
            assert (await ask(prober, path, 1.0)).fault is None
            read = await ask(prober, path, 1.0, match="x")
            assert (read.fault, read.fact) == (ProbeFault.NOT_MEASURED, f"{path}: is no regular file")
            assert (await ask(prober, path, 1.0, most=5)).fault is ProbeFault.NOT_MEASURED


async def test_a_link_is_followed_and_a_loop_is_told(prober: Prober, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("ok")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "loop").symlink_to("loop")
    assert (await ask(prober, tmp_path / "link", match="ok")).fault is None
    assert (await ask(prober, tmp_path / "loop")).fault is ProbeFault.NOT_MEASURED


async def test_a_disk_that_does_not_answer_is_asked_once(
    prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    over, asked = threading.Event(), []

    def hang(path: str) -> os.stat_result:
        asked.append(path)
        over.wait()
        return os.stat("/")

    monkeypatch.setattr(files, "facts", hang)
    try:
        for _ in range(10):
            result = await ask(prober, "/nfs/lock", 0.02)
            assert (result.fault, result.fact) == (
                ProbeFault.NO_ANSWER,
                "/nfs/lock has not answered within 0.02 s",
            )
    finally:
        over.set()
    assert asked == ["/nfs/lock"]
