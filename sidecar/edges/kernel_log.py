"""The kernel's log, where it may be read: which process it has killed for memory, which has crashed.

Nothing here waits: the log is read as far as it goes, within limits, and a machine on which it is
closed to this user gives None.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from pathlib import Path

from sidecar.model.surroundings import KernelLine

_LOG = Path("/dev/kmsg")
_RECORDS = 20_000
"""More than the ring of any usual kernel holds."""
_RECORD = 8192
_NAMED = re.compile(
    r"Killed process (\d+) |oom-kill:.*\bpid=(\d+)"
    r"|^(?:traps: )?[^\[\]]{1,32}\[(\d+)\]:? (?:segfault|general protection|trap )"
)
"""The ways in which the kernel names a process that it has ended."""
_LONGEST = 300


def read(pids: Collection[int], since: float, log: Path = _LOG) -> tuple[KernelLine, ...] | None:
    """The lines since then (monotonic seconds) that tell of the end of one of these; None if it is closed.

    Blocks for a few milliseconds at the most.
    """
    try:
        descriptor = os.open(log, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None
    found = []
    try:
        for _ in range(_RECORDS):
            record = _next(descriptor)
            if record is None:
                break
            line = _line(record)
            if line is not None and line.pid in pids and line.at >= since:
                found.append(line)
    except PermissionError:
        return None
    finally:
        os.close(descriptor)
    return tuple(found)


def _next(descriptor: int) -> bytes | None:
    """One record; None at the end."""
    while True:
        try:
            return os.read(descriptor, _RECORD) or None
        except BlockingIOError:
            return None
        except BrokenPipeError:
            # It was overwritten before it was read; the next call gives the oldest that is left.
            continue


def _line(record: bytes) -> KernelLine | None:
    """A record is ``priority,number,microseconds,flags;text``, with further lines of no interest."""
    head, _, text = record.partition(b"\n")[0].decode("utf-8", "replace").partition(";")
    named = _NAMED.search(text)
    fields = head.split(",")
    if named is None or len(fields) < 3 or not fields[2].isdigit():
        return None
    pid = next(int(number) for number in named.groups() if number)
    return KernelLine(pid, int(fields[2]) / 1e6, text[:_LONGEST])
