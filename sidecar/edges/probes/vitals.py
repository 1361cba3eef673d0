"""The door to what programs in panes do, seen from outside: processor time, reading and writing, output."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sidecar.clock import Clock
from sidecar.edges import process
from sidecar.edges.probes.attitude import attitude
from sidecar.model.session import Pane
from sidecar.model.vitals import Vitals

_PARENT, _GROUP, _FRONT, _STARTED = 1, 2, 5, 19
_TIMES = slice(11, 15)
"""User and system time, and those of ended children."""
_TICKS = os.sysconf("SC_CLK_TCK")
_BLUR = 8.0
"""Seconds; the kernel notes output at a terminal only so often."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A process, as its stat tells."""

    state: str
    parent: int
    group: int
    front: int
    started: int
    ticks: int


class VitalsDoor:
    """Implements :class:`sidecar.flow.ports.Senses`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def measure(self, panes: Iterable[Pane]) -> Mapping[str, Vitals]:
        """The vitals of what runs in front in these panes, by pane id; those that have gone are left out."""
        return await asyncio.to_thread(_measure, tuple(panes), self._clock.wall())


def _measure(panes: Iterable[Pane], wall: float) -> dict[str, Vitals]:
    everybody = {pid: seen for pid in _pids() if (seen := _seen(pid)) is not None}
    children: dict[int, list[int]] = {}
    for pid, seen in everybody.items():
        children.setdefault(seen.parent, []).append(pid)
    found = {}
    for pane in panes:
        if (vitals := _of(pane, everybody, children, wall)) is not None:
            found[pane.id] = vitals
    return found


def _pids() -> Iterable[int]:
    return map(int, filter(str.isdigit, os.listdir("/proc")))


def _seen(pid: int) -> _Seen | None:
    fields = process.stat_fields(pid)
    if not fields or fields[0] in (b"Z", b"X"):
        return None
    return _Seen(
        fields[0].decode(),
        int(fields[_PARENT]),
        int(fields[_GROUP]),
        int(fields[_FRONT]),
        int(fields[_STARTED]),
        sum(map(int, fields[_TIMES])),
    )


def _of(
    pane: Pane, everybody: Mapping[int, _Seen], children: Mapping[int, list[int]], wall: float
) -> Vitals | None:
    own = everybody.get(pane.pid)
    if own is None:
        return None
    front = own.front if own.front > 0 else pane.pid
    group = sorted(pid for pid, seen in everybody.items() if seen.group == front)
    if not group:
        return None
    leader = front if front in everybody else group[0]
    seen = everybody[leader]
    tree = process.tree(group, children)
    told, evidence = attitude({pid: everybody[pid].state for pid in group}, pane.tty)
    return Vitals(
        pid=leader,
        started=seen.started,
        age=max(process.uptime() - seen.started / _TICKS, 0.0),
        cpu=sum(everybody[pid].ticks for pid in tree) / _TICKS,
        io=_io(tree),
        silent=silent(pane.tty, wall),
        attitude=told,
        evidence=evidence,
    )


def _io(pids: Iterable[int]) -> int | None:
    total = 0
    for pid in pids:
        try:
            with open(f"/proc/{pid}/io", encoding="ascii") as file:
                lines = dict(line.split(": ") for line in file.read().splitlines())
            total += int(lines["rchar"]) + int(lines["wchar"])
        except FileNotFoundError:
            continue
        except (OSError, ValueError, KeyError):
            return None
    return total


def silent(terminal: str, wall: float) -> float | None:
    """Seconds for which nothing was printed to a terminal; None if it cannot be told.

    Never more than it is: what the kernel has noted may be a few seconds old.
    """
    try:
        return max(wall - os.stat(terminal).st_mtime - _BLUR, 0.0)
    except OSError:
        return None
