"""Recoveries that take turns: so many incidents at once, and fewer while the machine is short of something.

In order of arrival; while the machine is short, the smallest first. What waits keeps its lease and its
place, and is neither refused nor forgotten.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count

from sidecar.decide import budget
from sidecar.decide.stress import needs_lane, order
from sidecar.flow.ports import Logbook
from sidecar.flow.strain import Strain
from sidecar.flow.ward import Case, Ward
from sidecar.model.check import name_of
from sidecar.model.incident import Asker, Cause
from sidecar.model.record import Action, Usage

_Waiting = tuple[tuple[int, int, int, str], int, Case, asyncio.Future[None]]
Meanwhile = Callable[[], Awaitable[None]]
_IN_ORDER = (0, 0, 0, "")


class Lanes:
    """Gives out turns, as many at once as there is room for."""

    def __init__(self, ward: Ward, log: Logbook, strain: Strain) -> None:
        self._ward = ward
        self._log = log
        self._strain = strain
        self._running: Counter[str] = Counter()
        """Recoveries that have their turn, by the origin of their incidents."""
        self._heavy = 0
        """Those of them that may start something."""
        self._waiting: list[_Waiting] = []
        self._number = count()

    @asynccontextmanager
    async def turn(self, case: Case, meanwhile: Meanwhile | None = None) -> AsyncIterator[None]:
        """Wait for a turn, and have it. A person who asks has it at once.

        ``meanwhile`` is done first by whoever has to wait.
        """
        if case.finding.cause is Cause.OUT_OF_MEMORY:
            self._strain.killed()
        # What a check does beyond tmux may take its time, and has no part in how busy we are.
        if case.asker is Asker.OPERATOR or name_of(case.session):
            yield
            return
        await self._enter(case, meanwhile)
        try:
            yield
        finally:
            self._leave(case)
            self.move_up()

    def move_up(self) -> None:
        """Let in whoever may come now; to be called too when a limit has changed."""
        waiting, self._waiting = sorted(self._waiting), []
        full = strained = False
        for entry in waiting:
            *_, case, place = entry
            if place.done():
                continue
            # Nobody overtakes but who only joins an incident that is worked, or takes nothing that is short.
            full = full or not self._has_room(case)
            strained = strained or not self._spares(case)
            if (full and case.finding.origin not in self._running) or (strained and needs_lane(case.finding)):
                self._waiting.append(entry)
                continue
            self._take(case)
            place.set_result(None)

    async def _enter(self, case: Case, meanwhile: Meanwhile | None) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((self._rank(case), next(self._number), case, place))
        # One look finds many at once: all of them are here before the smallest is chosen.
        await asyncio.sleep(0)
        self.move_up()
        try:
            if not place.done():
                self._log.say(Action.RECOVERY_WAITS, session=case.session, ahead=self._running.total())
                if meanwhile is not None:
                    await meanwhile()
            await place
        except BaseException:
            if not place.cancel() and not place.cancelled():
                self._leave(case)
                self.move_up()
            raise

    def _take(self, case: Case) -> None:
        self._running[case.finding.origin] += 1
        self._heavy += needs_lane(case.finding)

    def _leave(self, case: Case) -> None:
        self._running[case.finding.origin] -= 1
        self._running += Counter()
        self._heavy -= needs_lane(case.finding)

    def _has_room(self, case: Case) -> bool:
        room = budget.room(self._ward.settings.recovery.at_once, len(self._ward.expected))
        return budget.admits(self._running, case.finding.origin, room)

    def _spares(self, case: Case) -> bool:
        limit = self._strain.lanes()
        return limit is None or self._heavy < limit or not needs_lane(case.finding)

    def _rank(self, case: Case) -> tuple[int, int, int, str]:
        if self._strain.lanes() is None:
            return _IN_ORDER
        panes = len(list(case.before.panes())) if case.before else 0
        usage = self._ward.usage.get(case.session, Usage())
        return order(case.finding, usage.memory_bytes, panes)
