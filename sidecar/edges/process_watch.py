"""The door to the ends of processes: told once, within a millisecond, with how it ended.

A process is held by a pidfd, and its memory group is learnt while it lives, so that a kill for memory
can be told from any other afterwards.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.cgroup import Groups, Kills, Survey, survey
from sidecar.edges.process import exit_code, oom_kills
from sidecar.model.incident import Exit
from sidecar.model.record import Watched

_KILLED = -9


class ProcessWatch:
    """Holds a pidfd for each process of interest and tells, once, when it ends.

    ``on_exit`` is called on the event loop. The watched set follows the looks; a process
    that is no longer named keeps its descriptor until it ends or the set drops it.
    """

    def __init__(self, clock: Clock, on_exit: Callable[[Exit], None]) -> None:
        self._clock = clock
        self._on_exit = on_exit
        self._descriptors: dict[int, tuple[int, Watched]] = {}
        self._kills = Kills(oom_kills())
        self._groups = Groups()

    def follow(self, wanted: Iterable[Watched]) -> None:
        """Watch exactly these from now on. A process may be named once; the last naming wins."""
        by_pid = {watched.pid: watched for watched in wanted}
        for pid in self._descriptors.keys() - by_pid.keys():
            self._drop(pid)
            self._groups.forget(pid)
        fresh = []
        for pid, watched in by_pid.items():
            held = self._descriptors.get(pid)
            if held is None:
                self._open(watched)
                fresh.append(pid)
            elif held[1] != watched:
                self._descriptors[pid] = (held[0], watched)
        self._learn(fresh)

    def close(self) -> None:
        for pid in list(self._descriptors):
            self._drop(pid)

    def _open(self, watched: Watched) -> None:
        try:
            descriptor = os.pidfd_open(watched.pid)
        except OSError:
            # Gone before it could be held, or out of descriptors: the next look tells.
            return
        self._descriptors[watched.pid] = (descriptor, watched)
        asyncio.get_running_loop().add_reader(descriptor, self._ended, watched.pid)

    def _drop(self, pid: int) -> None:
        descriptor, _ = self._descriptors.pop(pid)
        asyncio.get_running_loop().remove_reader(descriptor)
        os.close(descriptor)

    def _learn(self, fresh: list[int]) -> None:
        """Where the counters stand, in a thread: a kill from before this look is not that of a later end."""
        work = asyncio.get_running_loop().run_in_executor(None, _count, fresh, self._groups.folders)
        work.add_done_callback(self._learned)

    def _learned(self, work: asyncio.Future[tuple[int, Survey]]) -> None:
        if work.cancelled() or work.exception() is not None:
            return
        (kills, found), now = work.result(), self._clock.monotonic()
        self._kills.note(kills, now)
        self._groups.note(found, now)

    def _ended(self, pid: int) -> None:
        descriptor, watched = self._descriptors[pid]
        code, source = exit_code(pid, descriptor)
        self._drop(pid)
        now = self._clock.monotonic()
        kills, group, in_group = 0, "", None
        if code == _KILLED:
            self._kills.note(oom_kills(), now)
            kills = self._kills.take()
            group, in_group = self._groups.kills(pid, now)
        self._groups.forget(pid)
        self._on_exit(
            Exit(
                role=watched.role,
                pid=pid,
                session=watched.session,
                pane=watched.pane,
                code=code,
                seen=now,
                source=source,
                oom_kills=kills,
                group=group,
                group_kills=in_group,
            )
        )


def _count(pids: list[int], folders: tuple[Path, ...]) -> tuple[int, Survey]:
    return oom_kills(), survey(pids, folders)
