"""Memory and CPU of a process, from /proc."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_UTIME = 11
"""Position among the fields after ``comm``; stime, cutime and cstime follow."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes."""

    resident: int
    anonymous: int
    peak: int


def memory(pid: int) -> Memory:
    """What the process takes now, and the most it has taken.

    Raises:
        OSError: there is no such process.
    """
    lines = (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    found = {key: value.split() for key, _, value in lines}
    return Memory(*(int(found[key][0]) * 1024 for key in ("VmRSS", "RssAnon", "VmHWM")))


def cpu_seconds(pid: int) -> float:
    """CPU time of the process and of its children that have ended; 0 when it is gone."""
    try:
        raw = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = raw[raw.rindex(")") + 2 :].split()
    return sum(int(field) for field in fields[_UTIME : _UTIME + 4]) / _TICKS


def command_line(pid: int) -> list[str]:
    """Its arguments; none when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    except OSError:
        return []


def children(pid: int) -> list[int]:
    """Pids of its living children."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
