"""Shows the service manager that the service works; one that only runs does not.

Its watchdog is fed by a finished cycle of the watch since the last time, and by a store that gives
out its write lock. A loop that hangs, a cycle that never ends or a writer that is stuck stops the
feeding, and the manager starts the service again. A full disk or a tmux server that does not answer
does not: no restart would mend it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.flow.ports import Book, Manager
from sidecar.model.session import Health
from sidecar.model.status import Status

_USUAL_PAUSE = 5.0
_FEEDS = 4
"""How often the manager is fed in the time in which it wants to be fed once."""


class Pulse:
    """Tells the manager that the start is over, and from then on that all is well, for ever."""

    def __init__(
        self,
        manager: Manager,
        book: Book,
        clock: Clock,
        first_cycle: asyncio.Event,
        cycles: Callable[[], int],
        status: Callable[[], Status],
    ) -> None:
        """``cycles`` tells how many cycles of the watch have finished."""
        self._manager = manager
        self._book = book
        self._clock = clock
        self._first_cycle = first_cycle
        self._cycles = cycles
        self._status = status
        self._fed_at = 0
        """The number of cycles that had finished when the manager was fed last."""

    async def run(self) -> None:
        await self._first_cycle.wait()
        self._manager.ready()
        while True:
            self._manager.status(sentence(self._status()))
            await self._feed()
            await self._clock.sleep(self._pause())

    def _pause(self) -> float:
        limit = self._manager.watchdog
        return _USUAL_PAUSE if limit is None else min(limit / _FEEDS, _USUAL_PAUSE)

    async def _feed(self) -> None:
        finished = self._cycles()
        if self._manager.watchdog is None or finished == self._fed_at:
            return
        # What it says has been logged by whoever wanted to write something.
        with contextlib.suppress(SidecarError):
            await self._book.ready_to_write()
            self._fed_at = finished
            self._manager.feed()


def sentence(status: Status) -> str:
    """The service in one line, for ``systemctl status``."""
    ill = [one.name for one in status.sessions if one.health not in (Health.HEALTHY, Health.RELEASED)]
    server = "" if status.server_up else "no tmux server; "
    count = len(status.sessions)
    words = f"{server}{count} session{'s' if count != 1 else ''} in our care"
    return f"{words}, not healthy: {', '.join(ill)}" if ill else words
