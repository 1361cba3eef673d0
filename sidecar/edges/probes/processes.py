"""All processes at one moment, read once for everybody who asks at about that time. Blocks for a moment."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from sidecar.edges import process

_STATE, _STARTED, _PAGES = 0, 19, 21
_TIMES = slice(11, 13)
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_SHARE = 0.01
"""Of a processor's time, for walking through all processes."""
_FRESH = (0.05, 1.0)
"""Seconds for which a walk serves, at least and at most."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One process."""

    pid: int
    name: str
    state: str
    """The letter of /proc/PID/stat."""
    started: int
    """Ticks after the boot."""
    ticks: int
    """Processor time."""
    rss: int
    """Bytes."""

    @property
    def lives(self) -> bool:
        return self.state not in ("Z", "X")

    @property
    def cpu(self) -> float:
        """Seconds of a processor."""
        return self.ticks / _TICKS


@dataclass(frozen=True, slots=True)
class Crowd:
    """All of them."""

    seen: Mapping[int, Seen]
    uptime: float
    """Seconds since boot at which they were read."""
    _arguments: dict[int, tuple[str, ...]] = field(default_factory=dict)
    _lines: dict[int, str] = field(default_factory=dict)

    def __iter__(self) -> Iterator[Seen]:
        return iter(self.seen.values())

    def age(self, one: Seen) -> float:
        """Seconds."""
        return max(self.uptime - one.started / _TICKS, 0.0)

    def arguments(self, pid: int) -> tuple[str, ...]:
        """Its command line, read once."""
        if pid not in self._arguments:
            self._arguments[pid] = process.arguments(pid)
        return self._arguments[pid]

    def line(self, pid: int) -> str:
        """Its command line as it was typed, more or less."""
        if pid not in self._lines:
            self._lines[pid] = " ".join(self.arguments(pid))
        return self._lines[pid]


class Processes:
    """Walks through them as often as it is cheap: on a machine with many, more rarely."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._last: Crowd | None = None
        self._until = float("-inf")

    def look(self) -> Crowd:
        """How they are, as of a second ago at most."""
        with self._lock:
            began = self._monotonic()
            if self._last is None or began >= self._until:
                self._last = _walk()
                took = self._monotonic() - began
                self._until = began + min(max(took / _SHARE, _FRESH[0]), _FRESH[1])
            return self._last


def _walk() -> Crowd:
    uptime = process.uptime()
    pids = map(int, filter(str.isdigit, os.listdir("/proc")))
    return Crowd({pid: seen for pid in pids if (seen := _seen(pid)) is not None}, uptime)


def _seen(pid: int) -> Seen | None:
    name, fields = process.named_stat(pid)
    if not fields:
        return None
    return Seen(
        pid,
        name.decode("utf-8", "replace"),
        fields[_STATE].decode(),
        int(fields[_STARTED]),
        sum(map(int, fields[_TIMES])),
        int(fields[_PAGES]) * _PAGE,
    )
