"""A plan or a refusal: a row for each thing that can forbid an action."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.choose import choose
from sidecar.decide.detect import instance_of
from sidecar.decide.restore import Resume
from sidecar.decide.situation import Limits, Situation
from sidecar.model.incident import (
    Asker,
    Broken,
    Cause,
    Failure,
    FailureKind,
    Finding,
    IncidentState,
    Intent,
    Unit,
)
from sidecar.model.ladder import Rung
from sidecar.model.plan import Entry, Plan, Refusal, RefusalReason, Resumption, StepKind, Strategy
from sidecar.model.policy import BreakerPolicy, BreakerState, Budget, Circuit, Mode, Restore
from sidecar.model.session import Checkpoint, Operation, SavedPane, image_of
from sidecar.model.workspace import DeclaredPane, DeclaredWindow, Workspace
from tests.decide.builders import SERVER, absent, look, pane, session

LADDER = (
    Strategy.RESUME_PROGRAM,
    Strategy.RESPAWN_PANE,
    Strategy.RESTORE_CHECKPOINT,
    Strategy.RECREATE_SOCKET,
)
LIMITS = Limits(Budget(5, 600.0), Budget(20, 600.0), 600.0, BreakerPolicy())
SAVED = Checkpoint(
    7, "web", 900.0, Operation.STRUCTURE, instance_of(SERVER, session()), "c", 10,
    image_of(session(), width=80, height=24),
)  # fmt: skip


def finding(*broken: Broken, intent: Intent = Intent.FAILURE) -> Finding:
    failure = Failure("web", FailureKind.CRASHED, broken or (Broken(Unit.SESSION),), 49.0)
    return Finding(failure, Cause.SERVER_KILLED, intent, (), "server 1")


def situation(**changes: object) -> Situation:
    if "ladder" in changes:
        changes["ladder"] = tuple(map(Rung, changes["ladder"]))  # type: ignore[call-overload]
    base = Situation(
        finding=finding(), asker=Asker.WATCHER, managed=True, released=False, restore=Restore.ON_FAILURE,
        mode=Mode.AUTO, ladder=tuple(map(Rung, LADDER)), limits=LIMITS, now=1_000.0, look=absent(),
        checkpoint=SAVED,
    )  # fmt: skip
    return replace(base, **changes)  # type: ignore[arg-type]


def nothing(saved: SavedPane, window: int, shell: str) -> Resumption | None:
    return None


def held(saved: SavedPane, window: int, shell: str) -> Resumption | None:
    return Resumption(window, saved.index, Entry.HELD, "top", ("top",), "test")


def typed(saved: SavedPane, window: int, shell: str) -> Resumption | None:
    return Resumption(window, saved.index, Entry.TYPED, "top", ("top",), "test")


def started(saved: SavedPane, window: int, shell: str) -> Resumption | None:
    return Resumption(
        window, saved.index, Entry.STARTED, "claude -r 1", ("claude",), "test", True, ("claude", "-r", "1")
    )


def skipped(saved: SavedPane, window: int, shell: str) -> Resumption | None:
    return Resumption(window, saved.index, Entry.SKIPPED, "", ("top",), "test")


PERSON = finding(intent=Intent.PERSON)
UNKNOWN = finding(intent=Intent.UNKNOWN)
OFTEN = tuple(float(900 + i) for i in range(5))
MANY = {f"o{i}": float(900 + i) for i in range(20)}
OPEN = {Strategy.RESTORE_CHECKPOINT: BreakerState(Circuit.OPEN, opened=990.0)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"released": True}, RefusalReason.RELEASED),
        ({"released": True, "asker": Asker.OPERATOR}, RefusalReason.RELEASED),
        ({"managed": False}, RefusalReason.NOT_MANAGED),
        ({"managed": False, "asker": Asker.OPERATOR}, RefusalReason.NOT_MANAGED),
        ({"restore": Restore.NEVER}, RefusalReason.POLICY_NEVER),
        ({"finding": PERSON}, RefusalReason.CLOSED_BY_PERSON),
        ({"finding": PERSON, "asker": Asker.ALERT}, RefusalReason.CLOSED_BY_PERSON),
        ({"finding": UNKNOWN}, RefusalReason.CAUSE_UNKNOWN),
        ({"checkpoint": None}, RefusalReason.NO_CHECKPOINT),
        ({"ladder": (Strategy.RESPAWN_PANE,)}, RefusalReason.NO_STRATEGY),
        ({"asked_strategy": Strategy.RESPAWN_PANE}, RefusalReason.NO_STRATEGY),
        ({"recent": OFTEN}, RefusalReason.GIVEN_UP),
        ({"incident": IncidentState.GIVEN_UP, "recent": (990.0,)}, RefusalReason.GIVEN_UP),
        ({"origins": MANY}, RefusalReason.BUDGET_EXHAUSTED),
        ({"circuits": OPEN}, RefusalReason.CIRCUIT_OPEN),
        ({"circuits": OPEN, "asker": Asker.OPERATOR}, RefusalReason.CIRCUIT_OPEN),
        ({"mode": Mode.OBSERVE}, RefusalReason.OBSERVE_MODE),
    ],
)
def test_refused(changes: dict[str, object], reason: RefusalReason) -> None:
    decision = choose(situation(**changes), nothing)
    assert isinstance(decision, Refusal)
    assert decision.reason is reason
    assert decision.sentence


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"finding": PERSON, "restore": Restore.ALWAYS},
        {"finding": PERSON, "asker": Asker.OPERATOR},
        {"finding": UNKNOWN, "asker": Asker.ALERT},
        {"restore": Restore.NEVER, "asker": Asker.OPERATOR},
        {"recent": OFTEN, "asker": Asker.OPERATOR},
        {"origins": MANY, "asker": Asker.OPERATOR},
        {"origins": {**MANY, "server 1": 999.0}},
        {"recent": OFTEN[:4]},
        {"incident": IncidentState.GIVEN_UP, "recent": (300.0,)},
        {"incident": IncidentState.GIVEN_UP},
        {"mode": Mode.OBSERVE, "asker": Asker.OPERATOR},
    ],
)
def test_restored_from_the_checkpoint(changes: dict[str, object]) -> None:
    plan = choose(situation(**changes), nothing)
    assert isinstance(plan, Plan)
    assert (plan.strategy, plan.checkpoint) == (Strategy.RESTORE_CHECKPOINT, SAVED)
    assert [step.kind for step in plan.steps] == [StepKind.REBUILD_SESSION]
    assert plan.expectation.image == SAVED.image


@pytest.mark.parametrize(
    ("resume", "steps"),
    [
        (typed, [StepKind.REBUILD_SESSION, StepKind.START_PROGRAMS]),
        (held, [StepKind.REBUILD_SESSION, StepKind.START_PROGRAMS]),
        (started, [StepKind.REBUILD_SESSION, StepKind.START_PROGRAMS]),
        (skipped, [StepKind.REBUILD_SESSION]),
    ],
)
def test_programs_start_when_the_session_is_there(resume: Resume, steps: list[StepKind]) -> None:
    plan = choose(situation(), resume)
    assert isinstance(plan, Plan)
    assert [step.kind for step in plan.steps] == steps
    assert len(plan.expectation.resumptions) == 1


def test_a_dead_pane_of_an_agent_is_respawned_with_what_takes_it_up() -> None:
    live = session(pane(1, command="claude", dead=True), pane(2))
    broken = finding(Broken(Unit.PANE, "%1", 201, -9))
    plan = choose(situation(finding=broken, session=live, look=look(live)), started)
    assert isinstance(plan, Plan)
    assert [step.kind for step in plan.steps] == [StepKind.SAVE, StepKind.RESPAWN_PANE]
    assert plan.steps[1].resumption == plan.expectation.resumptions[0]
    assert plan.steps[1].describe() == "respawn pane in %1: started `claude -r 1`"


@pytest.mark.parametrize(
    ("restore", "intent", "reason"),
    [
        (Restore.ALWAYS, Intent.UNKNOWN, None),
        (Restore.ALWAYS, Intent.PERSON, RefusalReason.CLOSED_BY_PERSON),
        (Restore.ON_FAILURE, Intent.UNKNOWN, RefusalReason.CAUSE_UNKNOWN),
    ],
)
def test_a_shell_that_ended_nobody_knows_how_comes_back_by_policy(
    restore: Restore, intent: Intent, reason: RefusalReason | None
) -> None:
    live = session(pane(1, dead=True), pane(2))
    broken = finding(Broken(Unit.PANE, "%1", 201), intent=intent)
    decision = choose(situation(finding=broken, session=live, look=look(live), restore=restore), nothing)
    assert (decision.reason if isinstance(decision, Refusal) else None) is reason


def test_an_own_command_that_lives_on_is_not_started_again() -> None:
    live = session(pane(1, command="claude", program=301))
    broken = finding(Broken(Unit.PROGRAM, "%1", 301, -9))
    plan = choose(situation(finding=broken, session=live, look=look(live)), started)
    assert isinstance(plan, Plan)
    assert [step.kind for step in plan.steps] == [StepKind.SAVE]
    assert plan.expectation.resumptions == ()


def test_a_dead_pane_is_respawned_after_a_checkpoint_and_its_siblings_are_named() -> None:
    live = session(pane(1, dead=True), pane(2), pane(3, dead=True))
    broken = finding(Broken(Unit.PANE, "%1", 201, -9))
    plan = choose(situation(finding=broken, session=live, look=look(live)), nothing)
    assert isinstance(plan, Plan)
    assert [(step.kind, step.pane, step.pid) for step in plan.steps] == [
        (StepKind.SAVE, "", 0),
        (StepKind.RESPAWN_PANE, "%1", 201),
    ]
    assert plan.expectation.untouched == (("%2", 202),)
    assert plan.expectation.replaced == (("%1", 201),)


def test_a_killed_program_comes_back_in_its_own_shell() -> None:
    live = session(pane(1, program=301))
    broken = finding(Broken(Unit.PROGRAM, "%1", 301, -9))
    plan = choose(situation(finding=broken, session=live, look=look(live)), held)
    assert isinstance(plan, Plan)
    assert plan.strategy is Strategy.RESUME_PROGRAM
    assert [(step.kind, step.pid) for step in plan.steps] == [
        (StepKind.SAVE, 0),
        (StepKind.START_PROGRAM, 201),
    ]
    assert plan.expectation.untouched == (("%1", 201),)


def test_a_socket_needs_no_checkpoint() -> None:
    failure = Failure("", FailureKind.DISCONNECTED, (Broken(Unit.SOCKET),), 49.0)
    lost = Finding(failure, Cause.SOCKET_REMOVED, Intent.FAILURE, (), "socket")
    plan = choose(situation(finding=lost, checkpoint=None), nothing)
    assert isinstance(plan, Plan)
    assert [step.kind for step in plan.steps] == [StepKind.SIGNAL_SERVER]


def test_given_up_says_when_it_goes_on() -> None:
    decision = choose(situation(recent=OFTEN), nothing)
    assert isinstance(decision, Refusal)
    assert decision.retry_after == pytest.approx(600.0 - (1_000.0 - 904.0))


DECLARED = Workspace(
    "web", (DeclaredWindow((DeclaredPane("/srv"),)),), before_script=("./up",), file="/w.yaml"
)
RUNGS = (Strategy.RESTORE_CHECKPOINT, Strategy.REBUILD_WORKSPACE)
NEVER_STARTED = replace(finding(), cause=Cause.NEVER_STARTED)
REBUILD = Strategy.REBUILD_WORKSPACE


def declared(**changes: object) -> Situation:
    return situation(**{"workspace": DECLARED, "ladder": RUNGS, **changes})


@pytest.mark.parametrize(
    ("changes", "strategy"),
    [
        ({}, Strategy.RESTORE_CHECKPOINT),
        ({"checkpoint": None}, REBUILD),
        ({"circuits": OPEN}, REBUILD),
        ({"asked_strategy": REBUILD}, REBUILD),
        ({"ladder": RUNGS[::-1]}, REBUILD),
        ({"ladder": RUNGS[:1]}, Strategy.RESTORE_CHECKPOINT),
        ({"finding": NEVER_STARTED}, REBUILD),
        ({"finding": NEVER_STARTED, "workspace": None}, Strategy.RESTORE_CHECKPOINT),
        ({"finding": NEVER_STARTED, "ladder": RUNGS[:1]}, Strategy.RESTORE_CHECKPOINT),
    ],
)
def test_the_first_rung_that_can_be_used_is_used(changes: dict[str, object], strategy: Strategy) -> None:
    plan = choose(declared(**changes), nothing)
    assert isinstance(plan, Plan)
    assert plan.strategy is strategy


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"checkpoint": None, "workspace": None}, RefusalReason.NO_CHECKPOINT),
        ({"asked_strategy": REBUILD, "workspace": None}, RefusalReason.NOT_DECLARED),
        ({"asked_strategy": REBUILD, "ladder": RUNGS[:1]}, RefusalReason.NO_STRATEGY),
        ({"ladder": RUNGS[1:], "workspace": None}, RefusalReason.NOT_DECLARED),
        ({"checkpoint": None, "circuits": {REBUILD: OPEN[RUNGS[0]]}}, RefusalReason.CIRCUIT_OPEN),
        ({"circuits": dict.fromkeys(RUNGS, OPEN[RUNGS[0]])}, RefusalReason.CIRCUIT_OPEN),
    ],
)
def test_refused_although_declared(changes: dict[str, object], reason: RefusalReason) -> None:
    decision = choose(declared(**changes), nothing)
    assert isinstance(decision, Refusal)
    assert decision.reason is reason


def test_a_declared_session_is_built_from_its_file_alone() -> None:
    plan = choose(declared(checkpoint=None, missing=("/srv",), folders=(("/srv", "/mnt"),)), nothing)
    assert isinstance(plan, Plan)
    assert [step.kind for step in plan.steps] == [StepKind.BUILD_WORKSPACE]
    assert plan.steps[0].describe() == "build workspace /w.yaml: windows 1, panes 1, lines to type 0"
    assert (plan.workspace, plan.checkpoint, plan.expectation.image) == (DECLARED, None, None)
    assert (plan.expectation.tolerated_cwd, plan.expectation.folders) == (("/srv",), (("/srv", "/mnt"),))
    asked = choose(declared(asked_strategy=REBUILD), nothing)
    assert isinstance(asked, Plan)
    assert asked.checkpoint is None


def test_the_script_of_a_declared_session_belongs_to_its_first_creation() -> None:
    plan = choose(declared(finding=NEVER_STARTED), nothing)
    assert isinstance(plan, Plan)
    assert [step.describe() for step in plan.steps] == [
        "run script before_script of /w.yaml",
        "build workspace /w.yaml: windows 1, panes 1, lines to type 0",
    ]


@pytest.mark.parametrize("asker", [Asker.WATCHER, Asker.ALERT, Asker.OPERATOR])
def test_what_no_rule_allows_is_told_with_what_to_write(asker: Asker) -> None:
    failure = Failure("web", FailureKind.FROZEN, (Broken(Unit.PROGRAM, "%1", 300),), 1.0)
    frozen = Finding(failure, Cause.REPORTED, Intent.FAILURE, (), "o")
    live = session(pane(1, program=300))
    ladder = (Strategy.INTERRUPT_PROGRAM, Strategy.RESPAWN_PANE)
    found = choose(
        situation(finding=frozen, asker=asker, session=live, look=look(live), ladder=ladder), nothing
    )
    if asker is Asker.OPERATOR:
        assert isinstance(found, Plan)
        return
    assert isinstance(found, Refusal)
    assert found.reason is RefusalReason.REPORT_ONLY
    assert "no rule lets the program be ended" in found.sentence
    assert "may: [interrupt, respawn]" in found.hint
