"""The steps of each strategy, and what has to be true after them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

from sidecar.decide import frozen, mend, restore
from sidecar.decide.fallback import bare
from sidecar.decide.firm import ends_a_program, firm_plan
from sidecar.decide.heal import heal_plan
from sidecar.decide.own import own_plan
from sidecar.decide.put_back import put_back_plan
from sidecar.decide.restart import restart_plan
from sidecar.decide.restore import Resume
from sidecar.decide.situation import Situation
from sidecar.model.incident import Broken, Cause, Unit
from sidecar.model.plan import Entry, Expectation, Manner, Plan, Resort, Resumption, Step, StepKind, Strategy
from sidecar.model.session import Pane, SavedPane, Session, SessionImage, image_of


def _socket_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    (part,) = situation.finding.failure.broken
    return (Step(StepKind.SIGNAL_SERVER),), Expectation(
        image=None, untouched=situation.standing, server=part.pid
    )


def _continue_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    siblings = _siblings(situation.session, {})[0] if situation.session else situation.standing
    return frozen.continue_plan(situation.finding, siblings)


def _unblock_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    session = situation.session
    assert session is not None
    return frozen.unblock_plan(situation.finding, session, _siblings(session, {})[0])


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


def _bare_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    assert situation.checkpoint is not None
    step = Step(StepKind.REBUILD_SESSION, what="as plain shells with the old text")
    return (step,), Expectation(situation.checkpoint.image, tolerated_cwd=situation.missing)


def _holding(resume: Resume) -> Resume:
    """The same, with every line for a person to enter."""

    def held(pane: SavedPane, window: int, shell: str) -> Resumption | None:
        return restore.held(resume(pane, window, shell), "the session did not come back with its programs")

    return held


def _window_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    if situation.order is None:
        return mend.window_plan(situation, resume)
    assert situation.session is not None
    return restore.window_plan(situation.order, situation.session, resume, situation.missing)


def _pane_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    gone = situation.finding.failure.gone
    return (put_back_plan if gone else mend.pane_plan)(situation, resume)


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


def _heal_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    return heal_plan(situation, resume, _resumption)


def _interrupt_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    return _firm_plan(situation, resume, StepKind.INTERRUPT)


def _firm_plan(situation: Situation, resume: Resume, first: StepKind) -> tuple[tuple[Step, ...], Expectation]:
    session = situation.session
    assert session is not None
    image = image_of(session, width=0, height=0)
    return firm_plan(
        situation.finding,
        session,
        lambda window, pane: _resumption(image, window, pane, resume),
        first,
        {pane: rule.stop for pane, rule in situation.programs.items()},
    )


def _respawn_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    if situation.member is not None:
        return _restart_plan(situation, resume)
    if ends_a_program(situation.finding):
        return _firm_plan(situation, resume, StepKind.END)
    left = situation.finding.cause is Cause.DEAD_PANE_LEFT
    return (mend.dead_plan if left else _parts_plan)(situation, resume)


def _resume_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    return (_parts_plan if situation.member is None else _restart_plan)(situation, resume)


def _restart_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    session = situation.session
    assert session is not None
    (part,) = situation.finding.failure.broken
    window, pane = next((w, one) for w in session.windows for one in w.panes if one.id == part.pane)
    image = image_of(session, width=0, height=0)
    return restart_plan(situation, pane, _resumption(image, window.index, pane, resume))


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


Builder = Callable[[Situation, Resume], tuple[tuple[Step, ...], Expectation]]

BUILDERS: Mapping[Strategy, Builder] = MappingProxyType(
    {
        Strategy.RECREATE_SOCKET: _socket_plan,
        Strategy.RESTORE_CHECKPOINT: _restore_plan,
        Strategy.REBUILD_WORKSPACE: _workspace_plan,
        Strategy.BARE_SESSION: _bare_plan,
        Strategy.RESPAWN_PANE: _respawn_plan,
        Strategy.RESUME_PROGRAM: _resume_plan,
        Strategy.REBUILD_WINDOW: _window_plan,
        Strategy.CONTINUE_PROCESS: _continue_plan,
        Strategy.REBUILD_PANE: _pane_plan,
        Strategy.ARRANGE_WINDOW: mend.layout_plan,
        Strategy.FURNISH_PANE: mend.furnish_plan,
        Strategy.UNBLOCK_TERMINAL: _unblock_plan,
        Strategy.INTERRUPT_PROGRAM: _interrupt_plan,
        Strategy.HEAL_CHECK: _heal_plan,
    }
)
"""By strategy: its steps, and what has to be true after them."""


def plan_for(situation: Situation, resort: Resort, resume: Resume, fallback: tuple[Resort, ...] = ()) -> Plan:
    """The plan for this, of which nothing is :func:`~sidecar.decide.material.lacking`."""
    if resort.manner is Manner.OLDER:
        situation = replace(situation, checkpoint=situation.older)
    if resort.strategy is Strategy.BARE_SESSION and situation.checkpoint is not None:
        only = replace(situation.checkpoint, image=bare(situation.checkpoint.image))
        situation = replace(situation, checkpoint=only)
    resume = _holding(resume) if resort.manner is Manner.HELD else resume
    if resort.strategy.own_name:
        steps, expectation = own_plan(situation, resort.strategy)
    else:
        steps, expectation = BUILDERS[resort.strategy](situation, resume)
    return Plan(
        session=situation.finding.failure.session,
        strategy=resort.strategy,
        steps=steps,
        expectation=expectation,
        finding=situation.finding,
        checkpoint=situation.checkpoint if expectation.workspace is None else None,
        fallback=fallback,
        manner=resort.manner,
        attempt=len(situation.tried) + 1,
    )
