"""What the kernel tells of a process that was killed for memory: its log, and its counters."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.clock import SystemClock
from sidecar.edges import cgroup, kernel_log, pressure, surroundings
from sidecar.edges.cgroup import Groups, Kills, Survey
from sidecar.edges.process_watch import ProcessWatch
from sidecar.model.incident import Exit, Role
from sidecar.model.record import Watched
from sidecar.model.surroundings import Question
from tests.group import memory_group

RECORDS = b"""\
6,1,1000000,-;Linux version 6.18
3,2,5000000,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),task=python,pid=41,uid=0
3,3,5000001,-;Memory cgroup out of memory: Killed process 41 (python) total-vm:90kB, anon-rss:80kB
6,4,6000000,-;tmux: server[42]: segfault at 0 ip 0000 sp 0000 error 4 in tmux[400000+1000]
4,5,7000000,-;traps: node[43] general protection fault ip:0 sp:0 error:0
6,6,8000000,-;eth0: link becomes ready for [44]: nothing
broken record
"""


class Ring:
    """The kernel gives one record for each read."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *records: bytes | OSError) -> None:
        self._records = iter(records)
        monkeypatch.setattr(kernel_log, "_next", lambda descriptor: self._next())

    def _next(self) -> bytes | None:
        record = next(self._records, None)
        if isinstance(record, OSError):
            raise record
        return record


def test_the_log_names_whom_the_kernel_has_ended(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kmsg").write_bytes(b"")
    Ring(monkeypatch, *RECORDS.splitlines())
    found = kernel_log.read({41, 42, 43, 44}, 4.0, tmp_path / "kmsg")
    assert found is not None
    assert [(line.pid, line.at) for line in found] == [(41, 5.0), (41, 5.000001), (42, 6.0), (43, 7.0)]
    assert found[1].text.startswith("Memory cgroup out of memory: Killed process 41 (python)")


def test_only_what_was_asked_for_and_not_too_old(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "kmsg").write_bytes(b"")
    Ring(monkeypatch, *RECORDS.splitlines())
    found = kernel_log.read({41, 43}, 6.5, tmp_path / "kmsg")
    assert found is not None
    assert [line.pid for line in found] == [43]


def test_a_log_that_is_closed_is_told_from_an_empty_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert kernel_log.read({1}, 0.0, tmp_path / "gone") is None
    (tmp_path / "kmsg").write_bytes(b"")
    assert kernel_log.read({1}, 0.0, tmp_path / "kmsg") == ()
    Ring(monkeypatch, PermissionError(errno.EPERM, "not permitted"))
    assert kernel_log.read({1}, 0.0, tmp_path / "kmsg") is None


def test_the_real_log_never_keeps_anybody_waiting() -> None:
    found = kernel_log.read({os.getpid()}, 0.0)
    assert found in (None, ())


@pytest.mark.parametrize(
    ("files", "kills", "limit", "peak"),
    [
        (
            {"memory.events": "oom 2\noom_kill 2\n", "memory.max": "100", "memory.peak": "99"},
            2,
            100,
            99,
        ),
        ({"memory.events": "oom_kill 0\n", "memory.max": "max"}, 0, None, None),
        (
            {
                "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
                "memory.limit_in_bytes": "9223372036854771712",
                "memory.max_usage_in_bytes": "7",
            },
            3,
            None,
            7,
        ),
        ({}, None, None, None),
    ],
)
def test_a_groups_account_in_both_versions(
    tmp_path: Path, files: dict[str, str], kills: int | None, limit: int | None, peak: int | None
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = cgroup.account(tmp_path)
    assert (found.oom_kills, found.limit, found.peak) == (kills, limit, peak)


def test_each_kill_is_accounted_for_once_and_an_old_one_is_forgotten() -> None:
    kills = Kills(5)
    assert kills.take() == 0
    kills.note(7, 10.0)
    assert [kills.take(), kills.take(), kills.take()] == [2, 1, 0]
    kills.note(8, 20.0)
    kills.note(8, 31.0)
    assert kills.take() == 0


def test_a_group_is_remembered_while_one_of_its_processes_is_watched(tmp_path: Path) -> None:
    (tmp_path / "memory.events").write_text("oom_kill 1\n")
    groups = Groups()
    assert groups.kills(1, 0.0) == ("", None)
    groups.note(Survey({1: tmp_path, 2: tmp_path}, {tmp_path: 1}), 0.0)
    (tmp_path / "memory.events").write_text("oom_kill 2\n")
    assert groups.kills(1, 1.0) == (str(tmp_path), 1)
    assert groups.kills(2, 1.0) == (str(tmp_path), 0)
    groups.forget(1)
    assert groups.folders == (tmp_path,)
    groups.forget(2)
    assert groups.folders == ()


def test_the_surroundings_of_this_process_are_told() -> None:
    found = surroundings.read(Question(frozenset({os.getpid()}), {"here": "/", "gone": "/no/such/folder"}))
    assert set(found.rooms) == {"here"}
    assert found.pressure is not None
    if list(pressure.groups_of(os.getpid())):
        assert set(found.groups) <= {os.getpid()}


@contextlib.contextmanager
def watching(*pids: int) -> Iterator[tuple[ProcessWatch, list[Exit]]]:
    ends: list[Exit] = []
    watch = ProcessWatch(SystemClock(), ends.append)
    watch.follow([Watched(Role.PANE, pid, "web", "%1") for pid in pids])
    try:
        yield watch, ends
    finally:
        watch.close()


async def until(question: object) -> None:
    assert callable(question)
    async with asyncio.timeout(20.0):
        while not question():
            await asyncio.sleep(0.001)


async def test_the_end_of_a_process_is_told_once_with_how_it_ended() -> None:
    children = [subprocess.Popen(["sleep", "1000"]) for _ in range(2)]
    with watching(*(child.pid for child in children)) as (_, ends):
        os.kill(children[0].pid, signal.SIGKILL)
        await until(lambda: ends)
    assert [(end.pid, end.code, end.oom_kills) for end in ends] == [(children[0].pid, -9, 0)]
    for child in children:
        child.kill()
        child.wait()


async def test_a_kill_for_memory_is_counted_in_the_processs_own_group() -> None:
    """A process grows until the kernel ends it, in a group of 32 MB."""
    with memory_group(32_000_000) as group:
        child = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.readline(); b = bytearray(200_000_000)"],
            stdin=subprocess.PIPE,
        )
        group.add(child.pid)
        with watching(child.pid) as (watch, ends):
            assert child.stdin is not None
            await until(lambda: watch._groups.folders == (group.folder,))
            await asyncio.to_thread(child.stdin.write, b"\n")
            await asyncio.to_thread(child.stdin.close)
            await until(lambda: ends)
        child.wait()
        (end,) = ends
        assert (end.code, end.group) == (-9, str(group.folder))
        assert end.oom_kills >= 1
        assert end.group_kills == 1
        found = surroundings.read(Question(frozenset({child.pid})))
        if found.kernel is not None:
            assert any("Killed process" in line.text for line in found.kernel)
