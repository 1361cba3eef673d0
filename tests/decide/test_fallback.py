"""What remains possible, and a bare session."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.choose import choose
from sidecar.decide.fallback import bare, following, resorts, untried
from sidecar.model.incident import Unit
from sidecar.model.plan import Entry, Manner, Plan, Refusal, RefusalReason, Resort, Strategy
from sidecar.model.policy import BreakerState, Circuit
from sidecar.model.session import Checkpoint, image_of
from tests.decide.builders import pane, session
from tests.decide.test_choose import DECLARED, OFTEN, SAVED, nothing, situation, typed

RESTORE, REBUILD, BARE = Strategy.RESTORE_CHECKPOINT, Strategy.REBUILD_WORKSPACE, Strategy.BARE_SESSION
ALL = (
    Resort(RESTORE),
    Resort(RESTORE, Manner.OLDER),
    Resort(RESTORE, Manner.HELD),
    Resort(REBUILD),
    Resort(BARE),
)
OLDER = replace(SAVED, id=5)


def test_all_ways_to_a_whole_session_in_their_order() -> None:
    assert resorts((RESTORE, REBUILD), Unit.SERVER) == ALL
    assert resorts((REBUILD,), Unit.SESSION) == (Resort(REBUILD),)


def test_a_pane_is_not_built_in_other_ways() -> None:
    assert resorts((Strategy.RESPAWN_PANE,), Unit.PANE) == (Resort(Strategy.RESPAWN_PANE),)


def test_a_bare_session_comes_only_after_something_was_tried() -> None:
    assert untried(ALL, ()) == ALL[:-1]
    assert untried(ALL, ALL[:1]) == ALL[1:]
    assert following(ALL, ALL[:1], ALL[1]) == ALL[2:]


def tried(count: int, **more: object) -> Plan | Refusal:
    given = {"older": OLDER, "workspace": DECLARED, "ladder": (RESTORE, REBUILD), **more}
    return choose(situation(tried=ALL[:count], **given), typed)


@pytest.mark.parametrize("number", range(5))
def test_one_after_the_other(number: int) -> None:
    plan = tried(number)
    assert isinstance(plan, Plan)
    assert Resort(plan.strategy, plan.manner) == ALL[number]
    assert plan.fallback == ALL[number + 1 :]
    assert plan.attempt == number + 1
    wanted: dict[int, Checkpoint | None] = {0: SAVED, 1: OLDER, 2: SAVED, 3: None}
    if number in wanted:
        assert plan.checkpoint == wanted[number]
    entries = {each.entry for each in plan.expectation.resumptions}
    assert entries == {0: {Entry.TYPED}, 1: {Entry.TYPED}, 2: {Entry.HELD}}.get(number, set())


def test_after_the_last_a_person_is_needed() -> None:
    refusal = tried(5)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is RefusalReason.EXHAUSTED
    assert "restore_checkpoint (older_checkpoint)" in refusal.sentence


def test_what_cannot_be_done_is_left_out() -> None:
    plan = tried(1, older=None, workspace=None)
    assert isinstance(plan, Plan)
    assert plan.manner is Manner.HELD
    nothing_left = tried(3, workspace=None, checkpoint=None)
    assert isinstance(nothing_left, Refusal)
    assert nothing_left.reason is RefusalReason.EXHAUSTED


def test_a_strategy_whose_circuit_has_opened_meanwhile_is_passed_over() -> None:
    circuits = {"restore_checkpoint:web": BreakerState(Circuit.OPEN, opened=990.0)}
    plan = tried(1, circuits=circuits)
    assert isinstance(plan, Plan)
    assert plan.strategy is REBUILD
    plan = tried(1, circuits=circuits, workspace=None)
    assert isinstance(plan, Plan)
    assert plan.strategy is BARE


def test_further_attempts_cost_nothing() -> None:
    assert isinstance(tried(0, recent=OFTEN), Refusal)
    assert isinstance(tried(1, recent=OFTEN), Plan)


def test_who_asks_for_one_strategy_gets_no_other() -> None:
    plan = tried(0, asked_strategy=REBUILD)
    assert isinstance(plan, Plan)
    assert (plan.strategy, plan.fallback) == (REBUILD, ())


def test_a_bare_session_has_all_old_text_and_no_programs() -> None:
    lost = session(pane(1, program=9), replace(pane(2), active=False))
    image = image_of(lost, width=80, height=24, scrollbacks={"%1": "a", "%2": "b"})
    image = replace(image, environment=(("A", "b"),), group="g", default_command="sh -c x")
    plain = bare(image)
    assert [w.panes[0].scrollback for w in plain.windows] == ["a", "b"]
    assert [len(w.panes) for w in plain.windows] == [1, 1]
    assert all(p.start_command == "" and not p.program for w in plain.windows for p in w.panes)
    assert (plain.name, plain.environment, plain.group, plain.default_command) == ("web", (), "", "")
    assert [w.active for w in plain.windows] == [True, False]


def test_nobody_is_asked_about_programs_of_a_bare_session() -> None:
    plan = choose(
        situation(tried=ALL[:4], older=OLDER, ladder=(RESTORE, REBUILD), workspace=DECLARED), nothing
    )
    assert isinstance(plan, Plan)
    assert plan.expectation.resumptions == ()
    assert plan.checkpoint is not None
    assert plan.checkpoint.id == SAVED.id
