"""Whether a file is being written just now.

The kernel knows: it grants a read lease on a file only while nobody has it open for writing. Where there
are no leases (another user's file, some network file systems), the descriptors of all processes that
we may look at are gone through instead.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Writing:
    """The question, asked about many files at about the same moment."""

    @contextmanager
    def held_off(self, folder: int, name: str, facts: os.stat_result) -> Iterator[bool]:
        """Whether nobody writes the file. With a lease nobody begins to, either, as long as this lasts."""
        with contextlib.ExitStack() as held:
            try:
                descriptor = os.open(name, _FILE, dir_fd=folder)
            except OSError:
                yield not self.flags(facts)
                return
            held.callback(os.close, descriptor)
            if not os.path.samestat(os.fstat(descriptor), facts):
                yield False
                return
            leased = _lease(descriptor)
            yield not self.flags(facts) if leased is None else leased

    def flags(self, facts: os.stat_result) -> frozenset[int]:
        """The flags with which processes have the file open for writing, as far as we may see them."""
        return self._writers.get((facts.st_dev, facts.st_ino), frozenset())

    @cached_property
    def _writers(self) -> dict[tuple[int, int], frozenset[int]]:
        found: dict[tuple[int, int], frozenset[int]] = {}
        for pid in filter(str.isdigit, os.listdir("/proc")):
            with contextlib.suppress(OSError):
                for number in os.listdir(f"/proc/{pid}/fd"):
                    _note(found, pid, number)
        return found


def _note(found: dict[tuple[int, int], frozenset[int]], pid: str, number: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        flags = _flags(pid, number)
        if flags & os.O_ACCMODE != os.O_RDONLY:
            facts = os.stat(f"/proc/{pid}/fd/{number}")
            key = (facts.st_dev, facts.st_ino)
            found[key] = found.get(key, frozenset()) | {flags}


def _flags(pid: str, number: str) -> int:
    with open(f"/proc/{pid}/fdinfo/{number}") as file:
        return next((int(line.split()[1], 8) for line in file if line.startswith("flags:")), 0)


def _lease(descriptor: int) -> bool | None:
    """Whether a read lease is granted; None where there are none."""
    try:
        # Whoever wants to write meanwhile makes the kernel tell us, by a signal that would end us.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        return False if error.errno == errno.EAGAIN else None
    return True
