"""What to do about a finding: a plan, or a refusal with its reason.

Everything that could forbid an action is asked here, in one order: whose session it is,
whether a person meant it, what the ladder allows, whether there is something to restore from,
and then the limits (given up, budget, circuit). A person who asks may pass the limits that
protect against loops, never those that protect healthy sessions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.decide import breaker, budget, restore
from sidecar.decide.restore import Resume
from sidecar.decide.wall import age
from sidecar.model.archive import Order
from sidecar.model.incident import Asker, Broken, Cause, Finding, IncidentState, Intent, Unit
from sidecar.model.plan import (
    Entry,
    Expectation,
    Plan,
    Refusal,
    RefusalReason,
    Resumption,
    Step,
    StepKind,
    Strategy,
)
from sidecar.model.policy import BreakerPolicy, BreakerState, Budget, Mode, Restore
from sidecar.model.session import Checkpoint, Look, Pane, Session, SessionImage, image_of
from sidecar.model.workspace import Workspace

_FITTING: Mapping[Unit, tuple[Strategy, ...]] = {
    Unit.SOCKET: (Strategy.RECREATE_SOCKET,),
    Unit.PROGRAM: (Strategy.RESUME_PROGRAM,),
    Unit.PANE: (Strategy.RESPAWN_PANE,),
    Unit.WINDOW: (Strategy.REBUILD_WINDOW,),
    Unit.SESSION: (Strategy.RESTORE_CHECKPOINT, Strategy.REBUILD_WORKSPACE),
    Unit.SERVER: (Strategy.RESTORE_CHECKPOINT, Strategy.REBUILD_WORKSPACE),
}


@dataclass(frozen=True, slots=True)
class Limits:
    """What protects against loops, as configured."""

    per_session: Budget
    overall: Budget
    slow_retry: float
    circuit: BreakerPolicy


@dataclass(frozen=True, slots=True)
class Situation:
    """All that bears on the decision. Times are wall seconds."""

    finding: Finding
    asker: Asker
    managed: bool
    released: bool
    restore: Restore
    mode: Mode
    ladder: tuple[Strategy, ...]
    limits: Limits
    now: float
    look: Look
    session: Session | None = None
    """The live session with what its broken parts were; None when it is gone."""
    checkpoint: Checkpoint | None = None
    workspace: Workspace | None = None
    """The session as a workspace file declares it, if one does."""
    order: Order | None = None
    """Set when a person has asked for one certain checkpoint."""
    asked_strategy: Strategy | None = None
    recent: Sequence[float] = ()
    """When this session's recoveries began, as far back as the budget and the slow pace reach."""
    origins: Mapping[str, float] = field(default_factory=dict)
    """Incident origins of the last budget period, with their first recovery."""
    circuits: Mapping[str, BreakerState] = field(default_factory=dict)
    incident: IncidentState = IncidentState.OPEN
    relapsed: bool = False
    """It was given up lately, and what brought it back since was only the slow pace."""
    missing: tuple[str, ...] = ()
    """Folders of the checkpoint and of the workspace that do not exist."""
    folders: tuple[tuple[str, str], ...] = ()
    """Folders of the workspace, each with the one that it really is."""


def choose(situation: Situation, resume: Resume) -> Plan | Refusal:
    """Decide. Pure: the same situation always gives the same answer."""
    strategy = _strategy(situation)
    if isinstance(strategy, Refusal):
        return strategy
    refusal = _duty(situation) or _material(situation, strategy) or _limits(situation, strategy)
    if refusal is not None:
        return refusal
    plan = _plan(situation, strategy, resume)
    if situation.mode is Mode.OBSERVE and situation.asker is not Asker.OPERATOR:
        steps = ", ".join(step.describe() for step in plan.steps)
        return Refusal(
            RefusalReason.OBSERVE_MODE,
            f"observe mode: {strategy} would have been done ({steps})",
            hint="Set recovery.mode to auto, or ask with `sidecar recover`.",
        )
    return plan


def _strategy(situation: Situation) -> Strategy | Refusal:
    fitting = _FITTING[situation.finding.failure.unit]
    asked = situation.asked_strategy
    if asked is not None and asked not in fitting:
        return Refusal(
            RefusalReason.NO_STRATEGY,
            f"{asked} does not fit: the broken unit is a {situation.finding.failure.unit}",
            hint=f"Leave the strategy out, or ask for {fitting[0]}.",
        )
    # A restore that is asked for by name needs no ladder to allow it.
    ladder = situation.ladder if situation.order is None else fitting[:1]
    allowed = [strategy for strategy in ladder if strategy in fitting]
    if situation.finding.cause is Cause.NEVER_STARTED:
        # What is stored under its name is older than the wish to have it as it is declared.
        allowed.sort(key=lambda strategy: strategy is not Strategy.REBUILD_WORKSPACE)
    if not allowed or (asked is not None and asked not in allowed):
        return Refusal(
            RefusalReason.NO_STRATEGY,
            f"the ladder for {situation.finding.failure.kind} has no strategy that fits",
            hint=f"Add {asked or fitting[0]} to recovery.ladders.{situation.finding.failure.kind}.",
        )
    if asked is not None:
        return asked
    usable = [strategy for strategy in allowed if _material(situation, strategy) is None] or allowed
    return next((strategy for strategy in usable if _resting(situation, strategy) is None), usable[0])


def _duty(situation: Situation) -> Refusal | None:
    name = situation.finding.failure.session
    if situation.released:
        return Refusal(
            RefusalReason.RELEASED, f"{name} was released by a person", hint=f"`sidecar adopt {name}` first."
        )
    if not situation.managed:
        return Refusal(
            RefusalReason.NOT_MANAGED,
            f"{name} is not managed: sessions.manage, sessions.ignore or its option @sidecar says so",
        )
    if situation.asker is Asker.OPERATOR:
        return None
    if situation.restore is Restore.NEVER:
        return Refusal(
            RefusalReason.POLICY_NEVER,
            f"restore is `never` for {name}",
            hint=f"`sidecar recover {name}` brings it back.",
        )
    return _intent(situation, name)


def _intent(situation: Situation, name: str) -> Refusal | None:
    finding = situation.finding
    whole = finding.failure.unit in (Unit.SESSION, Unit.SERVER)
    if finding.intent is Intent.FAILURE or (situation.restore is Restore.ALWAYS and whole):
        return None
    if finding.intent is Intent.PERSON:
        return Refusal(
            RefusalReason.CLOSED_BY_PERSON,
            f"a person closed it ({finding.cause}); it stays closed",
            hint=f"`sidecar recover {name}` brings it back.",
        )
    if situation.asker is Asker.ALERT:
        return None
    return Refusal(
        RefusalReason.CAUSE_UNKNOWN,
        "how it ended could not be learnt, so it is held",
        hint=f"`sidecar recover {name}` brings it back.",
    )


def _material(situation: Situation, strategy: Strategy) -> Refusal | None:
    if strategy is Strategy.RESTORE_CHECKPOINT and situation.checkpoint is None:
        return Refusal(
            RefusalReason.NO_CHECKPOINT,
            f"there is no good checkpoint of {situation.finding.failure.session}",
            hint="It was never seen long enough to be stored; start it by hand.",
        )
    if strategy is Strategy.REBUILD_WORKSPACE and situation.workspace is None:
        return Refusal(
            RefusalReason.NOT_DECLARED,
            f"no workspace file declares {situation.finding.failure.session}",
            hint="Name its file in sessions.workspaces, or leave the strategy out.",
        )
    needs_session = strategy in (Strategy.RESPAWN_PANE, Strategy.RESUME_PROGRAM, Strategy.REBUILD_WINDOW)
    if needs_session and situation.session is None:
        return Refusal(RefusalReason.STALE, "the session is no longer there")
    return None


def _limits(situation: Situation, strategy: Strategy) -> Refusal | None:
    if situation.asker is not Asker.OPERATOR:
        refusal = _given_up(situation) or _overspent(situation)
        if refusal is not None:
            return refusal
    return _resting(situation, strategy)


def _resting(situation: Situation, strategy: Strategy) -> Refusal | None:
    state = situation.circuits.get(strategy, BreakerState())
    allowed, _ = breaker.ask(state, situation.limits.circuit, situation.now)
    if allowed:
        return None
    wait = breaker.retry_after(state, situation.limits.circuit, situation.now)
    return Refusal(
        RefusalReason.CIRCUIT_OPEN,
        f"{strategy} has failed {situation.limits.circuit.failure_threshold} times lately and rests",
        hint="It is tried again by itself.",
        retry_after=wait,
    )


def _given_up(situation: Situation) -> Refusal | None:
    limit, pace = situation.limits.per_session, situation.limits.slow_retry
    waited = min((age(moment, situation.now, pace) for moment in situation.recent), default=pace)
    given_up = situation.relapsed or situation.incident is IncidentState.GIVEN_UP
    if waited >= pace if given_up else not budget.spent(situation.recent, limit, situation.now):
        return None
    name = situation.finding.failure.session
    return Refusal(
        RefusalReason.GIVEN_UP,
        f"{limit.count} recoveries of {name} in {limit.period:g} s did not last: given up",
        hint=f"Find out why it keeps failing, then `sidecar recover {name}`.",
        retry_after=max(pace - waited, 1.0),
    )


def _overspent(situation: Situation) -> Refusal | None:
    limit = situation.limits.overall
    times = sorted(situation.origins.values())
    if situation.finding.origin in situation.origins or not budget.spent(times, limit, situation.now):
        return None
    return Refusal(
        RefusalReason.BUDGET_EXHAUSTED,
        f"{limit.count} incidents in {limit.period:g} s: the budget for all sessions is spent",
        hint="Something larger is wrong; `sidecar recover NAME` passes this limit.",
        retry_after=max(budget.next_free(times, limit, situation.now), 1.0),
    )


def _plan(situation: Situation, strategy: Strategy, resume: Resume) -> Plan:
    build = {
        Strategy.RECREATE_SOCKET: _socket_plan,
        Strategy.RESTORE_CHECKPOINT: _restore_plan,
        Strategy.REBUILD_WORKSPACE: _workspace_plan,
        Strategy.RESPAWN_PANE: _parts_plan,
        Strategy.RESUME_PROGRAM: _parts_plan,
        Strategy.REBUILD_WINDOW: _window_plan,
    }[strategy]
    steps, expectation = build(situation, resume)
    return Plan(
        session=situation.finding.failure.session,
        strategy=strategy,
        steps=steps,
        expectation=expectation,
        finding=situation.finding,
        checkpoint=situation.checkpoint if expectation.workspace is None else None,
    )


def _socket_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    return (Step(StepKind.SIGNAL_SERVER),), Expectation(image=None)


def _restore_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    assert situation.checkpoint is not None
    image = situation.checkpoint.image
    resumptions = tuple(
        resumption
        for window in image.windows
        for pane in window.panes
        if (resumption := resume(pane, window.index, image.default_shell)) is not None
    )
    expectation = Expectation(image, resumptions, tolerated_cwd=situation.missing)
    replaces = situation.order is not None and situation.order.replaces
    build = Step(StepKind.REPLACE_SESSION if replaces else StepKind.REBUILD_SESSION)
    return restore.with_programs((build,), resumptions), expectation


def _window_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    assert situation.order is not None
    assert situation.session is not None
    return restore.window_plan(situation.order, situation.session, resume, situation.missing)


def _workspace_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    workspace = situation.workspace
    assert workspace is not None
    steps = [Step(StepKind.BUILD_WORKSPACE, what=workspace.describe())]
    if workspace.before_script and situation.finding.cause is Cause.NEVER_STARTED:
        steps.insert(0, Step(StepKind.RUN_SCRIPT, what=f"before_script of {workspace.file}"))
    if workspace.needs_furnishing:
        steps.append(Step(StepKind.FURNISH_WORKSPACE))
    expectation = Expectation(
        None, tolerated_cwd=situation.missing, workspace=workspace, folders=situation.folders
    )
    return tuple(steps), expectation


def _parts_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    session = situation.session
    assert session is not None
    broken = {part.pane: part for part in situation.finding.failure.broken}
    image = image_of(session, width=0, height=0)
    steps = [Step(StepKind.SAVE)]
    resumptions: list[Resumption] = []
    for window in session.windows:
        for pane in window.panes:
            part = broken.get(pane.id)
            if part is None:
                continue
            resumption = _resumption(image, window.index, pane, resume)
            own = resumption if resumption and resumption.entry is Entry.STARTED else None
            if part.unit is Unit.PANE:
                steps.append(Step(StepKind.RESPAWN_PANE, pane.id, pane.pid, pane.cwd, own))
                resumptions.extend([own] if own else ())
            if resumption is not None and own is None:
                resumptions.append(resumption)
                # A respawned pane's new process is known only when it is there.
                pid = 0 if part.unit is Unit.PANE else pane.pid
                steps.append(Step(StepKind.START_PROGRAM, pane.id, pid, resumption=resumption))
    untouched, replaced = _siblings(session, broken)
    return tuple(steps), Expectation(
        image, tuple(resumptions), untouched, replaced, tolerated_cwd=situation.missing
    )


def _resumption(image: SessionImage, window_index: int, pane: Pane, resume: Resume) -> Resumption | None:
    for window in image.windows:
        if window.index == window_index:
            for saved in window.panes:
                if saved.index == pane.index:
                    return resume(saved, window_index, image.default_shell)
    return None


def _siblings(
    session: Session, broken: Mapping[str, Broken]
) -> tuple[tuple[tuple[str, int], ...], tuple[tuple[str, int], ...]]:
    untouched, replaced = [], []
    for pane in session.panes():
        part = broken.get(pane.id)
        if part is None:
            if not pane.dead:
                untouched.append((pane.id, pane.pid))
        elif part.unit is Unit.PANE:
            replaced.append((pane.id, pane.pid))
        else:
            untouched.append((pane.id, pane.pid))
    return tuple(untouched), tuple(replaced)
