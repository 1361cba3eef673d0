"""Users' own strategies are chosen as ours are, and what was healthy has to stay so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.by_hand import undo_commands
from sidecar.decide.choose import choose
from sidecar.decide.situation import Situation
from sidecar.model.extension import Extension, OwnStep
from sidecar.model.incident import Broken, Cause, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.ladder import Rung
from sidecar.model.plan import Plan, Refusal, RefusalReason, StepKind, Strategy
from sidecar.model.policy import BreakerState, Circuit
from tests.decide.builders import look, pane, session
from tests.decide.test_choose import nothing, situation

KIT = Strategy("custom:kit")
EXTENSION = Extension(
    "kit", "kit 1.0", (FailureKind.CRASHED, FailureKind.CORRUPTED), (Unit.PANE, Unit.PROGRAM), (),
    (OwnStep("one", True, 5.0, ("rm {session}",)), OwnStep("two", False, 5.0)),
)  # fmt: skip
LIVE = session(pane(1), replace(pane(2), dead=True), pane(3))
CRASH = Failure("web", FailureKind.CRASHED, (Broken(Unit.PANE, "%2", 202),), 49.0)


def about(failure: Failure = CRASH, extension: Extension | None = EXTENSION, **facts: object) -> Situation:
    found = Finding(failure, Cause.PROCESS_KILLED, Intent.FAILURE, (), "o")
    one = situation(finding=found, session=LIVE, look=look(LIVE), **facts)
    return replace(one, ladder=(Rung(KIT, extension=extension), Rung(Strategy.RESPAWN_PANE)))


def planned(one: Situation) -> Plan:
    plan = choose(one, nothing)
    assert isinstance(plan, Plan), plan
    return plan


def test_its_steps_come_after_a_checkpoint() -> None:
    plan = planned(about())
    assert plan.strategy == KIT
    assert [step.describe() for step in plan.steps] == [
        "save", "custom step 'one', kit 1.0", "custom final 'two', kit 1.0",
    ]  # fmt: skip
    assert plan.expectation.untouched == (("%1", 201), ("%3", 203))
    assert plan.expectation.replaced == (("%2", 202),)
    assert plan.expectation.image is not None
    assert [str(each) for each in plan.fallback] == ["respawn_pane"]


def test_where_it_judges_itself_only_the_healthy_panes_are_compared() -> None:
    plan = planned(about(extension=replace(EXTENSION, verify_seconds=3.0)))
    assert plan.steps[-1].kind is StepKind.CUSTOM_CHECK
    assert plan.steps[-1].describe() == "custom check kit 1.0"
    assert (plan.expectation.image, plan.expectation.replaced) == (None, ())
    assert plan.expectation.untouched == (("%1", 201), ("%3", 203))


def test_what_is_damaged_need_not_stay_so() -> None:
    damage = replace(CRASH, kind=FailureKind.CORRUPTED)
    assert planned(about(damage)).expectation.image is None


def test_of_a_session_that_is_broken_as_a_whole_nothing_is_healthy() -> None:
    whole = replace(CRASH, broken=(Broken(Unit.SESSION),))
    extension = replace(EXTENSION, units=(Unit.SESSION,), verify_seconds=3.0)
    assert planned(about(whole, extension)).expectation.untouched == ()


@pytest.mark.parametrize(
    "extension",
    [
        None,
        replace(EXTENSION, failures=(FailureKind.FROZEN,)),
        replace(EXTENSION, units=(Unit.WINDOW,)),
        replace(EXTENSION, causes=(Cause.OUT_OF_MEMORY,)),
    ],
)
def test_where_it_does_not_fit_another_rung_does(extension: Extension | None) -> None:
    assert planned(about(extension=extension)).strategy is Strategy.RESPAWN_PANE
    refusal = choose(about(extension=extension, asked_strategy=KIT), nothing)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.NO_STRATEGY


def test_it_mends_where_nothing_of_ours_does() -> None:
    extension = replace(EXTENSION, failures=(FailureKind.UNHEALTHY,), causes=(Cause.PROCESS_KILLED,))
    assert planned(about(replace(CRASH, kind=FailureKind.UNHEALTHY), extension)).strategy == KIT


def test_it_needs_a_session_that_lives() -> None:
    whole = replace(CRASH, broken=(Broken(Unit.SESSION),))
    extension = replace(EXTENSION, units=(Unit.SESSION,), verify_seconds=3.0)
    refusal = choose(replace(about(whole, extension), session=None), nothing)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.sentence) == (RefusalReason.STALE, "the session is no longer there")


@pytest.mark.parametrize("circuit", ["custom:kit", "custom:kit:web"])
def test_its_circuit_rests_it(circuit: str) -> None:
    resting = {circuit: BreakerState(Circuit.OPEN, opened=990.0)}
    assert planned(about(circuits=resting)).strategy is Strategy.RESPAWN_PANE
    refusal = choose(about(circuits=resting, asked_strategy=KIT), nothing)
    assert isinstance(refusal, Refusal)
    assert (refusal.reason, refusal.sentence.split()[0]) == (RefusalReason.CIRCUIT_OPEN, circuit)


def test_what_a_person_runs_is_what_the_strategy_says() -> None:
    plan = replace(planned(about()), session="my web")
    assert undo_commands(plan, plan.steps[1], "tmux") == ("rm 'my web'",)
    silent = replace(plan.steps[1], own=OwnStep("one", True, 5.0))
    assert undo_commands(plan, silent, "tmux") == (
        "# take back what custom:kit has done in its step 'one'",
        "sidecar explain 'my web'",
        "sidecar recover 'my web'",
    )
