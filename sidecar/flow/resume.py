"""What a plan needs to be gone on with by another run of the sidecar, and how that run takes it up."""

from __future__ import annotations

from dataclasses import replace

from sidecar.clock import Clock
from sidecar.decide.by_hand import again_commands, undo_commands
from sidecar.errors import GivenUp, PlanUnreadable
from sidecar.flow.conclude import Run
from sidecar.flow.execute import Result
from sidecar.flow.steps import UNDOABLE
from sidecar.flow.ward import Case
from sidecar.model.incident import Broken, Evidence, Failure, Finding, Unit
from sidecar.model.plan import Expectation, Plan, Step, StepKind
from sidecar.model.record import IncidentRow, RecoveryRow, Unfinished
from sidecar.model.saga import ENDED, AttemptState, Journal, Mandate, Phase, TransactionOutcome
from sidecar.model.session import Look, Presence

RESUMPTIONS = 3
"""How often a recovery is taken up; one that has ended the sidecar each time is left to a person."""
_UNREADABLE = "its plan cannot be read any more"


def mark_of(record: RecoveryRow) -> str:
    """The word that a recovery leaves on what it does in tmux. Ids alone come again in a new database."""
    return f"{record.trace}-{record.id}"


def mandate_of(case: Case, plan: Plan, *, given_up: bool) -> Mandate:
    """What the next run has to know of this one."""
    look = case.look
    present = look is not None and look.presence is Presence.PRESENT
    return Mandate(
        plan=plan,
        asker=case.asker,
        before=case.before,
        server=look.server if look is not None else None,
        seen=look.find(case.session) if look is not None and present else None,
        order=case.order,
        given_up=given_up,
    )


def case_of(unfinished: Unfinished, clock: Clock) -> Case:
    """The case that another run was cut off from."""
    mandate, row = unfinished.mandate, unfinished.incident
    # Monotonic seconds of another boot mean nothing here; and the clock may have been set back since.
    first_sign = clock.monotonic() - max(clock.wall() - row.first_sign, 0.0)
    finding = mandate.plan.finding if mandate is not None else _finding_of(row)
    finding = replace(finding, failure=replace(finding.failure, first_sign=first_sign))
    asker = mandate.asker if mandate is not None else unfinished.recovery.asker
    return Case(
        finding=finding,
        before=mandate.before if mandate is not None else None,
        asker=asker,
        look=_look_of(mandate, first_sign),
        order=mandate.order if mandate is not None else None,
        unfinished=unfinished,
        recovery=unfinished.recovery.id,
        stop=unfinished.journal.stop,
        wanted=set(unfinished.wanted),
        tried=unfinished.tried,
    )


def resumed(case: Case, unfinished: Unfinished, clock: Clock) -> Run:
    """The run of a case that was cut off. Without its plan, only back as far as the journal tells."""
    record, mandate = unfinished.recovery, unfinished.mandate
    began = clock.monotonic() - max(clock.wall() - record.begun, 0.0)
    if mandate is None:
        plan, journal = _plan_of(record, case.finding), _given_up(unfinished.journal)
        case.stop = _UNREADABLE
        fault = PlanUnreadable(_UNREADABLE, hint="It was written by another release, or is damaged.")
        return Run(case, unfinished.incident, record, plan, began, journal=journal, fault=fault)
    return Run(case, unfinished.incident, record, mandate.plan, began, mandate.given_up, unfinished.journal)


def too_often(run: Run, count: int, tmux: str) -> Result | None:
    """The end of a recovery in the middle of which the sidecar has ended each time; None if it may go on."""
    if count <= RESUMPTIONS:
        return None
    touched = {each.seq for each in run.journal.attempts if each.begun is not None}
    steps = [run.plan.steps[seq] for seq in sorted(touched, reverse=True) if seq < len(run.plan.steps)]
    undoable = (step for step in steps if step.kind in UNDOABLE)
    undo = (line for step in undoable for line in undo_commands(run.plan, step, tmux))
    error = GivenUp(
        f"it was taken up {RESUMPTIONS} times, and the sidecar ended in the middle of it each time",
        hint="The log of the sidecar's end tells why.",
    )
    commands = (*dict.fromkeys((*undo, *again_commands(run.plan.session))),)
    return Result(TransactionOutcome.STUCK, error, commands=commands)


def _look_of(mandate: Mandate | None, taken: float) -> Look | None:
    """As much of the look that the failure was found in as a verdict compares with."""
    if mandate is None or mandate.server is None:
        return None
    seen = (mandate.seen,) if mandate.seen is not None else ()
    return Look(Presence.PRESENT, taken, server=mandate.server, sessions=seen)


def _finding_of(row: IncidentRow) -> Finding:
    """What the incident's row tells of a finding."""
    failure = Failure(row.session, row.failure, (Broken(Unit(row.unit)),), 0.0)
    evidence = tuple(Evidence(**fact) for fact in row.evidence)
    return Finding(failure, row.cause, row.intent, evidence, row.origin)


def _plan_of(record: RecoveryRow, finding: Finding) -> Plan:
    """The steps that the journal knows of."""
    kinds = {row.seq: StepKind(row.kind) for row in record.steps}
    steps = tuple(
        Step(kinds.get(seq, StepKind.SAVE), undo=record.undo) for seq in range(max(kinds, default=-1) + 1)
    )
    return Plan(record.session, record.strategy, steps, Expectation(None), finding)


def _given_up(journal: Journal) -> Journal:
    """Nothing that is under way or due can be done without the plan."""
    attempts = tuple(
        each
        if each.state in ENDED or each.phase is Phase.UNDO
        else replace(each, state=AttemptState.REFUSED, error=_UNREADABLE)
        for each in journal.attempts
    )
    return replace(journal, attempts=attempts)
