"""Work that may hang for ever, such as reading /proc of a process that waits for a dead disk.

It runs in a thread of its own and hands over its results one by one. Whoever waits for it gets, once
the time is over, what has come until then. The end of this process waits for no such thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from sidecar.errors import Temporary

T = TypeVar("T")

_AT_ONCE = 2
_HANGING = 4
"""Readings that have not come back, beyond which none is begun."""


class Notes(Generic[T]):
    """What one reading has found, in order, and what it is at."""

    def __init__(self) -> None:
        self.found: list[T] = []
        self.at = "everything"
        """What it is about to read, for people."""
        self.trouble = ""
        """Why it may not be all; empty if it is."""

    def so_far(self) -> Notes[T]:
        """A copy that the work does not change any more."""
        copy: Notes[T] = Notes()
        copy.found, copy.trouble = list(self.found), f"{self.at} did not come in time"
        return copy


class Readings:
    """A few at once, in turns; none while too many have not come back."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._hanging = 0

    async def run(self, work: Callable[[Notes[T]], None], seconds: float) -> Notes[T]:
        """What the work has found within so many seconds of its turn.

        Raises:
            Temporary: too many earlier ones hang; this one was not begun.
        """
        async with self._turns:
            if self._hanging >= _HANGING:
                raise Temporary(
                    f"{self._hanging} earlier readings have not come back",
                    hint="A disk may hang, or the memory of a process may be locked.",
                )
            return await self._in_time(work, seconds)

    async def _in_time(self, work: Callable[[Notes[T]], None], seconds: float) -> Notes[T]:
        notes: Notes[T] = Notes()
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        threading.Thread(target=_read, args=(work, notes, done), name="diagnostics", daemon=True).start()
        ready, _ = await asyncio.wait({done}, timeout=seconds)
        if ready:
            return notes
        self._hanging += 1
        done.add_done_callback(self._came_back)
        return notes.so_far()

    def _came_back(self, done: asyncio.Future[None]) -> None:
        self._hanging -= 1


def _read(work: Callable[[Notes[T]], None], notes: Notes[T], done: asyncio.Future[None]) -> None:
    try:
        work(notes)
    except Exception as fault:
        notes.trouble = f"{notes.at} could not be read: {fault!r}"
    # The loop may have ended meanwhile.
    with contextlib.suppress(RuntimeError):
        done.get_loop().call_soon_threadsafe(done.set_result, None)
