"""Where requests and alerts meet the pipeline. Whoever asks, the same lease is taken.

An alert is committed before it is acknowledged, and settled only when the pipeline has come to an
end with it; what is pending when the sidecar dies is taken up again at the next start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sidecar import errand
from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.flow.execute import insist
from sidecar.flow.ports import Book, Logbook, Meter
from sidecar.flow.ward import DRAINING, Case, Ward, busy
from sidecar.flow.watch import Spawn, Watch
from sidecar.model.incident import Asker
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.record import AlertIntake, AlertRow, Receipt, RecoveryRow, SkipReason
from sidecar.model.saga import wish_of_alert
from sidecar.model.status import Answer, RecoverRequest, Ticket, UnknownSession

_ALERT_PAUSE = 5.0
"""Seconds before an alert that could not be worked off just now is tried again."""
_OF_THE_MOMENT = frozenset({RefusalReason.DRAINING, RefusalReason.SERVER_UNKNOWN})
"""Refusals that say nothing about the session."""


class FrontDesk:
    """Answers requests and works off alerts."""

    def __init__(
        self,
        ward: Ward,
        watch: Watch,
        book: Book,
        clock: Clock,
        meter: Meter,
        spawn: Spawn,
        log: Logbook,
    ) -> None:
        self._ward = ward
        self._watch = watch
        self._book = book
        self._clock = clock
        self._meter = meter
        self._spawn = spawn
        self._log = log
        self._in_hand: set[int] = set()
        self._resolved: set[int] = set()
        """Of those in hand, the ones that are over before anything has come of them."""

    @property
    def pending_alerts(self) -> int:
        """Accepted, and not settled yet."""
        return len(self._in_hand)

    async def request(self, request: RecoverRequest, asker: Asker = Asker.OPERATOR, wish: str = "") -> Answer:
        """Decide; a plan has begun when this returns, and goes on by itself.

        ``wish`` is the word under which it is taken back when nobody wants it any more.
        """
        answer = await self._at_once(request, asker, wish or asker)
        if isinstance(answer, Awaitable):
            return await answer
        # What the pipeline refuses is on its record; an alert's end tells why by itself.
        if isinstance(answer, Refusal) and asker is Asker.OPERATOR and not request.dry_run:
            await self._book.refuse(request.session, answer, asker, self._clock.wall(), None, None)
            self._meter.refusal(answer.reason)
        return answer

    async def _at_once(self, request: RecoverRequest, asker: Asker, wish: str) -> Answer | Awaitable[Answer]:
        """What can be answered without the pipeline; else what the pipeline will answer."""
        if self._ward.draining:
            return DRAINING
        joined = self._ward.cases.get(request.session)
        if joined is not None:
            return busy(request.session) if request.dry_run else self._join(joined, asker, wish)
        if not await self._known(request.session):
            return UnknownSession(request.session)
        asked = await self._watch.ask(request.session)
        if isinstance(asked, Refusal):
            return asked
        if asked is None:
            return Refusal(
                RefusalReason.HEALTHY,
                f"{request.session} is in good order: nothing to recover",
                hint="A healthy session is never touched.",
            )
        failure, look = asked
        if request.dry_run:
            return await self._watch.dry_run(failure, look, request.strategy, asker, recorded=True)
        joined = self._ward.cases.get(failure.session)
        if joined is not None:
            return self._join(joined, asker, wish)
        if self._ward.draining:
            return DRAINING
        case = self._watch.case_for(failure, look, asker)
        case.strategy, case.alert = request.strategy, request.alert
        case.wanted.add(wish)
        self._watch.open_case(case)
        return case.answer

    async def accept_alerts(self, alerts: Sequence[AlertIntake]) -> tuple[Receipt, ...]:
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

    async def take_up_pending(self) -> None:
        """Alerts that were accepted before a restart."""
        for row in await self._book.pending_alerts():
            self._take_up(row)

    async def recall(self, key: str) -> Mapping[str, Any] | None:
        return await self._book.recall(key)

    async def keep_answer(self, key: str, answer: Mapping[str, Any]) -> None:
        await self._book.keep_answer(key, answer, self._clock.wall())

    async def recovery(self, recovery: int) -> RecoveryRow | None:
        return await self._book.recovery(recovery)

    async def recoveries(
        self, limit: int, before: int | None = None, session: str | None = None
    ) -> tuple[RecoveryRow, ...]:
        return await self._book.recoveries(limit, before, session)

    def _take_up(self, row: AlertRow) -> None:
        self._in_hand.add(row.id)
        self._spawn(f"alert {row.id}", self._work_off(row))

    async def _work_off(self, row: AlertRow) -> None:
        """Until it is settled, or the service stops: it stays pending in the book for as long."""
        name = row.labels.get("alertname", "")
        try:
            with errand.sent_by(Asker.ALERT, fingerprint=row.fingerprint, alertname=name):
                await self._watch.first_cycle.wait()
                while not await self._settled(row):
                    await self._clock.sleep(_ALERT_PAUSE)
        finally:
            self._in_hand.discard(row.id)
            self._resolved.discard(row.id)

    async def _settled(self, row: AlertRow) -> bool:
        request = RecoverRequest(row.session, row.failure, row.strategy, alert=row.fingerprint)
        try:
            if row.resolved is not None or row.id in self._resolved:
                await self._book.settle_alert(row.id, SkipReason.RESOLVED, None, self._clock.wall())
                return True
            answer = await self.request(request, Asker.ALERT, wish_of_alert(row.id))
            if isinstance(answer, Refusal) and answer.reason in _OF_THE_MOMENT:
                return False
            reason, recovery = _settlement(answer)
            await self._book.settle_alert(row.id, reason, recovery, self._clock.wall())
            if reason == SkipReason.UNKNOWN_SESSION:
                self._meter.alert_skipped(reason)
        except SidecarError:
            # It stays pending in the book, so it has to stay in hand too.
            return False
        return True

    async def _join(self, case: Case, asker: Asker, wish: str) -> Answer:
        case.wanted.add(wish)
        answer = await case.answer
        if not isinstance(answer, Ticket):
            return answer
        if asker is not Asker.ALERT:
            await self._book.join_recovery(answer.recovery.id, asker, self._clock.wall())
        return replace(answer, joined=True)

    async def _known(self, name: str) -> bool:
        ward = self._ward
        if name in ward.expected or name in ward.released or ward.declares(name) or ward.look.find(name):
            return True
        return await self._book.newest_checkpoint(name) is not None


def _settlement(answer: Answer) -> tuple[str, int | None]:
    if isinstance(answer, Ticket):
        return "recovery", answer.recovery.id
    if isinstance(answer, Refusal):
        return answer.reason, None
    return SkipReason.UNKNOWN_SESSION, None
