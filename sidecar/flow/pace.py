"""Heavy programs start in turns, whichever session they belong to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from sidecar.clock import Clock
from sidecar.decide.pace import schedule
from sidecar.model.policy import Budget


class Pace:
    """Gives out turns. One for each tmux server; a turn that is not used is not given back."""

    def __init__(
        self, clock: Clock, limit: Callable[[], Budget], memory: Callable[[], Awaitable[None]]
    ) -> None:
        """``memory`` waits until there is enough of it for one more."""
        self._clock = clock
        self._limit = limit
        self._memory = memory
        self._given: tuple[float, ...] = ()

    def turns(self, count: int) -> tuple[float, ...]:
        """Seconds until each of so many starts may happen; 0 is at once."""
        limit, now = self._limit(), self._clock.monotonic()
        times = schedule(self._given, count, limit, now)
        self._given = tuple(moment for moment in (*self._given, *times) if moment > now - limit.period)
        return tuple(moment - now for moment in times)

    async def wait(self) -> None:
        """Wait for one turn, and for memory."""
        (seconds,) = self.turns(1)
        if seconds:
            await self._clock.sleep(seconds)
        await self._memory()
