"""Which steps put back what, in which order, and beside what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.material import lacking
from sidecar.decide.mend import by_itself
from sidecar.decide.plans import plan_for
from sidecar.decide.situation import Situation
from sidecar.model.incident import Broken, Cause, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import Plan, RefusalReason, Resort, Strategy
from sidecar.model.session import Checkpoint, Operation, SessionImage, image_of
from sidecar.model.workspace import Command, DeclaredPane, DeclaredWindow, Workspace
from tests.decide.builders import look, pane, session
from tests.decide.test_choose import situation as plain_situation

DECLARED = Workspace(
    "web",
    (
        DeclaredWindow(
            tuple(DeclaredPane("/srv", commands=(Command(f"run {n}"),) if n == 2 else ()) for n in range(4)),
            name="main",
            layout="tiled",
        ),
        DeclaredWindow((DeclaredPane("/srv", commands=(Command("top"),)),), name="logs", index=7),
    ),
)


def broken(unit: Unit, *places: tuple[int, int], window: int = 0) -> tuple[Broken, ...]:
    return tuple(
        Broken(unit, f"%9{number}", 990 + number, window=window, place=(w, number)) for w, number in places
    )


def found(cause: Cause, parts: tuple[Broken, ...], kind: FailureKind = FailureKind.CORRUPTED) -> Finding:
    return Finding(Failure("web", kind, parts, 1.0), cause, Intent.FAILURE, (), "o")


def situation(finding: Finding, **facts: object) -> Situation:
    words = {
        "finding": finding,
        "session": session(),
        "look": look(session()),
        "workspace": DECLARED,
        **facts,
    }
    return replace(plain_situation(), **words)  # type: ignore[arg-type]


def planned(one: Situation, strategy: Strategy) -> Plan:
    assert lacking(one, Resort(strategy)) is None
    return plan_for(one, Resort(strategy), lambda pane, window, shell: None)


def words(plan: Plan) -> list[str]:
    return [step.describe() for step in plan.steps]


@pytest.mark.parametrize(
    ("lost", "standing", "wanted"),
    [
        # After the one that stands before them, from the last back.
        ((1, 2), (1, 4), [(2, "%1", False), (1, "%1", False)]),
        ((3,), (1, 2, 3), [(3, "%3", False)]),
        # At the front, from the first on.
        ((0, 1), (3, 4), [(0, "%3", True), (1, "%3", True)]),
        ((0, 2), (2, 4), [(0, "%2", True), (2, "%2", False)]),
    ],
)
def test_each_lost_pane_comes_to_its_place(
    lost: tuple[int, ...], standing: tuple[int, ...], wanted: list[tuple[int, str, bool]]
) -> None:
    live = session(*map(pane, standing))
    parts = broken(Unit.PANE, *((0, number) for number in lost))
    one = situation(found(Cause.SHAPE_DIFFERS, parts), session=live)
    plan = planned(one, Strategy.REBUILD_PANE)
    steps = [step for step in plan.steps if step.beside is not None]
    shown = [
        (step.place[1], step.beside.pane, step.beside.before) for step in steps if step.place and step.beside
    ]
    assert shown == wanted
    assert all(step.beside and (step.beside.layout, step.beside.panes) == ("tiled", 4) for step in steps)
    assert ("furnish pane 0.2 of 'main'" in words(plan)) is (2 in lost)
    assert plan.expectation.untouched == tuple((f"%{n}", 200 + n) for n in standing)


def checkpoint(image: SessionImage) -> Checkpoint:
    return Checkpoint(5, "web", 1.0, Operation.STRUCTURE, "i", "c", 1, image)


def stored(index: int, name: str, *panes: int) -> Checkpoint:
    plain = image_of(session(*map(pane, panes)), width=80, height=24)
    windows = tuple(replace(window, index=index, name=name, link="x") for window in plain.windows)
    return by_itself(checkpoint(replace(plain, windows=windows, group="g")))


LOGS = broken(Unit.WINDOW, (1, 0), window=7)


@pytest.mark.parametrize(
    ("known", "wanted"),
    [
        (None, ["save", "build window 7", "furnish window 7"]),
        (stored(7, "logs", 1), ["save", "rebuild window 7"]),
        (stored(7, "other", 1), ["save", "build window 7", "furnish window 7"]),
        (stored(7, "logs", 1, 2), ["save", "build window 7", "furnish window 7"]),
        (stored(3, "logs", 1), ["save", "build window 7", "furnish window 7"]),
    ],
)
def test_a_lost_window_comes_from_the_checkpoint_that_has_it_or_from_its_file(
    known: Checkpoint | None, wanted: list[str]
) -> None:
    one = situation(found(Cause.SHAPE_DIFFERS, LOGS), checkpoint=known)
    plan = planned(one, Strategy.REBUILD_WINDOW)
    assert words(plan) == wanted
    assert plan.expectation.image is None
    assert plan.expectation.untouched == (("%1", 201),)


def test_a_lost_window_of_an_adopted_session_comes_from_the_checkpoint() -> None:
    finding = found(Cause.PROCESS_KILLED, (Broken(Unit.WINDOW, window=3),), FailureKind.CRASHED)
    one = situation(finding, workspace=None, checkpoint=stored(3, "three", 1))
    plan = planned(one, Strategy.REBUILD_WINDOW)
    assert words(plan) == ["save", "rebuild window 3"]
    assert plan.checkpoint is not None
    assert {window.link for window in plan.checkpoint.image.windows} == {""}
    assert plan.checkpoint.image.group == ""
    refusal = lacking(replace(one, checkpoint=stored(4, "four", 1)), Resort(Strategy.REBUILD_WINDOW))
    assert refusal is not None
    assert refusal.reason is RefusalReason.NO_CHECKPOINT


def test_a_dead_pane_gets_its_command_and_what_is_typed_into_it() -> None:
    live = session(pane(1), pane(2), pane(3, dead=True), pane(4))
    parts = (Broken(Unit.PANE, "%3", 203, -9, window=0, place=(0, 2)),)
    plan = planned(situation(found(Cause.DEAD_PANE_LEFT, parts), session=live), Strategy.RESPAWN_PANE)
    assert words(plan) == ["save", "respawn pane %3", "furnish pane 0.2 of 'main'"]
    assert plan.expectation.replaced == (("%3", 203),)


@pytest.mark.parametrize(
    ("cause", "place", "wanted"),
    [
        (Cause.FOLDER_DIFFERS, (0, 0), "start program in %1: typed `cd /srv`"),
        (Cause.PROGRAM_DIFFERS, (1, 0), "start program in %1: typed `top`"),
    ],
)
def test_what_the_file_says_is_typed_into_the_waiting_shell(
    cause: Cause, place: tuple[int, int], wanted: str
) -> None:
    parts = (Broken(Unit.PROGRAM, "%1", 201, window=0, place=place),)
    plan = planned(situation(found(cause, parts)), Strategy.FURNISH_PANE)
    assert words(plan) == ["save", wanted]
    # Only while the shell is the one that was looked at.
    assert plan.steps[1].pid == 201


def test_a_layout_is_given_to_its_window() -> None:
    parts = (Broken(Unit.WINDOW, "@1", window=0, place=(0, 0)),)
    plan = planned(situation(found(Cause.LAYOUT_DIFFERS, parts)), Strategy.ARRANGE_WINDOW)
    assert [(step.kind, step.pane) for step in plan.steps[1:]] == [("arrange_window", "@1")]
