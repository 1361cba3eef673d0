"""Alerts from their acceptance to their end: committed before they are acknowledged, never lost.

However many come at once, a session is asked about once for all of them, only so many sessions are asked
about at a time, and what has come of them is written together. What is pending when the sidecar dies is
taken up again at the next start.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence

from sidecar import errand
from sidecar.clock import Clock
from sidecar.decide.quiet import holding
from sidecar.errors import SidecarError
from sidecar.flow.execute import insist
from sidecar.flow.ports import Book, Logbook, Meter
from sidecar.flow.together import Together
from sidecar.flow.ward import Ward
from sidecar.flow.watch import Spawn
from sidecar.model.incident import Asker
from sidecar.model.plan import Refusal, RefusalReason, Strategy
from sidecar.model.record import Action, AlertIntake, AlertRow, Receipt, Settlement, SkipReason
from sidecar.model.saga import wish_of_alert
from sidecar.model.status import Answer, RecoverRequest, Ticket

_PAUSE = 5.0
"""Seconds before an alert that could not be worked off just now is tried again."""
_AT_ONCE = 16
"""Sessions that are asked about at a time."""
_OF_THE_MOMENT = frozenset({RefusalReason.DRAINING, RefusalReason.SERVER_UNKNOWN})
"""Refusals that say nothing about the session."""

Ask = Callable[[RecoverRequest, Asker, Collection[str]], Awaitable[Answer | Awaitable[Answer]]]
"""Returns the answer, or what the pipeline will answer; the collection holds a wish for each who asks."""
_Subject = tuple[str, Strategy | None]
"""A session, and the strategy that is asked for: whoever asks for the same gets the same answer."""


class Alerts:
    """All alerts that are accepted and not settled."""

    def __init__(
        self,
        ward: Ward,
        book: Book,
        clock: Clock,
        meter: Meter,
        log: Logbook,
        spawn: Spawn,
        begin: asyncio.Event,
        ask: Ask,
    ) -> None:
        """``begin`` is set once sessions can be asked about."""
        self._ward = ward
        self._book = book
        self._clock = clock
        self._meter = meter
        self._log = log
        self._spawn = spawn
        self._begin = begin
        self._ask = ask
        self._ends = Together(self._write)
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._in_hand: set[int] = set()
        self._resolved: set[int] = set()
        """Of those in hand, the ones that are over before anything has come of them."""
        self._held: set[int] = set()
        """Of those in hand, the ones that were refused because a person works on the session."""
        self._waiting: dict[_Subject, list[AlertRow]] = {}
        """By subject, what has come since it was asked about last."""

    @property
    def pending(self) -> int:
        """Accepted, and not settled yet."""
        return len(self._in_hand)

    async def accept(self, alerts: Sequence[AlertIntake]) -> tuple[Receipt, ...]:
        """Commit, then work off the fresh ones.

        Raises:
            StoreUnavailable: nothing was accepted.
        """
        for alert in alerts:
            self._meter.alert_received(alert.status)
        receipts = await self._book.accept_alerts(alerts, self._clock.wall())
        for receipt in receipts:
            if receipt.skip is not None:
                self._meter.alert_skipped(receipt.skip)
            if receipt.row is None:
                continue
            if receipt.skip is SkipReason.RESOLVED:
                self._resolve(receipt.row)
            elif receipt.row.id not in self._in_hand:
                self._take_up(receipt.row)
        return receipts

    async def take_up_pending(self) -> None:
        """Alerts that were accepted before a restart."""
        for row in await self._book.pending_alerts():
            self._take_up(row)

    def _resolve(self, row: AlertRow) -> None:
        """An alert is over. Nothing new is begun for it, unless somebody else wants that too."""
        if row.id in self._in_hand:
            self._resolved.add(row.id)
        case, wish = self._ward.cases.get(row.session), wish_of_alert(row.id)
        if case is None or wish not in case.wanted:
            return
        case.wanted.discard(wish)
        if case.asker is Asker.ALERT and not case.wanted and not case.stop:
            case.stop = f"the alert that asked for it is resolved ({row.fingerprint})"
            if case.recovery:
                self._spawn(f"stop {row.session}", self._record_stop(case.recovery, case.stop))

    async def _record_stop(self, recovery: int, why: str) -> None:
        now = self._clock.wall()
        await insist(lambda: self._book.stop_recovery(recovery, why, now), self._clock, self._log)

    def _take_up(self, row: AlertRow) -> None:
        self._in_hand.add(row.id)
        subject = row.session, row.strategy
        case = self._ward.cases.get(row.session)
        if case is not None:
            # It may have to wait for its turn to be asked about; what it wants goes on until then.
            case.wanted.add(wish_of_alert(row.id))
        if subject in self._waiting:
            self._waiting[subject].append(row)
            return
        self._waiting[subject] = [row]
        self._spawn(f"alerts {row.session}", self._work_off(subject))

    async def _work_off(self, subject: _Subject) -> None:
        """Until all are settled, or the service stops: they stay pending in the book for as long."""
        rows: list[AlertRow] = []
        try:
            await self._begin.wait()
            # The call that brought the first of them has no part in what becomes of all.
            with errand.sent_by(""):
                while rows := [*rows, *self._waiting[subject]]:
                    self._waiting[subject] = []
                    rows = await self._left(rows)
                    if rows:
                        await self._clock.sleep(_PAUSE)
        finally:
            self._let_go([*rows, *self._waiting.pop(subject)])

    async def _left(self, rows: Sequence[AlertRow]) -> list[AlertRow]:
        """Settle them; which cannot be settled now, and stay pending."""
        try:
            await self._settle(rows)
        except Exception as error:
            # It stays pending in the book, so it has to stay in hand too, whatever the fault is.
            self._log.say(
                Action.TASK_FAILED,
                level="error",
                session=rows[0].session,
                task="alerts",
                error=str(error) if isinstance(error, SidecarError) else repr(error),
                hint=getattr(error, "hint", ""),
            )
        return [row for row in rows if row.id in self._in_hand]

    async def _settle(self, rows: Sequence[AlertRow]) -> None:
        over = [row for row in rows if self._is_over(row)]
        asking = [row for row in rows if not self._is_over(row)]
        if over:
            await self._end(over, SkipReason.RESOLVED)
        if self._rest(asking):
            return
        answer = await self._answer(asking) if asking else None
        if isinstance(answer, Ticket):
            await self._end(asking, "recovery", answer.recovery.id)
        elif isinstance(answer, Refusal):
            if answer.reason is RefusalReason.MAINTENANCE:
                self._held.update(row.id for row in asking)
            elif answer.reason not in _OF_THE_MOMENT:
                await self._end(asking, answer.reason)
        elif asking:
            await self._end(asking, SkipReason.UNKNOWN_SESSION)
            for _ in asking:
                self._meter.alert_skipped(SkipReason.UNKNOWN_SESSION)

    def _rest(self, rows: Sequence[AlertRow]) -> bool:
        """Whether all were refused for maintenance that goes on: they are asked about when it ends."""
        held = rows and all(row.id in self._held for row in rows)
        return bool(held) and holding(self._ward.hushes(self._clock.wall()), rows[0].session) is not None

    def _is_over(self, row: AlertRow) -> bool:
        return row.resolved is not None or row.id in self._resolved

    async def _answer(self, rows: Sequence[AlertRow]) -> Answer:
        """Ask once, in the name of the one that may have asked for the same before."""
        footings, session = self._ward.footings, rows[0].session
        before = {footing.alert for (name, _), footing in footings.items() if name == session}
        row = next((row for row in rows if row.fingerprint in before), rows[0])
        request = RecoverRequest(row.session, row.failure, row.strategy, alert=row.fingerprint)
        wishes = [wish_of_alert(each.id) for each in rows]
        with errand.sent_by(Asker.ALERT, **row.sender):
            async with self._places:
                answer = await self._ask(request, Asker.ALERT, wishes)
            return await answer if isinstance(answer, Awaitable) else answer

    async def _end(self, rows: Sequence[AlertRow], reason: str, recovery: int | None = None) -> None:
        await self._ends.do(Settlement(row.id, reason, recovery) for row in rows)
        self._let_go(rows)

    async def _write(self, settlements: Sequence[Settlement]) -> None:
        await self._book.settle_alerts(settlements, self._clock.wall())

    def _let_go(self, rows: Sequence[AlertRow]) -> None:
        for row in rows:
            self._in_hand.discard(row.id)
            self._resolved.discard(row.id)
            self._held.discard(row.id)
