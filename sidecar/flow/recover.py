"""The pipeline: signal -> failure -> cause -> plan -> execution -> verdict -> record.

``recover`` is the whole of it on one screen. A lease (``Ward.cases``) is held by the caller for as
long as it runs, so a session is never healed twice at once.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, replace

from sidecar.clock import Clock
from sidecar.decide.breaker import BreakerEvent
from sidecar.decide.choose import choose
from sidecar.decide.detect import await_entry, recall
from sidecar.decide.judge import judge
from sidecar.decide.judge_facts import Gap, told
from sidecar.decide.restore import Resume, held, obstacle, server_unknown
from sidecar.decide.resume import Spot, resumption
from sidecar.decide.situation import Limits, Situation
from sidecar.decide.workspace import resume_rules
from sidecar.errors import Permanent, SidecarError, Undone
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.circuits import Circuits
from sidecar.flow.claims import gather_claims
from sidecar.flow.examine import Examination
from sidecar.flow.execute import Executor, insist
from sidecar.flow.pace import Pace
from sidecar.flow.person import Person
from sidecar.flow.ports import Book, Host, Logbook, Meter, Tmux
from sidecar.flow.steps import Surgery
from sidecar.flow.ward import Case, Standstill, Ward
from sidecar.model.incident import Asker, Finding, IncidentState, Unit
from sidecar.model.plan import (
    Difference,
    Entry,
    Expectation,
    Outcome,
    Plan,
    Refusal,
    RefusalReason,
    Resumption,
    Strategy,
    Undo,
    Verdict,
)
from sidecar.model.record import Action, Ending, HoldBack, IncidentRow, RecoveryRow
from sidecar.model.session import Checkpoint, Look, Operation, Presence, SavedPane, SessionImage, image_of
from sidecar.model.status import Rehearsed, Ticket

_VERIFY_SECONDS = 10.0
_VERIFY_FINAL = 1.0
"""Seconds in which the rest may still appear, once it is plain that the whole will not."""
_VERIFY_FIRST_PAUSE = 0.005
_VERIFY_LAST_PAUSE = 0.1

_STATE_AFTER = {
    RefusalReason.GIVEN_UP: IncidentState.GIVEN_UP,
    RefusalReason.STALE: IncidentState.DISMISSED,
    RefusalReason.HEALTHY: IncidentState.DISMISSED,
}
"""Where a refusal leaves an incident; every other one leaves it held."""


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
        self._person = person
        self._pace = pace
        self._examination = examination

    async def recover(self, case: Case) -> None:
        """Decide, act, verify, record. The case's ``answer`` is set as soon as it is decided."""
        incident = await self._open(case)
        decision = await self._decide(case, incident.state)
        if isinstance(decision, Plan):
            decision = await self._confirm(case, decision)
        if isinstance(decision, Refusal):
            await self._refuse(case, incident, decision)
            return
        record = await self._begin(case, incident, decision)
        began = self._clock.monotonic()
        surgery = Surgery(
            self._tmux, self._book, self._host, self._checkpointer, self._pace, self._clock, case, decision
        )
        error = await self._executor.run(surgery, record)
        verdict, after = await self._verify(case, decision, error)
        verdict = replace(verdict, differences=(*verdict.differences, *surgery.losses))
        await self._end(case, incident, record, decision, verdict, after, error, began)

    async def rehearse(self, case: Case) -> Rehearsed | Refusal:
        """What would be done, without doing it: no lease, no incident, nothing on record."""
        waiting = {row.session: row.state for row in await self._book.open_incidents()}
        decision = await self._decide(case, waiting.get(case.session, IncidentState.OPEN))
        return decision if isinstance(decision, Refusal) else _rehearsed(case, decision)

    async def _open(self, case: Case) -> IncidentRow:
        finding = case.finding
        # The wall clock may be set at any time, so the difference is taken anew.
        first_sign = finding.failure.first_sign + self._clock.wall() - self._clock.monotonic()
        incident = await self._book.open_incident(finding, first_sign, self._clock.wall())
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

    async def _decide(self, case: Case, incident: IncidentState) -> Plan | Refusal:
        situation = await self._situation(case, incident)
        return choose(situation, await self._resume(case, _image_of(case, situation)))

    async def _situation(self, case: Case, incident: IncidentState) -> Situation:
        settings, now = self._ward.settings.recovery, self._clock.wall()
        pace, period = settings.slow_retry, settings.per_session.period
        checkpoint = await self._checkpoint(case)
        workspace = self._ward.workspace(case.session)
        folders = _folders(checkpoint.image) if checkpoint else set()
        declared = workspace.folders if workspace else frozenset()
        return Situation(
            finding=case.finding,
            asker=case.asker,
            managed=not case.session or self._ward.manages(case.session, case.before),
            released=case.session in self._ward.released,
            restore=self._ward.restore_policy(case.session),
            mode=settings.mode,
            ladder=self._ward.ladder(case.finding.failure),
            limits=Limits(settings.per_session, settings.overall, pace, settings.circuit),
            now=now,
            look=self._ward.look,
            session=case.before,
            checkpoint=checkpoint,
            workspace=workspace,
            order=case.order,
            asked_strategy=case.strategy,
            recent=await self._book.recoveries_since(case.session, now - max(pace, period)),
            relapsed=await self._book.given_up_since(case.session, now - 2 * pace - period),
            origins=await self._book.origins_since(now - settings.overall.period),
            circuits=self._circuits.states,
            incident=incident,
            # A folder of a server that does not answer takes its time.
            missing=await asyncio.to_thread(self._host.missing_folders, folders | declared),
            folders=await asyncio.to_thread(self._host.real_folders, declared) if declared else (),
        )

    async def _checkpoint(self, case: Case) -> Checkpoint | None:
        if case.order is not None:
            return case.order.checkpoint
        return await self._book.newest_checkpoint(case.session) if case.session else None

    async def _resume(self, case: Case, image: SessionImage | None) -> Resume:
        """How the programs of this image come back: by the user's rules, by what a workspace file
        starts, by ours; with all that other panes have a claim to."""
        claims = await gather_claims(self._ward, self._book, self._host, case, image)
        workspace = self._ward.workspace(case.session)
        rules = (*self._ward.settings.resume, *(resume_rules(workspace) if workspace else ()))

        def resume_pane(pane: SavedPane, window: int, shell: str) -> Resumption | None:
            found = resumption(pane, Spot(case.session, window, shell, claims), rules)
            return held(found) if case.order is not None and case.order.holds else found

        return resume_pane

    async def _confirm(self, case: Case, plan: Plan) -> Plan | Refusal:
        """Look again at the moment of action: what was broken must still be, and be the same break."""
        look = await self._tmux.look()
        examined = self._examination.owns(case.finding)
        if look.presence is Presence.UNKNOWN and not examined:
            return server_unknown(look)
        if await self._examination.still(case.finding, look) if examined else _all_broken(case, look):
            return await self._safeguard(case, plan)
        return Refusal(RefusalReason.STALE, "it came back, or changed, before anything was done")

    async def _safeguard(self, case: Case, plan: Plan) -> Plan | Refusal:
        """Before a living session is taken away, what it is now is stored, so that it can come back."""
        if case.order is None or not case.order.replaces:
            return plan
        assert case.before is not None
        saved = await self._checkpointer.save(case.before, Operation.BEFORE_RECOVERY)
        if isinstance(saved, HoldBack):
            return Refusal(
                RefusalReason.NO_CHECKPOINT,
                f"the present state cannot be stored, so it is not replaced: {saved.sentence}",
                hint="Ask again in a minute.",
                retry_after=60.0,
            )
        image, resume = saved.image, await self._resume(case, saved.image)
        resumptions = (
            resume(pane, window.index, image.default_shell)
            for window in image.windows
            for pane in window.panes
        )
        first, *others = plan.steps
        return replace(
            plan,
            steps=(replace(first, undo=saved.id), *others),
            undo=Undo(saved, tuple(one for one in resumptions if one is not None)),
        )

    async def _refuse(self, case: Case, incident: IncidentRow, refusal: Refusal) -> None:
        state = self._state_after(case, incident, refusal)
        await self._book.refuse(case.session, refusal, case.asker, self._clock.wall(), incident.id, state)
        self._meter.refusal(refusal.reason)
        self._log.say(
            Action.REFUSED,
            level="warning",
            session=case.session,
            trace=incident.trace,
            reason=refusal.reason,
            sentence=refusal.sentence,
            hint=refusal.hint,
        )
        if state is not IncidentState.DISMISSED and case.asker is Asker.WATCHER:
            now = self._clock.monotonic()
            retry_at = None if refusal.retry_after is None else now + refusal.retry_after
            parts = case.finding.failure.broken
            self._ward.hold(case.session, Standstill(parts, refusal.reason, refusal.sentence, retry_at), now)
        case.reply(refusal)
        if refusal.reason is RefusalReason.GIVEN_UP and incident.state is not IncidentState.GIVEN_UP:
            await self._person.call(case.session, f"sidecar: {refusal.sentence}. {refusal.hint}")

    def _state_after(self, case: Case, incident: IncidentRow, refusal: Refusal) -> IncidentState:
        """What was refused to somebody who asked changes nothing about what the watcher waits for."""
        if case.asker is Asker.WATCHER or refusal.reason in _STATE_AFTER:
            return _STATE_AFTER.get(refusal.reason, IncidentState.HELD)
        if case.session and case.session not in self._ward.expected:
            return IncidentState.DISMISSED
        return IncidentState.HELD if incident.state is IncidentState.OPEN else incident.state

    async def _begin(self, case: Case, incident: IncidentRow, plan: Plan) -> RecoveryRow:
        await self._circuits.lend(plan.strategy)
        record = await self._book.begin_recovery(incident.id, plan, case.asker, self._clock.wall())
        self._log.say(
            Action.RECOVERY_BEGUN,
            session=case.session,
            trace=incident.trace,
            recovery=record.id,
            strategy=plan.strategy,
            steps=[step.describe() for step in plan.steps],
        )
        case.reply(Ticket(record, undo=plan.undo.checkpoint.id if plan.undo else 0))
        return record

    async def _verify(self, case: Case, plan: Plan, error: SidecarError | None) -> tuple[Verdict, Look]:
        """Look until the expectation holds or the time is over; programs take a moment to appear."""
        deadline = self._clock.monotonic() + (0.0 if error else _VERIFY_SECONDS)
        pause = _VERIFY_FIRST_PAUSE
        while True:
            after = await self._tmux.look()
            verdict = judge(plan.expectation, case.look, after)
            if verdict.holds and plan.strategy is Strategy.RESTORE_CHECKPOINT and error is None:
                verdict = await self._inspect(case, plan.expectation, after)
            if verdict.holds and self._examination.owns(case.finding):
                verdict = await self._reexamine(case.finding, after, verdict)
            now = self._clock.monotonic()
            if verdict.holds or now >= deadline:
                return verdict, after
            if verdict.final:
                deadline = min(deadline, now + _VERIFY_FINAL)
            await self._clock.sleep(pause)
            pause = min(pause * 2, _VERIFY_LAST_PAUSE)

    async def _reexamine(self, finding: Finding, after: Look, verdict: Verdict) -> Verdict:
        """Only whoever has found it can tell whether it is over."""
        if not await self._examination.still(finding, after):
            return verdict
        where = finding.failure.session or "tmux server"
        gap = Difference(where, finding.cause, wanted="over", found="still so", tolerated=False)
        return replace(verdict, holds=False, differences=(*verdict.differences, gap))

    async def _inspect(self, case: Case, expectation: Expectation, after: Look) -> Verdict:
        """What a look does not tell of a rebuilt session: options, environment, what it shares."""
        image = expectation.image
        session = after.find(image.name) if image else None
        if image is None or session is None:
            return judge(expectation, case.look, after)
        private = not image.origin.environment
        try:
            found = await self._tmux.capture(session, after, 0, self._clock.wall(), private)
        except SidecarError as error:
            gap = Gap("captured", str(error))
            return Verdict(False, (told(f"session {image.name}", gap, "details"),))
        return await asyncio.to_thread(judge, expectation, case.look, after, found.image)

    async def _end(
        self,
        case: Case,
        incident: IncidentRow,
        record: RecoveryRow,
        plan: Plan,
        verdict: Verdict,
        after: Look,
        error: SidecarError | None,
        began: float,
    ) -> None:
        ended = self._clock.monotonic()
        verified = verdict.holds and error is None
        outcome = Outcome.VERIFIED if verified else _failed(error)
        took = ended - case.finding.failure.first_sign if verified else None
        sentence = str(error) if error else verdict.sentence()
        ending = Ending(
            recovery=record.id,
            incident=incident.id,
            outcome=outcome,
            verdict=sentence,
            differences=tuple(asdict(difference) for difference in verdict.differences),
            compared=verdict.compared,
            duration=ended - began,
            time_to_recovery=took,
            at=self._clock.wall(),
            given_up=incident.state is IncidentState.GIVEN_UP,
        )
        await insist(lambda: self._book.end_recovery(ending), self._clock, self._log)
        await insist(
            lambda: self._circuits.settle(plan.strategy, _circuit_event(verified, error)),
            self._clock,
            self._log,
        )
        self._meter.recovery(case.finding.failure.kind, plan.strategy, outcome, ending.duration, took)
        if plan.checkpoint is not None and verified:
            self._meter.checkpoint_restored(ending.duration)
        self._settle(case, plan, after, error)
        if verified:
            self._ward.setbacks.pop(case.session, None)
        else:
            self._ward.set_back(case.session, ended)
        if plan.workspace is not None and isinstance(error, Permanent):
            self._wait_for_a_better_file(case, sentence)
        self._log.say(
            Action.RECOVERY_ENDED,
            level="info" if verified else "error",
            session=case.session,
            trace=incident.trace,
            recovery=record.id,
            outcome=outcome,
            verdict=sentence,
            seconds=round(took if took is not None else ending.duration, 4),
        )
        if not verified:
            await self._person.call(case.session, f"sidecar: recovery of {case.session} failed: {sentence}")

    def _settle(self, case: Case, plan: Plan, after: Look, error: SidecarError | None) -> None:
        """From now on, what is there is what has to be there."""
        self._ward.standstills.pop(case.session, None)
        # A plan that was cut short has not dealt with them: they are the evidence of the next attempt.
        for part in () if error else case.finding.failure.broken:
            self._ward.exits.pop(part.pid, None)
        live = after.find(case.session) if after.presence is Presence.PRESENT else None
        if live is not None and plan.strategy is Strategy.RESTORE_CHECKPOINT and plan.checkpoint is not None:
            live = recall(live, plan.checkpoint.image)
        if live is not None and plan.expectation.image is not None:
            held = [(r.window, r.pane) for r in plan.expectation.resumptions if r.entry is Entry.HELD]
            live = await_entry(live, plan.expectation.image, held)
        if live is None:
            return
        entry = self._ward.expect(after, live)
        if case.order is not None:
            self._checkpointer.believe(entry.name, entry.instance)

    def _wait_for_a_better_file(self, case: Case, sentence: str) -> None:
        """What a file says wrong is as wrong at the next look: no script of it runs again at each."""
        now = self._clock.monotonic()
        retry_at = now + self._ward.settings.recovery.slow_retry
        still = Standstill(case.finding.failure.broken, RefusalReason.GIVEN_UP, sentence, retry_at)
        self._ward.hold(case.session, still, now)


def _image_of(case: Case, situation: Situation) -> SessionImage | None:
    """The session as its programs are to come back."""
    if case.before is not None and case.order is None:
        return image_of(case.before, width=0, height=0)
    return situation.checkpoint.image if situation.checkpoint else None


def _failed(error: SidecarError | None) -> Outcome:
    return Outcome.COMPENSATED if isinstance(error, Undone) else Outcome.FAILED


def _folders(image: SessionImage) -> set[str]:
    panes = {pane.cwd for window in image.windows for pane in window.panes}
    return panes | {image.path} if image.path else panes


def _circuit_event(verified: bool, error: SidecarError | None) -> BreakerEvent:
    if verified:
        return BreakerEvent.SUCCESS
    return BreakerEvent.CANCELLED if isinstance(error, Permanent) else BreakerEvent.FAILURE


def _rehearsed(case: Case, plan: Plan) -> Rehearsed:
    return Rehearsed(
        plan.strategy,
        tuple(step.describe() for step in plan.steps),
        case.finding.cause,
        tuple(asdict(fact) for fact in case.finding.evidence),
    )


def _all_broken(case: Case, look: Look) -> bool:
    return all(
        _still_broken(case, part.unit, part.pane, part.pid, look) for part in case.finding.failure.broken
    )


def _still_broken(case: Case, unit: Unit, pane_id: str, pid: int, look: Look) -> bool:
    if unit is Unit.SOCKET:
        return look.presence is Presence.ABSENT
    if unit is Unit.WINDOW or (case.order is not None and case.order.replaces):
        return _still_there(case, look)
    if unit in (Unit.SESSION, Unit.SERVER):
        return look.presence is Presence.ABSENT or look.find(case.session) is None
    pane = look.pane(pane_id)
    if pane is None:
        return False
    if unit is Unit.PANE:
        return pane.dead and pane.pid == pid
    before = next((p for p in case.before.panes() if p.id == pane_id), None) if case.before else None
    return before is not None and pane.pid == before.pid and pane.program is None and not pane.dead


def _still_there(case: Case, look: Look) -> bool:
    """A restore into or over a living session: it is the same one, and nothing stands in the way."""
    assert case.order is not None
    live = look.find(case.session)
    same = live is not None and case.before is not None and live.id == case.before.id
    return same and obstacle(case.order, look, ()) is None
