"""What is to be looked at when something has broken, and whether before anything is done or beside it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.detect import Expected
from sidecar.decide.diagnostics import Scene, composed, scene_of
from sidecar.model.diagnostics import (
    Diagnostics,
    Ending,
    PaneFacts,
    ProcessFacts,
    PythonStack,
    ServerFacts,
    Subject,
    Tail,
    Tree,
)
from sidecar.model.incident import Broken, Exit, Failure, FailureKind, Role, Unit
from sidecar.model.session import Session
from tests.decide.builders import SERVER, ended, pane, session

LIVE = session(pane(1, program=900), pane(2, command="sleep 9"), pane(3, dead=True))
EXPECTED = {"web": Expected("web", SERVER, LIVE, f"{SERVER}/$1")}


def scene(*parts: Broken, before: Session | None = LIVE, exits: dict[int, Exit] | None = None) -> Scene:
    return scene_of(Failure("web", FailureKind.CRASHED, parts, 1.0), before, EXPECTED, exits or {})


def process(pid: int) -> ProcessFacts:
    return ProcessFacts(pid, 1, "x", "S", 1, 1.0, 0.0, 4096, 1)


@pytest.mark.parametrize(
    ("part", "firm"),
    [
        (Broken(Unit.PROGRAM, "%1", 900, started=5), True),
        (Broken(Unit.PROGRAM, "%1", 901), False),
        (Broken(Unit.CHECK, "%1", 900, check="api"), True),
        (Broken(Unit.CHECK, "%1", 0, check="api"), False),
        (Broken(Unit.CHECK, "%1", 902, check="api"), False),
        (Broken(Unit.PANE, "%3", 203), False),
        (Broken(Unit.PROGRAM, "%3", 900, started=5), False),
        (Broken(Unit.PANE, "%9", 209, gone=True), False),
    ],
)
def test_only_what_lives_and_may_be_ended_is_looked_at_before(part: Broken, firm: bool) -> None:
    found = scene(part, exits={902: ended(902, -9)})
    assert [one.firm for one in (*found.firm, *found.others)] == [firm]
    assert bool(found.firm) is firm
    assert found.shown == ((part.pane,) if part.pane != "%9" else ())


def test_how_it_ended_comes_from_whoever_knows_best() -> None:
    told = replace(ended(203, -9), group="/g")
    (one,) = scene(Broken(Unit.PANE, "%3", 203), exits={203: told}).panes
    assert one.ending == Ending(203, -9, "was ended by SIGKILL", "zombie", "/g")
    (one,) = scene(Broken(Unit.PANE, "%3", 203, code=3)).panes
    assert one.ending == Ending(203, 3, "exited with 3", "tmux")
    (one,) = scene(Broken(Unit.PANE, "%3", 203)).panes
    assert one.ending == Ending(203, None, "ended in a way that could not be learnt", "none")
    (one,) = scene(Broken(Unit.PROGRAM, "%1", 900, started=5)).panes
    assert (one.pid, one.subject, one.ending) == (201, 900, None)


def test_the_groups_of_what_has_ended_are_asked_about_once() -> None:
    exits = {pid: replace(ended(pid, -9), group="/g") for pid in (203, 204, SERVER.pid)}
    found = scene(Broken(Unit.PANE, "%3", 203), Broken(Unit.PANE, "%4", 204), exits=exits)
    assert found.groups == ("/g",)
    assert found.folders == ("/srv",)


@pytest.mark.parametrize("unit", list(Unit))
def test_the_server_is_looked_at_where_more_than_parts_are_broken(unit: Unit) -> None:
    found = scene(Broken(unit), before=None)
    wide = unit in (Unit.SESSION, Unit.SERVER, Unit.SOCKET)
    assert found.server == (ServerFacts(SERVER.pid) if wide else None)
    assert found.firm == ((Subject("server", SERVER.pid, whole=False, firm=True),) if wide else ())
    dead = scene(Broken(unit), before=None, exits={SERVER.pid: ended(SERVER.pid, -11, Role.SERVER)})
    assert dead.firm == ()
    if wide:
        assert dead.server is not None
        assert dead.server.ending is not None
        assert dead.server.ending.words == "was ended by SIGSEGV"


def test_of_a_session_that_was_never_seen_there_is_no_server() -> None:
    failure = Failure("new", FailureKind.CRASHED, (Broken(Unit.SESSION),), 1.0)
    assert scene_of(failure, None, {"new": Expected("new")}, {}) == Scene()


def test_what_was_seen_goes_where_it_belongs() -> None:
    known = scene(Broken(Unit.PROGRAM, "%1", 900, started=5), Broken(Unit.PROGRAM, "%2", 202, started=6))
    stack, other = PythonStack(900), PythonStack(202)
    tree = Tree((process(201), process(900)))
    found = composed(
        known, 5.0, 0.1, {"%1": Tail(("a",))}, {"%1": tree, "%2": Tree((process(202),))}, (other, stack),
        None, ("x", "x"),
    )  # fmt: skip
    assert found == Diagnostics(
        5.0,
        0.1,
        panes=(
            PaneFacts("%1", 201, 900, None, Tail(("a",)), tree, (stack,)),
            PaneFacts("%2", 202, 0, None, None, Tree((process(202),)), (other,)),
        ),
        missing=("x",),
    )
