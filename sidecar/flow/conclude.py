"""What became of a case: written into the book, told to whoever asked, and remembered for the next look."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass, field

from sidecar.clock import Clock
from sidecar.decide import climb
from sidecar.decide.breaker import BreakerEvent
from sidecar.decide.fallback import WHOLE
from sidecar.decide.remember import await_entry, recall
from sidecar.decide.supervise import BY_RULE
from sidecar.errors import HealInVain, Permanent, SidecarError, Stopped, StoreUnavailable
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.circuits import Circuits, permit_for
from sidecar.flow.execute import Result, insist
from sidecar.flow.person import Person
from sidecar.flow.ports import Book, Logbook, Meter
from sidecar.flow.ward import Case, Standstill, Ward
from sidecar.model.check import CheckRow, name_of
from sidecar.model.incident import Asker, Cause, IncidentState
from sidecar.model.ladder import Footing
from sidecar.model.notice import Matter
from sidecar.model.plan import Entry, Outcome, Plan, Refusal, RefusalReason, Resort, Strategy, Verdict
from sidecar.model.record import Action, Ending, IncidentRow, KnownSession, RecoveryRow
from sidecar.model.saga import Journal, TransactionOutcome
from sidecar.model.session import Look, Presence

_STATE_AFTER = {
    RefusalReason.GIVEN_UP: IncidentState.GIVEN_UP,
    RefusalReason.HEALS_IN_VAIN: IncidentState.GIVEN_UP,
    RefusalReason.STALE: IncidentState.DISMISSED,
    RefusalReason.HEALTHY: IncidentState.DISMISSED,
}
"""Where a refusal leaves an incident; every other one leaves it held."""
_AS_WANTED = (Outcome.VERIFIED, Outcome.STOPPED)
"""Outcomes after which nobody has to be called, and nothing rests."""

_TOLD_ONCE = frozenset(
    {
        RefusalReason.NO_CURE,
        RefusalReason.REPORT_ONLY,
        RefusalReason.NETWORK_DOWN,
        RefusalReason.DEPENDENCY_DOWN,
        RefusalReason.WAITS_FOR_PROGRAM,
        RefusalReason.INTENSITY_EXCEEDED,
    }
)
"""What a person is told of when it begins, since nothing else will be done about it."""


@dataclass(frozen=True, slots=True)
class Run:
    """One recovery under way."""

    case: Case
    incident: IncidentRow
    record: RecoveryRow
    plan: Plan
    began: float
    """Monotonic seconds."""
    given_up: bool = False
    """The session had been given up when it began: one attempt at the slow pace."""
    journal: Journal = field(default_factory=Journal)
    """What an earlier run of the sidecar has done of it."""
    fault: SidecarError | None = None
    """Why it can only be taken back."""


@dataclass(frozen=True, slots=True)
class Conclusion:
    """What a run has come to."""

    verdict: Verdict
    after: Look
    result: Result
    seen: float
    """When the verdict was reached, in monotonic seconds."""

    @property
    def error(self) -> SidecarError | None:
        return self.result.error

    @property
    def verified(self) -> bool:
        return self.verdict.holds and self.error is None

    @property
    def outcome(self) -> Outcome:
        if self.verified:
            return Outcome.VERIFIED
        if self.result.outcome is TransactionOutcome.STUCK:
            return Outcome.STUCK
        if isinstance(self.error, Stopped):
            return Outcome.STOPPED
        return Outcome.COMPENSATED if self.result.undone else Outcome.FAILED

    @property
    def sentence(self) -> str:
        if self.error is None:
            return self.verdict.sentence()
        if self.outcome is Outcome.STUCK:
            return f"{self.error}; and it could not be undone. Run: {'; '.join(self.result.commands)}"
        undone = "; what had been done is undone" if self.result.undone else ""
        return f"{self.error}{undone}"


@dataclass(frozen=True, slots=True)
class Concluder:
    """Brings cases to their end."""

    ward: Ward
    book: Book
    clock: Clock
    meter: Meter
    log: Logbook
    checkpointer: Checkpointer
    circuits: Circuits
    person: Person

    async def refuse(self, case: Case, incident: IncidentRow, refusal: Refusal) -> None:
        state = self._state_after(case, incident, refusal)
        await self.book.refuse(case.session, refusal, case.asker, self.clock.wall(), incident.id, state)
        self.meter.refusal(refusal.reason)
        self.log.say(
            Action.REFUSED,
            level="warning",
            session=case.session,
            trace=incident.trace,
            reason=refusal.reason,
            sentence=refusal.sentence,
            hint=refusal.hint,
        )
        now = self.clock.monotonic()
        if case.tried:
            self._rest(case, now)
        elif refusal.reason in BY_RULE:
            # Whoever asks anew knows when there is reason to.
            pass
        elif state is not IncidentState.DISMISSED and case.asker is Asker.WATCHER:
            retry_at = None if refusal.retry_after is None else now + refusal.retry_after
            self.ward.hold(case.session, _standstill(case, refusal.reason, refusal.sentence, retry_at), now)
        case.reply(refusal)
        exceeded = refusal.reason is RefusalReason.INTENSITY_EXCEEDED
        given_up = state is IncidentState.GIVEN_UP and incident.state is not IncidentState.GIVEN_UP
        # A program is brought here once, whatever its session's incident waits for.
        first = incident.state is IncidentState.OPEN or bool(case.finding.program)
        helpless = refusal.reason in _TOLD_ONCE and first
        in_vain = bool(case.tried) and state is not IncidentState.DISMISSED
        if given_up or helpless or in_vain:
            matter = _given_up(refusal) if given_up or exceeded else _held(case)
            text = f"{refusal.sentence}. {refusal.hint}"
            await self.person.tell(matter, case.session, text, incident.trace, case.finding.failure.check)

    async def end(self, run: Run, found: Conclusion) -> bool:
        """Write it down. Whether something else is to be tried at once, for the same incident."""
        goes_on = self._goes_on(run, found)
        ended = found.seen
        there = self._there(run.case.session, found.after)
        case, plan = run.case, run.plan
        took = ended - case.finding.failure.first_sign if found.verified else None
        ending = Ending(
            recovery=run.record.id,
            incident=run.incident.id,
            outcome=found.outcome,
            verdict=found.sentence,
            differences=tuple(asdict(difference) for difference in found.verdict.differences),
            compared=found.verdict.compared,
            duration=ended - run.began,
            time_to_recovery=took,
            at=self.clock.wall(),
            given_up=run.given_up or found.outcome is Outcome.STUCK,
            transaction=found.result.outcome,
            commands=found.result.commands,
            goes_on=goes_on,
            footing=_footing(run, found, self.clock.wall()),
            there=there,
            check=self._check_row(case, found),
        )
        # Before it is on record: who reads of it there and asks again means another recovery.
        case.in_vain = not goes_on and found.outcome not in _AS_WANTED
        await insist(lambda: self.book.end_recovery(ending), self.clock, self.log)
        if ending.check is not None:
            self.ward.checks[ending.check.name] = ending.check
            self.meter.healed(ending.check.name, found.outcome)
        if there is not None:
            self.ward.written[there.name] = there.instance
            self.log.say(Action.SESSION_ADOPTED, session=there.name)
        event = _circuit_event(run, found)
        permit = permit_for(plan, run.incident)
        # It counts once, however often it takes until it is written.
        with contextlib.suppress(StoreUnavailable):
            await self.circuits.settle(permit, event, ending.duration)
        await insist(self.circuits.catch_up, self.clock, self.log)
        self.meter.recovery(
            case.finding.failure.kind, plan.strategy.family, found.outcome, ending.duration, took
        )
        if plan.checkpoint is not None and found.verified:
            self.meter.checkpoint_restored(ending.duration)
        self.meter.transaction(found.result.outcome)
        if ending.footing is not None:
            self.ward.footings[case.session, case.finding.failure.kind] = ending.footing
        if plan.workspace is not None and isinstance(found.error, Permanent):
            case.bad_file = found.sentence
        if goes_on:
            case.tried = (*case.tried, _resort(plan))
            self._tell(run, found, ending)
            return True
        self._settle(case, plan, found)
        if found.outcome in _AS_WANTED:
            self.ward.setbacks.pop(case.session, None)
        else:
            self._rest(case, ended, found.sentence if found.outcome is Outcome.STUCK else "")
        self._tell(run, found, ending)
        await self._tell_a_person(run, found)
        return False

    def _check_row(self, case: Case, found: Conclusion) -> CheckRow | None:
        """The check that it was about, with one more heal in vain where it has not helped."""
        name, now = case.finding.failure.check, self.clock.wall()
        if not name or found.outcome is Outcome.STOPPED:
            return None
        return CheckRow(name, not found.verified, 0 if found.verified else self.ward.vain(name) + 1, now)

    def _there(self, name: str, after: Look) -> KnownSession | None:
        """What the book has to know with the end: whoever stops here must not take it for never made."""
        live = after.find(name) if after.presence is Presence.PRESENT else None
        if live is None or name in self.ward.released or not self.ward.manages(name, live):
            return None
        known = self.ward.known(after, live, self.clock.wall())
        return None if self.ward.written.get(name) == known.instance else known

    async def _tell_a_person(self, run: Run, found: Conclusion) -> None:
        name, trace = run.case.session, run.incident.trace
        check = run.case.finding.failure.check
        what = name or "the tmux server"
        if program := run.case.finding.program:
            what = f"{program} of {name}"
        if _ended_again(run, found):
            # Its rule says when a person hears of it.
            return
        if found.outcome not in _AS_WANTED:
            matter = Matter.STUCK if found.outcome is Outcome.STUCK else Matter.RECOVERY_FAILED
            text = f"recovery of {what} {found.outcome}: {found.sentence}"
            await self.person.tell(matter, name, text, trace, check)
        elif found.verified:
            tried = f"; in vain: {', '.join(map(str, run.case.tried))}" if run.case.tried else ""
            text = f"{what} is back by {_resort(run.plan)}: {found.sentence}{tried}"
            await self.person.tell(Matter.RECOVERED, name, text, trace, check)

    def _rest(self, case: Case, now: float, stuck: str = "") -> None:
        """The watcher leaves the session alone for a while after this; a program has rests of its own."""
        if case.finding.program:
            return
        self.ward.set_back(case.session, now)
        # What a file says wrong is as wrong at the next look: no script of it runs again at each.
        if why := stuck or case.bad_file:
            retry_at = now + self.ward.settings.recovery.slow_retry
            self.ward.hold(case.session, _standstill(case, RefusalReason.GIVEN_UP, why, retry_at), now)

    def _tell(self, run: Run, found: Conclusion, ending: Ending) -> None:
        seconds = ending.time_to_recovery if found.verified else ending.duration
        self.log.say(
            Action.RECOVERY_ENDED,
            level="info" if found.outcome in _AS_WANTED else "error",
            session=run.case.session,
            trace=run.incident.trace,
            recovery=run.record.id,
            outcome=found.outcome,
            verdict=found.sentence,
            commands=found.result.commands,
            seconds=round(seconds or 0.0, 4),
        )

    def _goes_on(self, run: Run, found: Conclusion) -> bool:
        """Whether another way may do: nothing of the session is there, and it can be seen that it is not."""
        in_vain = found.outcome in (Outcome.FAILED, Outcome.COMPENSATED)
        if not in_vain or not run.plan.fallback or run.case.stop or self.ward.draining:
            return False
        whole = run.case.finding.failure.unit in WHOLE
        gone = found.after.presence is not Presence.UNKNOWN and found.after.find(run.case.session) is None
        return whole and gone and not isinstance(found.error, StoreUnavailable)

    def _state_after(self, case: Case, incident: IncidentRow, refusal: Refusal) -> IncidentState:
        """What was refused to somebody who asked changes nothing about what the watcher waits for."""
        if case.tried and refusal.reason not in _STATE_AFTER:
            given_up = incident.state is IncidentState.GIVEN_UP
            return IncidentState.GIVEN_UP if given_up else IncidentState.FAILED
        if case.asker is Asker.WATCHER or refusal.reason in _STATE_AFTER:
            return _STATE_AFTER.get(refusal.reason, IncidentState.HELD)
        if case.session and case.session not in self.ward.expected and not name_of(case.session):
            return IncidentState.DISMISSED
        return IncidentState.HELD if incident.state is IncidentState.OPEN else incident.state

    def _settle(self, case: Case, plan: Plan, found: Conclusion) -> None:
        """From now on, what is there is what has to be there."""
        after = found.after
        self.ward.standstills.pop(case.session, None)
        # A plan that was cut short has not dealt with them: they are the evidence of the next attempt.
        for part in () if found.error else case.finding.failure.broken:
            self.ward.exits.pop(part.pid, None)
        live = after.find(case.session) if after.presence is Presence.PRESENT else None
        if live is not None and plan.strategy is Strategy.RESTORE_CHECKPOINT and plan.checkpoint is not None:
            live = recall(live, plan.checkpoint.image)
        if live is not None and plan.expectation.image is not None:
            held = [(r.window, r.pane) for r in plan.expectation.resumptions if r.entry is Entry.HELD]
            live = await_entry(live, plan.expectation.image, held)
        if live is None:
            return
        entry = self.ward.expect(after, live)
        if case.order is not None:
            self.checkpointer.believe(entry.name, entry.instance)


def _given_up(refusal: Refusal) -> Matter:
    return Matter.HEAL_GIVEN_UP if refusal.reason is RefusalReason.HEALS_IN_VAIN else Matter.GIVEN_UP


def _held(case: Case) -> Matter:
    return Matter.CHECK_FAILED if case.finding.cause is Cause.CHECK_FAILED else Matter.HELD


def _resort(plan: Plan) -> Resort:
    return Resort(plan.strategy, plan.manner)


def _footing(run: Run, found: Conclusion, now: float) -> Footing | None:
    """Where the session stands after this: a last resort is no rung, and nor is a certain checkpoint."""
    plan, finding = run.plan, run.case.finding
    created = finding.cause is Cause.NEVER_STARTED and found.verified
    if run.case.order is not None or plan.strategy is Strategy.BARE_SESSION or created or finding.program:
        return None
    # What did only because the rung's own strategy could not be used is no rung that was climbed to.
    stood = found.verified and plan.attempt == 1 and plan.rung is not None
    strategy = plan.rung if stood and plan.rung is not None else plan.strategy
    return climb.footing(finding, strategy, held=found.verified, alert=run.case.alert, now=now)


def _ended_again(run: Run, found: Conclusion) -> bool:
    """Whether a program was started as its rule wants it, and did not stay."""
    return bool(run.case.finding.program) and found.error is None and not found.verified


def _circuit_event(run: Run, found: Conclusion) -> BreakerEvent:
    if found.verified:
        return BreakerEvent.SUCCESS
    if _ended_again(run, found):
        # The strategy has done what it could: nobody else is to be refused it for that.
        return BreakerEvent.CANCELLED
    cancelled = isinstance(found.error, Permanent) and not isinstance(found.error, HealInVain)
    return BreakerEvent.CANCELLED if cancelled else BreakerEvent.FAILURE


def _standstill(case: Case, reason: RefusalReason, sentence: str, retry_at: float | None) -> Standstill:
    failure = case.finding.failure
    return Standstill(failure.broken, failure.kind, reason, sentence, retry_at)
