"""Windows of which nothing is left: what was killed, what somebody closed, and what lives elsewhere."""

from __future__ import annotations

from dataclasses import replace
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.clues import Context
from sidecar.decide.confirm import Doubt, certain
from sidecar.decide.detect import Expected, detect, instance_of, killed_windows
from sidecar.decide.diagnose import diagnose
from sidecar.decide.resume import is_shell
from sidecar.model.incident import Broken, Cause, Exit, Failure, FailureKind, Intent, Role, Unit
from sidecar.model.session import Pane, Session, Window
from tests.decide.builders import SERVER, ended, look, pane, session


def windows(*groups: tuple[Pane, ...], name: str = "web", identity: str = "$1") -> Session:
    """A session with a window for each group of panes."""
    one = session(name=name, identity=identity).windows[0]
    made = tuple(
        replace(one, id=f"@{number}", index=number, panes=panes) for number, panes in enumerate(groups, 1)
    )
    return replace(session(name=name, identity=identity), windows=made)


BEFORE = windows((pane(1),), (pane(2), pane(3)))
AFTER = windows((pane(1),))
ENTRY = Expected("web", SERVER, BEFORE, instance_of(SERVER, BEFORE))


def lost(
    *exits: Exit, entry: Expected = ENTRY, after: Session = AFTER, others: tuple[Session, ...] = ()
) -> list[int]:
    """The indexes of the windows that are taken for killed."""
    by_pid = {end.pid: end for end in exits}
    return [window.index for window in killed_windows(entry, after, look(after, *others), by_pid)]


def linked(window: Window) -> Window:
    return replace(window, links=2)


BOTH = ended(202, -9), ended(203, -11)


@pytest.mark.parametrize(
    ("exits", "found"),
    [
        (BOTH, [2]),
        # kill-window hangs them up; a shell may leave by itself, and top exits with 1.
        ((ended(202, -1), ended(203, -1)), []),
        ((ended(202, -1), ended(203, 1)), []),
        ((ended(202, 0), ended(203, 129)), []),
        # One was killed and the other one closed: somebody has closed the window.
        ((ended(202, -9), ended(203, -1)), []),
        ((ended(202, -9), ended(203, 0)), []),
        ((ended(202, -9),), []),
        ((ended(202, -9), ended(203, None)), []),
        ((ended(202, -9, Role.PROGRAM), ended(203, -9)), []),
        ((), []),
    ],
)
def test_a_window_is_lost_when_all_in_it_was_killed(exits: tuple[Exit, ...], found: list[int]) -> None:
    assert lost(*exits) == found


class Untouched(tuple[Session, ...]):
    """Sessions that nobody may go through."""

    def __iter__(self) -> NoReturn:
        raise AssertionError("a hundred sessions would each be compared with a hundred")


def test_all_that_a_look_shows_is_gone_through_only_where_something_was_killed() -> None:
    shown = look(AFTER)
    # A look goes through its sessions once itself, to know them by name.
    object.__setattr__(shown, "sessions", Untouched(shown.sessions))

    assert killed_windows(ENTRY, AFTER, shown, {202: ended(202, -1)}) == ()


def test_what_lives_elsewhere_was_moved() -> None:
    broken_out = windows((pane(1),), (pane(2),), (pane(3),))
    joined = windows((pane(1), pane(2), pane(3)))
    elsewhere = windows((pane(2), pane(3)), name="api", identity="$2")
    moved = replace(elsewhere, windows=(replace(BEFORE.windows[1], index=7),))
    for after, others in ((broken_out, ()), (joined, ()), (AFTER, (elsewhere,)), (AFTER, (moved,))):
        assert lost(*BOTH, after=after, others=others) == []


def test_what_several_sessions_show_is_left_alone() -> None:
    shared = replace(BEFORE, windows=tuple(map(linked, BEFORE.windows)))
    assert lost(*BOTH, entry=replace(ENTRY, session=shared)) == []


def test_a_declared_session_has_a_shape_of_its_own() -> None:
    assert lost(*BOTH, entry=replace(ENTRY, declared=True)) == []


def test_a_lost_window_is_remembered_until_something_stands_in_its_place() -> None:
    later = replace(ENTRY, session=AFTER, lost=(BEFORE.windows[1],))
    assert lost(*BOTH, entry=later) == [2]
    assert lost(*BOTH, entry=later, after=windows((pane(1),), (pane(9),))) == []


def test_the_failure_names_the_window_and_its_first_sign() -> None:
    exits = {202: ended(202, -9, seen=41.0), 203: ended(203, -9, seen=42.0)}
    (failure,) = detect({"web": ENTRY}, look(AFTER), exits, server_alive=False, now=50.0).failures
    assert failure == Failure(
        "web", FailureKind.CRASHED, (Broken(Unit.WINDOW, pid=202, code=-9, window=2),), 41.0
    )
    (finding,) = diagnose(failure, Context(look(AFTER), ENTRY, exits), is_shell)
    assert (finding.cause, finding.intent) == (Cause.PROCESS_KILLED, Intent.FAILURE)
    facts = [fact.fact for fact in finding.evidence]
    assert "window 2 is gone, and no other session has it" in facts
    assert "pane's process 203 of %1 was ended by SIGKILL" in "; ".join(facts)


def test_a_dead_pane_beside_it_has_a_plan_of_its_own() -> None:
    dead = windows((pane(1, dead=True),))
    exits = {end.pid: end for end in (ended(201, -9), *BOTH)}
    (failure,) = detect({"web": ENTRY}, look(dead), exits, server_alive=False, now=50.0).failures
    found = diagnose(failure, Context(look(dead), ENTRY, exits), is_shell)
    assert [finding.failure.unit for finding in found] == [Unit.WINDOW, Unit.PANE]


FATAL, POLITE = (-9, -11, -6), (-1, -15, 0, 1, 129, None)


@given(
    code=st.sampled_from(FATAL + POLITE),
    removed=st.floats(0.0, 100.0),
    ended_at=st.floats(0.0, 100.0),
    looks=st.lists(st.floats(0.0, 100.0), max_size=6),
    patience=st.integers(1, 3),
)
def test_whatever_the_order_only_what_ended_first_and_badly_is_a_failure(
    code: int | None, removed: float, ended_at: float, looks: list[float], patience: int
) -> None:
    """One session of one pane. tmux lets go of it at ``removed``; its process ends at ``ended_at``.

    When the process ends by itself, tmux lets go of it afterwards. Looks come at any moment, and more
    after all is over. Each is known a moment after it was taken.
    """
    closed = ended_at > removed
    live = windows((pane(1),))
    entry = Expected("web", SERVER, live, instance_of(SERVER, live))
    other = windows((pane(9),), name="other", identity="$2")
    end = Exit(Role.PANE, 201, "web", "%1", code, ended_at, "zombie")
    missed: float | None = None
    over = max(removed, ended_at) + 1.0
    for taken in (*sorted(looks), *(over + number for number in range(patience + 1))):
        if taken < removed:
            continue
        exits = {201: end} if ended_at <= taken else {}
        seen = replace(look(other), taken=taken)
        (failure,) = detect({"web": entry}, seen, exits, server_alive=False, now=taken).failures
        if not certain(failure, Doubt(entry, seen, exits, "boot", missed)):
            missed = missed if missed is not None else taken
            continue
        context = Context(seen, entry, exits, boot_id="boot", missed=missed)
        (finding,) = diagnose(failure, context, is_shell)
        if code in POLITE:
            assert finding.intent is Intent.PERSON
        elif not closed:
            assert finding.intent is Intent.FAILURE
        elif missed is not None and missed < ended_at:
            assert finding.intent is Intent.PERSON
        return
    raise AssertionError("no look was certain")
