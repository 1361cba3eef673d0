"""When a failure is certain enough, and whether it is still the same at the moment of action."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.confirm import Doubt, Scene, certain, still_broken
from sidecar.decide.detect import Expected, instance_of
from sidecar.model.incident import Broken, Exit, Failure, FailureKind, Role, Unit
from sidecar.model.session import Look, Session
from tests.decide.builders import SERVER, absent, ended, look, pane, session

TWO = session(pane(1), pane(2))
ENTRY = Expected("web", SERVER, TWO, instance_of(SERVER, TWO))
GONE = Failure("web", FailureKind.CRASHED, (Broken(Unit.SESSION),), 49.0)
OTHER = look(session(name="other", identity="$2"))


@pytest.mark.parametrize(
    ("exits", "entry", "missed", "is_certain"),
    [
        ((), ENTRY, None, False),
        ((), ENTRY, 49.0, True),
        ((), ENTRY, 51.0, False),
        ((ended(100, None, Role.SERVER),), ENTRY, None, True),
        ((ended(201, -9), ended(202, -1)), ENTRY, None, True),
        ((ended(201, -9),), ENTRY, None, False),
        ((), replace(ENTRY, instance="other-boot/100/1000/$1"), None, True),
        ((), replace(ENTRY, server=None, session=None), None, False),
        ((), Expected("web", declared=True), None, True),
        ((), None, None, True),
    ],
)
def test_absent_counts_when_something_else_says_the_same(
    exits: tuple[Exit, ...], entry: Expected | None, missed: float | None, is_certain: bool
) -> None:
    by_pid = {end.pid: end for end in exits}
    assert certain(GONE, Doubt(entry, absent(), by_pid, "boot", missed)) is is_certain


def test_what_is_seen_broken_is_certain_at_once() -> None:
    dead = Failure("web", FailureKind.CRASHED, (Broken(Unit.PANE, "%1", 201),), 49.0)
    assert certain(dead, Doubt(ENTRY, OTHER, {}, "boot", None))


DEAD = session(pane(1, dead=True), pane(2))
PROGRAM = session(pane(1, program=301), pane(2))


@pytest.mark.parametrize(
    ("part", "seen", "broken"),
    [
        (Broken(Unit.SESSION), absent(), True),
        (Broken(Unit.SESSION), OTHER, True),
        (Broken(Unit.SESSION), look(TWO), False),
        (Broken(Unit.SERVER), absent(), True),
        (Broken(Unit.SOCKET), absent(), True),
        (Broken(Unit.SOCKET), look(TWO), False),
        (Broken(Unit.PANE, "%1", 201), look(DEAD), True),
        (Broken(Unit.PANE, "%1", 999), look(DEAD), False),
        (Broken(Unit.PANE, "%1", 201), look(TWO), False),
        (Broken(Unit.PANE, "%7", 201), look(DEAD), False),
        (Broken(Unit.PROGRAM, "%1", 301), look(TWO), True),
        (Broken(Unit.PROGRAM, "%1", 301), look(PROGRAM), False),
        (Broken(Unit.PROGRAM, "%1", 301), look(DEAD), False),
        (Broken(Unit.WINDOW, window=3), look(TWO), True),
        (Broken(Unit.WINDOW, window=0), look(TWO), False),
        (Broken(Unit.WINDOW, window=3), look(replace(TWO, id="$9")), False),
        (Broken(Unit.WINDOW, window=3), OTHER, False),
    ],
)
def test_the_state_is_asked_again_right_before_acting(part: Broken, seen: Look, broken: bool) -> None:
    failure = Failure("web", FailureKind.CRASHED, (part,), 49.0)
    before: Session | None = PROGRAM
    assert still_broken(Scene(failure, before, None, seen)) is broken


def test_one_part_that_came_back_is_enough_to_ask_again() -> None:
    parts = (Broken(Unit.PANE, "%1", 201), Broken(Unit.PANE, "%2", 202))
    failure = Failure("web", FailureKind.CRASHED, parts, 49.0)
    assert not still_broken(Scene(failure, TWO, None, look(DEAD)))


def test_every_unit_has_its_question() -> None:
    failure = Failure("web", FailureKind.CRASHED, (), 49.0)
    for unit in Unit:
        scene = Scene(replace(failure, broken=(Broken(unit),)), None, None, absent())
        assert still_broken(scene) in (True, False)
