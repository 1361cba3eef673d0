"""What stands in the way of a restore, and what exactly is built."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide import restore
from sidecar.decide.choose import choose
from sidecar.model.archive import Order, RestoreRequest
from sidecar.model.incident import Asker, Unit
from sidecar.model.plan import Entry, Plan, Refusal, RefusalReason, Resumption, StepKind, Strategy
from sidecar.model.session import Checkpoint, Look, Operation, Presence, SavedPane, image_of
from tests.decide.builders import absent, look, pane, session
from tests.decide.test_choose import situation

LIVE = session(pane(1), pane(2, command="sleep 9"))
IMAGE = image_of(LIVE, width=80, height=24)
TWO = replace(IMAGE, windows=(*IMAGE.windows, replace(IMAGE.windows[0], index=4, active=True)))
STORED = Checkpoint(7, "web", 5.0, Operation.INTERVAL, "i", "c", 1, TWO)
UNKNOWN = Look(Presence.UNKNOWN, 50.0, reason="silence")


def order(live: Look, **asked: object) -> Order:
    return restore.order_of(RestoreRequest(7, **asked), STORED, live)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("live", "asked", "reason", "words"),
    [
        (absent(), {}, None, ""),
        (look(), {}, None, ""),
        (look(session(name="web-2")), {}, None, ""),
        (look(LIVE), {"replaces": True}, None, ""),
        (look(LIVE), {"name": "copy"}, None, ""),
        (look(LIVE), {"window": 4}, None, ""),
        (UNKNOWN, {}, RefusalReason.SERVER_UNKNOWN, "silence"),
        (UNKNOWN, {"replaces": True}, RefusalReason.SERVER_UNKNOWN, "silence"),
        (look(LIVE), {}, RefusalReason.OCCUPIED, "--as NAME"),
        (look(LIVE), {"name": "web"}, RefusalReason.OCCUPIED, "--replace"),
        (look(LIVE), {"window": 0}, RefusalReason.OCCUPIED, "window 0 of web is there"),
        (look(LIVE), {"window": 9}, RefusalReason.NO_CHECKPOINT, "It has 0, 4."),
        (look(), {"window": 4}, RefusalReason.STALE, "Leave --window out"),
        (absent(), {"window": 4}, RefusalReason.STALE, "Leave --window out"),
        (absent(), {"replaces": True}, RefusalReason.STALE, "Leave --replace out"),
        (look(LIVE, session(name="copy")), {"name": "copy"}, RefusalReason.OCCUPIED, "copy is there"),
        (look(LIVE), {"name": "lost"}, RefusalReason.OCCUPIED, "lost is expected to be there"),
    ],
)
def test_obstacles(live: Look, asked: dict[str, object], reason: RefusalReason | None, words: str) -> None:
    refusal = restore.obstacle(order(live, **asked), live, {"web": 1, "lost": 1})
    assert (refusal.reason if refusal else None) is reason
    assert words in (f"{refusal.sentence} {refusal.hint}" if refusal else "")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({}, ""),
        ({"window": 0}, ""),
        ({"name": "a b é#"}, ""),
        ({"replaces": True}, ""),
        ({"name": "a.b"}, "no session name"),
        ({"name": "a:b"}, "no session name"),
        ({"name": "a\nb"}, "no session name"),
        ({"name": "x" * 201}, "no session name"),
        ({"name": "x", "window": 0}, "cannot have another name"),
        ({"name": "x", "replaces": True}, "nothing is replaced"),
        ({"window": 0, "replaces": True}, "only a whole session"),
    ],
)
def test_a_request_that_makes_no_sense(asked: dict[str, object], words: str) -> None:
    said = restore.fault(RestoreRequest(7, **asked))  # type: ignore[arg-type]
    assert words in said
    assert bool(words) is bool(said)


def test_a_copy_beside_the_living_one_is_all_shells_that_wait() -> None:
    wanted = order(look(LIVE), name="copy")
    image = wanted.checkpoint.image
    assert (wanted.holds, image.name, wanted.checkpoint.session) == (True, "copy", "web")
    shell, command = image.windows[0].panes
    assert shell == IMAGE.windows[0].panes[0]
    assert (command.start_command, command.argv, command.program) == ("", (), ("sleep", "9"))


def test_a_copy_or_a_window_shares_nothing() -> None:
    shared = replace(TWO, group="g", windows=tuple(replace(w, link="l") for w in TWO.windows))
    stored = replace(STORED, image=shared)
    for asked, kept in (({"name": "copy"}, False), ({"window": 4}, False), ({}, True)):
        image = restore.order_of(RestoreRequest(7, **asked), stored, look()).checkpoint.image  # type: ignore[arg-type]
        assert (image.group, {window.link for window in image.windows}) == (
            ("g", {"l"}) if kept else ("", {""})
        )


def test_a_copy_of_what_is_gone_is_as_it_was() -> None:
    wanted = order(look(), name="copy")
    assert (wanted.holds, wanted.checkpoint.image) == (False, replace(TWO, name="copy"))


@pytest.mark.parametrize(
    ("start", "argv", "program"),
    [
        ('"sleep 5"', (), ("sleep 5",)),
        ('"sleep', (), ('"sleep',)),
        ("x", ("x", "y"), ("x", "y")),
    ],
)
def test_what_was_started_as_a_command_waits_in_a_shell(
    start: str, argv: tuple[str, ...], program: tuple[str, ...]
) -> None:
    saved = SavedPane(0, "", "/", start, argv, (), True)
    stored = replace(STORED, image=replace(IMAGE, windows=(replace(IMAGE.windows[0], panes=(saved,)),)))
    image = restore.order_of(RestoreRequest(7, name="copy"), stored, look(LIVE)).checkpoint.image
    assert image.windows[0].panes[0].program == program


@pytest.mark.parametrize("entry", Entry)
def test_held(entry: Entry) -> None:
    found = restore.held(Resumption(0, 0, entry, "x", ("x",), "rule"), "it rains")
    assert found is not None
    assert ("it rains" in found.reason) is (entry is Entry.TYPED)
    assert found.entry is (Entry.HELD if entry is Entry.TYPED else entry)
    assert restore.held(None, "it rains") is None


def planned(live: Look, **asked: object) -> Plan | Refusal:
    wanted = order(live, **asked)
    name = wanted.checkpoint.image.name
    finding = restore.finding_of(wanted, live, "asked for")
    return choose(
        replace(
            situation(asker=Asker.OPERATOR), finding=finding, look=live, session=live.find(name), ladder=(),
            order=wanted, checkpoint=wanted.checkpoint,
        ),
        lambda saved, window, shell: Resumption(window, saved.index, Entry.TYPED, "x", ("x",), "rule"),
    )  # fmt: skip


def test_the_plan_for_a_whole_session_needs_no_ladder() -> None:
    plan = planned(absent())
    assert isinstance(plan, Plan)
    assert (plan.strategy, [step.kind for step in plan.steps]) == (
        Strategy.RESTORE_CHECKPOINT, [StepKind.REBUILD_SESSION, StepKind.START_PROGRAMS],
    )  # fmt: skip


def test_the_plan_for_a_replacement_is_one_step() -> None:
    plan = planned(look(LIVE), replaces=True)
    assert isinstance(plan, Plan)
    assert [step.describe() for step in plan.steps] == ["replace session", "start programs"]
    assert plan.expectation.image == TWO
    assert plan.expectation.untouched == ()


def test_the_plan_for_a_window_leaves_every_sibling() -> None:
    plan = planned(look(LIVE), window=4)
    assert isinstance(plan, Plan)
    assert plan.strategy is Strategy.REBUILD_WINDOW
    assert [step.describe() for step in plan.steps] == ["save", "rebuild window 4", "start programs"]
    assert plan.finding.failure.unit is Unit.WINDOW
    assert plan.expectation.untouched == tuple((one.id, one.pid) for one in LIVE.panes())
    assert plan.expectation.image is not None
    assert [(w.index, w.active) for w in plan.expectation.image.windows] == [(0, True), (4, False)]
    assert {one.window for one in plan.expectation.resumptions} == {4}
