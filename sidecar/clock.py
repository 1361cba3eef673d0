"""Time and chance, handed to whoever needs them, so that tests can hold both still.

The only file that imports ``time`` or ``random``. Elapsed time is monotonic; wall time
is for what people and databases read.
"""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any, Protocol


class Clock(Protocol):
    """What the service needs to know about time, in seconds."""

    def monotonic(self) -> float: ...

    def boottime(self) -> float:
        """Monotonic too, and it goes on while the machine sleeps."""
        ...

    def wall(self) -> float: ...

    async def sleep(self, seconds: float) -> None: ...


class SystemClock:
    """The machine's own clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def boottime(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def wall(self) -> float:
        return time.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def settled(clock: Clock, work: asyncio.Future[Any], seconds: float) -> bool:
    """Wait for ``work``, at the most so long by this clock; whether it is done. If not, it goes on."""
    alarm = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({work, alarm}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        alarm.cancel()
    return work.done()


class Dice(Protocol):
    """A source of chance: ``roll`` gives a number in [0, 1)."""

    def roll(self) -> float: ...


class SystemDice:
    """Chance from the interpreter's generator; fit for jitter, not for secrets."""

    def roll(self) -> float:
        return random.random()


def pause(seconds: float) -> None:
    """Block the calling thread; for command-line tools, never for the service."""
    time.sleep(seconds)
