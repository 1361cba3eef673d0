"""The pipeline: signal -> failure -> cause -> plan -> execution -> verdict -> record.

``recover`` is the whole of it on one screen. A lease (``Ward.cases``) is held by the caller for as
long as it runs, so a session is never healed twice at once. What was cut off is taken up here too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from sidecar import errand
from sidecar.clock import Clock
from sidecar.decide.choose import choose
from sidecar.decide.limits import rests
from sidecar.errors import Permanent, SidecarError
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.circuits import Circuits, permit_for
from sidecar.flow.conclude import Concluder, Conclusion, Run
from sidecar.flow.confirm import Confirmer
from sidecar.flow.diagnostics import Diagnostician, Looking
from sidecar.flow.examine import Examination
from sidecar.flow.execute import Executor, Result, insist
from sidecar.flow.pace import Pace
from sidecar.flow.person import Person
from sidecar.flow.ports import Book, Host, Instruments, Logbook, Meter, Tmux
from sidecar.flow.resume import mandate_of, mark_of, resumed, too_often
from sidecar.flow.situation import Surveyor, image_for
from sidecar.flow.strain import Strain
from sidecar.flow.surgery import Surgery
from sidecar.flow.verify import Verifier, passed_over
from sidecar.flow.ward import Case, Ward
from sidecar.model.incident import IncidentState
from sidecar.model.ladder import rung_of
from sidecar.model.plan import Difference, Plan, Refusal, Step
from sidecar.model.record import Action, IncidentRow, Unfinished
from sidecar.model.saga import TransactionOutcome
from sidecar.model.status import DryRun, Ticket


class Recoverer:
    """Takes one case from diagnosis to record."""

    def __init__(
        self,
        ward: Ward,
        tmux: Tmux,
        book: Book,
        host: Host,
        clock: Clock,
        meter: Meter,
        log: Logbook,
        checkpointer: Checkpointer,
        executor: Executor,
        circuits: Circuits,
        person: Person,
        pace: Pace,
        examination: Examination,
        strain: Strain,
        instruments: Instruments,
    ) -> None:
        self._ward = ward
        self._tmux = tmux
        self._book = book
        self._host = host
        self._clock = clock
        self._meter = meter
        self._log = log
        self._checkpointer = checkpointer
        self._executor = executor
        self._circuits = circuits
        self._pace = pace
        self._strain = strain
        self._examination = examination
        self._surveyor = Surveyor(ward, book, host, clock, circuits, examination.supervisor)
        self._confirmer = Confirmer(tmux, examination, checkpointer, self._surveyor)
        self._diagnostician = Diagnostician(ward, instruments, book, clock, log, checkpointer.private)
        self._verifier = Verifier(tmux, clock, examination)
        self._concluder = Concluder(ward, book, clock, meter, log, checkpointer, circuits, person)

    async def recover(self, case: Case) -> None:
        """Decide, act, verify, record; and again with what remains possible, while nothing has done.

        The case's ``answer`` is set as soon as it is decided.
        """
        if case.unfinished is not None:
            incident, more = case.unfinished.incident, await self._go_on(case, case.unfinished)
        else:
            incident, more = case.incident or await self.open(case), True
        while more:
            more = await self._attempt(case, incident)

    async def _attempt(self, case: Case, incident: IncidentRow) -> bool:
        """One way to bring it back. Whether another is to be tried."""
        async with self._diagnostician.looking(case, incident) as looking:
            return await self._try(case, incident, looking)

    async def _try(self, case: Case, incident: IncidentRow, looking: Looking) -> bool:
        decision = await self._decide(case, incident.state, pays=True)
        if isinstance(decision, Plan):
            decision = await self._confirmer.confirm(case, decision)
        if isinstance(decision, Plan):
            decision = await self._lend(incident, decision)
        if isinstance(decision, Refusal):
            self._surveyor.pay_back(case)
            await looking.before_refusing(decision)
            await self._concluder.refuse(case, incident, decision)
            return False
        run = await self._begin(case, incident, decision)
        await looking.before_acting()
        return await self._carry_out(run)

    async def dry_run(self, case: Case, *, recorded: bool = False) -> DryRun | Refusal:
        """What would be done, without doing it: no lease, no incident; on record only when that is wanted."""
        waiting = {row.session: row.state for row in await self._book.open_incidents()}
        decision = await self._decide(case, waiting.get(case.session, IncidentState.OPEN), pays=False)
        # Whoever wants one certain checkpoint stands on no rung, and nothing else is tried for it.
        ladder = () if case.order else tuple(map(str, self._ward.ladder(case.finding)))
        if isinstance(decision, Refusal):
            found: DryRun | Refusal = decision
        else:
            found = _dry_run(case, decision, ladder, [await self._told(step) for step in decision.steps])
        if recorded:
            await self._record(case, found)
        return found

    async def _told(self, step: Step) -> str:
        """What a step would do, and to which files."""
        try:
            files = await self._host.healer.foresee(step.heal) if step.heal is not None else ""
        except SidecarError as error:
            files = str(error)
        return f"{step.describe()}: {files}" if files else step.describe()

    async def _record(self, case: Case, found: DryRun | Refusal) -> None:
        evidence = [asdict(fact) for fact in case.finding.evidence]
        detail: dict[str, Any] = {"cause": case.finding.cause, "evidence": evidence}
        if isinstance(found, Refusal):
            reason, sentence = str(found.reason), found.sentence
        else:
            reason, sentence = str(found.strategy), f"would be done: {', '.join(found.steps)}"
            detail |= {"strategy": found.strategy, "steps": found.steps, "fallback": found.fallback}
        await self._book.audit(
            Action.DRY_RUN,
            self._clock.wall(),
            session=case.session,
            actor=case.asker,
            reason=reason,
            detail={"sentence": sentence, **detail},
        )

    async def open(self, case: Case) -> IncidentRow:
        """Write down what is wrong, and why."""
        finding = case.finding
        # The wall clock may be set at any time, so the difference is taken anew.
        first_sign = finding.failure.first_sign + self._clock.wall() - self._clock.monotonic()
        incident = await self._book.open_incident(finding, first_sign, self._clock.wall())
        case.incident = incident
        errand.under(incident.trace)
        if incident.state is IncidentState.OPEN and not finding.program:
            # A crash may have come between two attempts: what was tried before it was in vain all the same.
            case.tried = await self._book.tried(incident.id)
        self._meter.failure(case.session, finding.failure.kind)
        self._meter.finding(finding.cause)
        self._log.say(
            Action.INCIDENT_OPENED,
            session=case.session,
            trace=incident.trace,
            failure=finding.failure.kind,
            unit=finding.failure.unit,
            cause=finding.cause,
            intent=finding.intent,
            evidence=[fact.fact for fact in finding.evidence],
        )
        return incident

    async def _decide(self, case: Case, incident: IncidentState, *, pays: bool) -> Plan | Refusal:
        situation = await self._surveyor.situation(case, incident)
        resume = await self._surveyor.resume(case, image_for(case, situation))
        # Others may have been let through while this was gathered; from here to the payment nothing waits.
        decision = choose(replace(situation, origins=self._surveyor.origins(situation)), resume)
        if pays and isinstance(decision, Plan):
            case.paid = self._surveyor.pay(case, situation.now)
        return await self._strain.admit(case, decision)

    async def _lend(self, incident: IncidentRow, plan: Plan) -> Plan | Refusal:
        """Take the permit that the decision has counted on; another session may have got it meanwhile."""
        own = rung_of(self._ward.ladder(plan.finding), plan.strategy).circuit
        circuit = await self._circuits.lend(permit_for(plan, incident), own)
        return rests(circuit, self._circuits.retry_after(circuit)) if circuit else plan

    async def _begin(self, case: Case, incident: IncidentRow, plan: Plan) -> Run:
        given_up = incident.state is IncidentState.GIVEN_UP
        mandate = mandate_of(case, plan, given_up=given_up)
        try:
            record = await self._book.begin_recovery(incident.id, mandate, self._clock.wall())
        except BaseException:
            self._circuits.give_back(permit_for(plan, incident))
            raise
        case.recovery = record.id
        if program := plan.finding.program:
            restarted = self._ward.restarted
            restarted[case.session, program] = restarted.get((case.session, program), 0) + 1
        self._log.say(
            Action.RECOVERY_BEGUN,
            session=case.session,
            trace=incident.trace,
            recovery=record.id,
            strategy=plan.strategy,
            steps=[step.describe() for step in plan.steps],
        )
        if case.stop:
            await self._book.stop_recovery(record.id, case.stop, self._clock.wall())
        case.reply(Ticket(record, undo=record.undo))
        return Run(case, incident, record, plan, self._clock.monotonic(), given_up)

    async def _carry_out(self, run: Run) -> bool:
        mark = mark_of(run.record)
        surgery = Surgery(
            self._tmux, self._book, self._host, self._checkpointer, self._pace, self._clock, run.case,
            run.plan, mark, say=partial(self._say, run), ward=self._ward, person=self._concluder.person,
            still=partial(self._examination.still, run.case.finding),
        )  # fmt: skip
        result = await self._executor.run(surgery, run.record, run.journal)
        result = replace(result, error=run.fault or result.error)
        goes_on = await self._judge(run, result, surgery.losses)
        if run.plan.strategy.own_name:
            await self._host.extensions.forget(mark)
        return goes_on

    def _say(self, run: Run, words: str) -> None:
        self._log.say(
            Action.STRATEGY_SAID,
            session=run.case.session,
            trace=run.incident.trace,
            recovery=run.record.id,
            strategy=run.plan.strategy,
            words=words,
        )

    async def _judge(self, run: Run, result: Result, losses: Sequence[Difference] = ()) -> bool:
        verdict, after = await self._verifier.verify(run.case, run.plan, whole=result.error is None)
        seen = self._clock.monotonic()
        # Before the end is written: whoever sees it may ask for the next recovery at once.
        with contextlib.suppress(SidecarError):
            await self._tmux.unmark(mark_of(run.record))
        losses = (*losses, *await passed_over(self._book, run.case, run.plan))
        verdict = replace(verdict, differences=(*verdict.differences, *losses))
        return await self._concluder.end(run, Conclusion(verdict, after, result, seen))

    async def _go_on(self, case: Case, unfinished: Unfinished) -> bool:
        """Take up what was cut off; counted first, so that what ends the sidecar does not do so for ever."""
        errand.under(unfinished.incident.trace)
        run = resumed(case, unfinished, self._clock)
        count = await insist(
            lambda: self._book.take_up(run.record.id, self._clock.wall()), self._clock, self._log
        )
        if not count:
            return False
        self._log.say(
            Action.RECOVERY_RESUMED,
            level="warning",
            session=case.session,
            trace=run.incident.trace,
            recovery=run.record.id,
            resumed=count,
        )
        case.reply(Ticket(run.record, undo=run.record.undo))
        given_up = too_often(run, count, self._executor.tmux)
        if given_up is not None:
            return await self._judge(run, given_up)
        if not run.journal.touched and (refusal := await self._confirmer.stale(case)) is not None:
            error = Permanent(refusal.sentence, hint=refusal.hint)
            return await self._judge(run, Result(TransactionOutcome.COMPENSATED, error))
        return await self._carry_out(run)


def _dry_run(case: Case, plan: Plan, ladder: tuple[str, ...], steps: Sequence[str]) -> DryRun:
    return DryRun(
        plan.strategy,
        tuple(steps),
        case.finding.cause,
        tuple(asdict(fact) for fact in case.finding.evidence),
        ladder,
        tuple(map(str, plan.fallback)),
    )
