"""What counts as broken, by evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.detect import (
    NOT_RUNNING,
    Detection,
    Expected,
    detect,
    instance_of,
)
from sidecar.decide.remember import await_entry, carry
from sidecar.model.incident import Broken, Exit, FailureKind, Role, Unit
from sidecar.model.session import Look, Presence, Process, ServerId, Session, image_of
from tests.decide.builders import SERVER, absent, ended, look, pane, session


def expected(live: Session | None = None, **changes: object) -> dict[str, Expected]:
    live = live or session()
    entry = Expected(live.name, SERVER, live, instance_of(SERVER, live))
    return {live.name: replace(entry, **changes)}  # type: ignore[arg-type]


def found(
    entries: dict[str, Expected],
    seen: Look,
    *exits: Exit,
    server_alive: bool = False,
    cut_off: tuple[int, ...] = (),
) -> Detection:
    ends = {each.pid: each for each in exits}
    return detect(entries, seen, ends, server_alive=server_alive, now=50.0, cut_off=cut_off)


def test_a_session_in_good_order_is_no_failure() -> None:
    assert found(expected(), look(session())) == Detection()


def test_no_answer_breaks_nothing() -> None:
    assert found(expected(), Look(Presence.UNKNOWN, 50.0, reason="time-out")) == Detection()


@pytest.mark.parametrize("seen", [absent(), look(session(name="other", identity="$2"))])
def test_a_session_that_is_not_there_is_crashed(seen: Look) -> None:
    (failure,) = found(expected(), seen).failures
    assert (failure.session, failure.kind, failure.unit) == ("web", FailureKind.CRASHED, Unit.SESSION)


def test_a_prefix_of_a_name_is_not_the_session() -> None:
    assert found(expected(), look(session(name="web-2", identity="$2"))).failures


def test_the_first_sign_is_the_first_process_that_ended() -> None:
    exits = ended(100, -9, Role.SERVER, seen=41.0), ended(201, -1, seen=42.0)
    assert found(expected(), absent(), *exits).failures[0].first_sign == 41.0


def test_no_session_is_gone_while_its_server_lives_out_of_reach() -> None:
    assert found(expected(), absent(), server_alive=True) == Detection()
    other = look(session(name="other"), server=ServerId("boot", 101, 2_000))
    assert found(expected(), other, cut_off=(SERVER.pid,)) == Detection()
    assert found(expected(), other, cut_off=(7,)).failures


def test_the_same_session_under_another_name_is_renamed() -> None:
    moved = session(name="api")
    assert found(expected(), look(moved)).renamed == (("web", moved),)


def test_another_session_under_the_same_name_is_replaced() -> None:
    other = session(identity="$7")
    assert found(expected(), look(other)).replaced == (other,)


def test_a_rename_is_not_seen_across_servers() -> None:
    other = look(session(name="api"), server=ServerId("boot", 101, 2_000))
    assert found(expected(), other).failures


def test_a_dead_pane_is_broken_with_its_exit_code() -> None:
    live = session(pane(1, dead=True), pane(2))
    (failure,) = found(expected(), look(live), ended(201, -9)).failures
    assert failure.broken == (Broken(Unit.PANE, "%1", 201, -9),)
    assert failure.first_sign == 49.0


@pytest.mark.parametrize(
    ("code", "broken"),
    [(-9, True), (-11, True), (-6, True), (-15, False), (-2, False), (0, False), (None, False)],
)
def test_a_program_in_a_shell_counts_only_when_it_was_killed(code: int | None, broken: bool) -> None:
    before = expected(session(pane(1, program=301)))
    got = found(before, look(session(pane(1))), ended(301, code, Role.PROGRAM)).failures
    assert bool(got) is broken
    if broken:
        assert got[0].broken == (Broken(Unit.PROGRAM, "%1", 301, code),)


def test_a_pane_that_was_closed_is_no_failure() -> None:
    before = expected(session(pane(1), pane(2)))
    assert found(before, look(session(pane(1)))).failures == ()


def test_carry_keeps_what_a_dead_pane_was() -> None:
    before = session(replace(pane(1, program=301), conversation="a-1"))
    dead = replace(pane(1, dead=True), cwd="", argv=())
    kept = next(carry(before, session(dead)).panes())
    assert kept.conversation == "a-1"
    assert (kept.dead, kept.cwd, kept.argv) == (True, "/srv", ("-bash",))
    assert kept.program is not None


def test_carry_keeps_the_killed_program_of_a_broken_pane_only() -> None:
    before = session(replace(pane(1, program=301), conversation="a-1"))
    broken = [Broken(Unit.PROGRAM, "%1", 301, -9)]
    kept = next(carry(before, session(pane(1)), broken).panes())
    assert kept.program is not None
    assert kept.conversation == "a-1"
    kept = next(carry(before, session(pane(1))).panes())
    assert (kept.program, kept.conversation) == (None, "")


def test_a_line_that_waits_for_a_person_keeps_its_program_wanted_until_something_runs() -> None:
    program = Process(77, ("make", "all"))
    before = session(replace(pane(), program=program))
    image = image_of(before, width=80, height=24)
    bare = session(replace(pane(), program=None))
    healed = await_entry(bare, image, [(before.windows[0].index, before.windows[0].panes[0].index)])
    assert [one.program for one in healed.panes()] == [Process(NOT_RUNNING, program.argv)]
    assert await_entry(bare, image, []) == bare

    still = carry(healed, bare)
    assert [one.program for one in still.panes()] == [Process(NOT_RUNNING, program.argv)]
    other = session(replace(pane(), program=Process(78, ("vi",))))
    assert carry(still, other) == other
    another_shell = session(replace(pane(), pid=pane().pid + 1))
    assert carry(still, another_shell) == another_shell
    assert found(expected(still), look(bare)) == Detection()
