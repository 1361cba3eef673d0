"""Recoveries that take turns while the machine is short of something: the smallest first."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

from sidecar.decide.stress import needs_lane, order
from sidecar.flow.ports import Logbook
from sidecar.flow.strain import Strain
from sidecar.flow.ward import Case, Ward
from sidecar.model.incident import Asker, Cause
from sidecar.model.record import Action, Usage

_Waiting = tuple[tuple[int, int, int, str], int, asyncio.Future[None]]


class Lanes:
    """Gives out turns, as many at once as there is room for."""

    def __init__(self, ward: Ward, log: Logbook, strain: Strain) -> None:
        self._ward = ward
        self._log = log
        self._strain = strain
        self._running = 0
        self._waiting: list[_Waiting] = []
        self._number = count()

    @asynccontextmanager
    async def turn(self, case: Case) -> AsyncIterator[None]:
        """Wait for a turn, and have it. A person who asks, and what starts nothing, has it at once."""
        if case.finding.cause is Cause.OUT_OF_MEMORY:
            self._strain.killed()
        if case.asker is Asker.OPERATOR or not needs_lane(case.finding):
            yield
            return
        await self._enter(case)
        try:
            yield
        finally:
            self._running -= 1
            self.move_up()

    def move_up(self) -> None:
        """Let in whoever may come now; to be called too when the limit has changed."""
        while self._waiting and self._open():
            *_, place = heapq.heappop(self._waiting)
            if not place.done():
                self._running += 1
                place.set_result(None)

    async def _enter(self, case: Case) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        entry = (self._size(case), next(self._number), place)
        heapq.heappush(self._waiting, entry)
        # One look finds many at once: all of them are here before the smallest is chosen.
        await asyncio.sleep(0)
        self.move_up()
        if not place.done():
            self._log.say(Action.RECOVERY_WAITS, session=case.session, ahead=self._running)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._running -= 1
                self.move_up()
            raise

    def _open(self) -> bool:
        limit = self._strain.lanes()
        return limit is None or self._running < limit

    def _size(self, case: Case) -> tuple[int, int, int, str]:
        panes = len(list(case.before.panes())) if case.before else 0
        usage = self._ward.usage.get(case.session, Usage())
        return order(case.finding, usage.memory_bytes, panes)
