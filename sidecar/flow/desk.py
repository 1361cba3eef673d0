"""Where requests and alerts meet the pipeline. Whoever asks, the same lease is taken."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sidecar.clock import Clock
from sidecar.flow.alerts import Alerts
from sidecar.flow.ports import Book, Logbook, Meter
from sidecar.flow.ward import DRAINING, Case, Ward, busy
from sidecar.flow.watch import Spawn, Watch
from sidecar.model.check import name_of
from sidecar.model.incident import Asker
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.record import AlertIntake, Receipt, RecoveryRow
from sidecar.model.status import Answer, RecoverRequest, Ticket, UnknownSession


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
        self._alerts = Alerts(ward, book, clock, meter, log, spawn, watch.first_cycle, self._at_once)

    @property
    def pending_alerts(self) -> int:
        """Accepted, and not settled yet."""
        return self._alerts.pending

    async def request(self, request: RecoverRequest) -> Answer:
        """Decide what a person asks for; a plan has begun when this returns, and goes on by itself."""
        asker = Asker.OPERATOR
        answer = await self._at_once(request, asker, (asker,))
        if isinstance(answer, Awaitable):
            return await answer
        # What the pipeline refuses is on its record.
        if isinstance(answer, Refusal) and not request.dry_run:
            await self._book.refuse(request.session, answer, asker, self._clock.wall(), None, None)
            self._meter.refusal(answer.reason)
        return answer

    async def _at_once(
        self, request: RecoverRequest, asker: Asker, wishes: Collection[str]
    ) -> Answer | Awaitable[Answer]:
        """What can be answered without the pipeline; else what the pipeline will answer.

        ``wishes`` are the words under which it is taken back when nobody wants it any more.
        """
        if self._ward.draining:
            return DRAINING
        joined = self._ward.cases.get(request.session)
        if joined is not None:
            return busy(request.session) if request.dry_run else self._join(joined, request, asker, wishes)
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
            return self._join(joined, request, asker, wishes)
        if self._ward.draining:
            return DRAINING
        case = self._watch.case_for(failure, look, asker)
        case.strategy, case.alert = request.strategy, request.alert
        case.wanted.update(wishes)
        self._watch.open_case(case)
        return case.answer

    async def accept_alerts(self, alerts: Sequence[AlertIntake]) -> tuple[Receipt, ...]:
        """
        Raises:
            StoreUnavailable: nothing was accepted.
        """
        return await self._alerts.accept(alerts)

    async def take_up_pending(self) -> None:
        """Alerts that were accepted before a restart."""
        await self._alerts.take_up_pending()

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

    async def _join(
        self, case: Case, request: RecoverRequest, asker: Asker, wishes: Collection[str]
    ) -> Answer:
        case.wanted.update(wishes)
        answer = await case.answer
        # What was refused to the watcher or to an alert may be right for a person.
        refused = not isinstance(answer, Ticket) and case.asker is not asker
        if asker is Asker.OPERATOR and (refused or case.in_vain):
            await case.over.wait()
            return await self.request(request)
        if not isinstance(answer, Ticket):
            return answer
        if asker is not Asker.ALERT:
            await self._book.join_recovery(answer.recovery.id, asker, self._clock.wall())
        return replace(answer, joined=True)

    async def _known(self, name: str) -> bool:
        ward = self._ward
        if name_of(name):
            return ward.check(name_of(name)) is not None
        if name in ward.expected or name in ward.released or ward.declares(name) or ward.look.find(name):
            return True
        return await self._book.newest_checkpoint(name) is not None
