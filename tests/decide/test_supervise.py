"""When a program under supervision is started again: by its rule, its past and what it comes after."""

from __future__ import annotations

import signal
from dataclasses import replace
from itertools import pairwise

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sidecar.config import SessionSettings
from sidecar.decide import supervise
from sidecar.decide.casting import miscast
from sidecar.decide.supervise import Ending, Member, Move, Sight, ailment, ailments, rule_on, sight
from sidecar.model.incident import Intent, Role, Unit
from sidecar.model.plan import RefusalReason
from sidecar.model.policy import Budget, Restore
from sidecar.model.session import Process
from sidecar.model.supervise import Life, ProgramRule, ProgramState, Spot
from tests.decide.builders import ended, pane

PACE = 600.0
NOW = 1_000_000.0
RULE = ProgramRule("web")
SPOT = Spot("web", "main", 0, 1)


def member(
    rule: ProgramRule = RULE, life: Life | None = None, name: str = "job", spot: Spot = SPOT
) -> Member:
    return Member(name, rule, spot, f"%{spot.pane}", Unit.PANE, life or Life())


def dead(code: int | None, **facts: object) -> Life:
    return replace(Life(7, ("job",), NOW - 60.0, NOW - 1.0, code), **facts)  # type: ignore[arg-type]


ALWAYS, FAILED, NEVER = Restore.ALWAYS, Restore.ON_FAILURE, Restore.NEVER


@pytest.mark.parametrize(
    ("restart", "code", "move"),
    [
        (ALWAYS, 0, Move.START),
        (ALWAYS, 1, Move.START),
        (ALWAYS, -signal.SIGKILL, Move.START),
        (ALWAYS, -signal.SIGTERM, Move.START),
        (ALWAYS, None, Move.START),
        (ALWAYS, -signal.SIGINT, Move.STAY),
        (ALWAYS, 130, Move.STAY),
        (ALWAYS, 2, Move.STAY),
        (FAILED, 0, Move.STAY),
        (FAILED, 1, Move.START),
        (FAILED, 2, Move.STAY),
        (FAILED, -signal.SIGSEGV, Move.START),
        (FAILED, -signal.SIGKILL, Move.START),
        (FAILED, -signal.SIGTERM, Move.STAY),
        (FAILED, -signal.SIGHUP, Move.STAY),
        (FAILED, -signal.SIGPIPE, Move.STAY),
        (FAILED, -signal.SIGUSR1, Move.STAY),
        (FAILED, None, Move.HOLD),
        (NEVER, 1, Move.STAY),
        (NEVER, None, Move.STAY),
    ],
)
def test_each_policy(restart: Restore, code: int | None, move: Move) -> None:
    rule = ProgramRule("web", restart=restart, expected_exits=(2, -signal.SIGUSR1))
    assert rule_on(member(rule, dead(code)), (), (), PACE, NOW).move is move


@pytest.mark.parametrize(
    ("run", "argv", "its"),
    [
        ("./worker --all", "./worker --all", True),
        ("./worker --all", "/bin/sh ./worker --all", True),
        ("./worker --all", "/bin/sh -e ./worker --all", True),
        ("flask run", "/srv/env/bin/python3.12 /srv/env/bin/flask run", True),
        ("rails server", "ruby /usr/bin/rails server", True),
        ("./worker --all", "/bin/sh ./worker", False),
        ("./worker --all", "/bin/sh /srv/worker --all", False),
        ("./worker", "vim ./worker", False),
        ("./worker", "bash -ec ./worker", False),
        ("node server.js", "node server.js", True),
        ("node server.js", "/usr/bin/node server.js", False),
        ("flask run", "/srv/env/bin/flask run", False),
    ],
)
def test_what_a_rule_starts_is_known_again(run: str, argv: str, its: bool) -> None:
    rule = ProgramRule("web", run=tuple(run.split()))
    assert supervise.fits(rule, argv.split(), own=False) is its


def test_what_writes_its_command_line_as_one_word_is_known_again() -> None:
    rule = ProgramRule("web", run=("npm", "run", "dev"))
    assert supervise.fits(rule, ("npm run dev", "", "", ""), own=False)


@pytest.mark.parametrize(
    ("code", "restart", "intent"),
    [(0, FAILED, Intent.PERSON), (1, FAILED, Intent.FAILURE), (0, ALWAYS, Intent.FAILURE),
     (1, NEVER, Intent.FAILURE), (None, FAILED, Intent.UNKNOWN)],
)  # fmt: skip
def test_whether_an_end_counts_as_a_failure(code: int | None, restart: Restore, intent: Intent) -> None:
    ruling = rule_on(member(ProgramRule("web", restart=restart), dead(code)), (), (), PACE, NOW)
    assert supervise.intent(ruling) is intent


def test_what_was_never_seen_is_started() -> None:
    assert supervise.ending(RULE, Life()) is Ending.MISSING
    assert rule_on(member(), (), (), PACE, NOW).move is Move.START


def test_it_rests_until_it_is_due() -> None:
    ruling = rule_on(member(life=dead(1, due=NOW + 3.0)), (), (), PACE, NOW)
    assert (ruling.move, ruling.until) == (Move.BACK_OFF, NOW + 3.0)
    assert rule_on(member(life=dead(1, due=NOW + 3.0)), (), (), PACE, NOW + 3.0).move is Move.START


def test_a_clock_that_is_set_back_does_not_make_it_wait_for_ever() -> None:
    ruling = rule_on(member(life=dead(1, due=NOW + 86_400.0)), (), (), PACE, NOW)
    assert ruling.until == NOW + RULE.max_delay


def test_beyond_its_intensity_it_is_given_up_and_tried_slowly() -> None:
    starts = tuple(NOW - 10.0 * number for number in range(5, 0, -1))
    one = member(life=dead(1))
    ruling = rule_on(one, starts, (), PACE, NOW)
    assert (ruling.move, ruling.until) == (Move.GIVE_UP, NOW + PACE - 10.0)
    life, news = supervise.marked(one.life, ruling, NOW)
    assert (life.given_up, news) == (True, True)
    assert supervise.marked(life, ruling, NOW)[1] is False
    given_up = replace(one, life=life)
    assert rule_on(given_up, (NOW - PACE, NOW - 1.0), (), PACE, NOW).move is Move.GIVE_UP
    # The period of its intensity is over, the pace is not.
    assert rule_on(given_up, starts, (), PACE, NOW + 120.0).move is Move.GIVE_UP
    assert rule_on(given_up, starts, (), PACE, NOW + PACE).move is Move.START
    refused = supervise.refusal(one, ruling, NOW)
    assert refused is not None
    assert refused.reason is RefusalReason.INTENSITY_EXCEEDED
    assert "job in web:0.1 exited with 1; 5 restarts in 60 s did not last" in refused.sentence


def test_what_was_given_up_counts_as_well_again_once_it_has_lasted() -> None:
    life = Life(8, ("job",), NOW, given_up=True, told=True, failed=3)
    seen = Sight(Unit.PANE, 8, ("job",))
    soon = supervise.runs(life, seen, RULE, NOW + 2.0)
    assert (soon.failed, soon.given_up) == (0, True)
    assert supervise.runs(soon, seen, RULE, NOW + 60.0).given_up is False


def test_it_waits_for_what_it_comes_after() -> None:
    one = member(life=dead(1))
    ruling = rule_on(one, (), ("db does not run",), PACE, NOW)
    assert ruling.move is Move.WAIT
    assert supervise.marked(one.life, ruling, NOW)[1] is False
    assert supervise.marked(one.life, ruling, NOW + supervise.PATIENCE)[1] is True
    refused = supervise.refusal(one, ruling, NOW)
    assert refused is not None
    assert refused.reason is RefusalReason.WAITS_FOR_PROGRAM
    assert "db does not run" in refused.sentence


def test_nothing_is_typed_while_something_else_runs_in_the_shell() -> None:
    ruling = rule_on(replace(member(life=dead(1)), busy=True), (), (), PACE, NOW)
    assert ruling.move is Move.WAIT
    assert ruling.ailing == ("something else runs in front of its shell",)


def test_starts_that_came_to_nothing_unseen_are_failed_ones() -> None:
    one = member(life=dead(1))
    ruling = rule_on(one, (NOW - 0.1,), (), PACE, NOW)
    assert (ruling.move, ruling.until) == (Move.BACK_OFF, NOW - 0.1 + 0.5)
    assert rule_on(one, (NOW - 60.0,), (), PACE, NOW).move is Move.START


@given(
    st.floats(0, 100), st.floats(0.001, 1_000), st.lists(st.floats(0, 1), min_size=2, max_size=40),
)  # fmt: skip
def test_delays_grow_up_to_their_limit(delay: float, most: float, rolls: list[float]) -> None:
    rule = ProgramRule("web", delay=delay, max_delay=most)
    found = [supervise.delay(rule, failed, roll) for failed, roll in enumerate(rolls)]
    assert all(one <= later for one, later in pairwise(found))
    assert all(one <= most for one in found)


def test_a_first_failure_costs_no_time_by_default() -> None:
    assert [supervise.delay(RULE, failed, 0.0) for failed in range(5)] == [0.0, 0.5, 1.0, 2.0, 4.0]


@given(st.data())
def test_a_run_by_a_virtual_clock_keeps_every_promise(data: st.DataObject) -> None:
    count, period = data.draw(st.integers(1, 5)), data.draw(st.sampled_from([1.0, 10.0, 60.0]))
    rule = ProgramRule(
        "web", restart=data.draw(st.sampled_from([ALWAYS, FAILED])), intensity=Budget(count, period),
        expected_exits=(3,), delay=data.draw(st.sampled_from([0.0, 0.1, 5.0])), start_grace=1.0,
    )  # fmt: skip
    now, starts, life = NOW, [], supervise.runs(Life(), Sight(Unit.PANE, 1, ("job",)), rule, NOW)
    for pid in range(2, 30):
        now += data.draw(st.floats(0.0, 20.0))
        code = data.draw(st.sampled_from([1, 1, 1, -9, 0, 3, None]))
        life = supervise.ends(life, Sight(Unit.PANE, pid - 1, (), False, code), rule, now, 0.5)
        for _ in range(40):
            ruling = rule_on(member(rule, life), starts, (), PACE, now)
            life, _ = supervise.marked(life, ruling, now)
            if ruling.move is Move.START or ruling.until is None:
                break
            assert ruling.until > now
            now = ruling.until
        if ruling.move is not Move.START:
            assert code in (0, 3, None)
            break
        assert code != 3
        assert now >= life.due - 1e-6 or life.given_up
        starts.append(now)
        assert len([one for one in starts if now - one < period]) <= count
        life = supervise.runs(life, Sight(Unit.PANE, pid, ("job",)), rule, now)
        life = supervise.runs(life, Sight(Unit.PANE, pid, ("job",)), rule, now + 1.5)


def test_a_start_that_ends_within_its_grace_has_failed() -> None:
    life = supervise.runs(dead(1), Sight(Unit.PANE, 7, ("job",)), RULE, NOW)
    soon = supervise.ends(life, Sight(Unit.PANE, 7, (), False, 1), RULE, NOW + 0.5, 0.0)
    assert (soon.failed, soon.due) == (1, NOW + 1.0)
    assert supervise.ends(soon, Sight(Unit.PANE, 7, (), False, 1), RULE, NOW + 9.0, 0.0) is soon
    unsure = replace(soon, code=None, told=True)
    assert supervise.ends(unsure, Sight(Unit.PANE, 7, (), False, 1), RULE, NOW + 9.0, 0.0) == soon
    unseen = supervise.ends(soon, Sight(Unit.PANE, 8, (), False, 1), RULE, NOW + 2.0, 0.0)
    assert (unseen.failed, unseen.due, unseen.pid) == (2, NOW + 3.0, 8)
    late = supervise.ends(life, Sight(Unit.PANE, 7, (), False, 1), RULE, NOW + 60.0, 0.0)
    assert (late.failed, late.due) == (0, NOW + 60.0)


def gone(_: int) -> bool:
    return True


def there(_: int) -> bool:
    return False


SHELL = ProgramRule("web", command="^top")


def test_the_process_of_a_pane_is_its_program() -> None:
    live = pane(command="sleep 9")
    assert sight(RULE, live, Life(), {}, there) == Sight(Unit.PANE, 201, ("sleep", "9"))
    assert sight(ProgramRule("web", command="^postgres"), live, Life(), {}, there) is None
    assert sight(RULE, live, Life(), {201: ended(201, 1)}, there) is None


def test_a_dead_pane_tells_how_its_program_ended() -> None:
    live = replace(pane(command="sleep 9", dead=True), argv=())
    exits = {201: ended(201, -9)}
    assert sight(RULE, live, Life(), exits, there) == Sight(Unit.PANE, 201, (), False, -9, 49.0)
    known = sight(RULE, replace(live, dead_status=3), Life(), {}, there)
    assert known == Sight(Unit.PANE, 201, (), False, 3)
    assert sight(ProgramRule("web", command="^sleep"), live, Life(), {}, there) is not None


def test_a_shell_that_has_ended_is_nobodys_program() -> None:
    live = replace(pane(dead=True), argv=())
    assert sight(SHELL, live, Life(300, ("top",), NOW), {}, gone) is None
    # But one that had become the program, by exec, was that.
    assert sight(SHELL, live, Life(201, ("top",), NOW), {}, gone) is not None
    assert sight(SHELL, replace(live, argv=("-bash",)), Life(), {}, gone) is None


def test_a_program_in_front_of_a_shell() -> None:
    running = Sight(Unit.PROGRAM, 300, ("top",))
    assert sight(SHELL, pane(program=300), Life(), {}, there) == running
    # Without a word of what the program is, whatever a person runs in a shell is none.
    assert sight(RULE, pane(program=300), Life(), {}, there) is None
    assert sight(ProgramRule("web", run=("top",)), pane(program=300), Life(), {}, there) == running


def test_a_program_that_is_gone_from_its_shell() -> None:
    life = Life(300, ("top",), NOW)
    exits = {300: ended(300, 1, Role.PROGRAM)}
    over = Sight(Unit.PROGRAM, 300, ("top",), False, 1, 49.0)
    assert sight(SHELL, pane(), life, exits, there) == over
    assert sight(SHELL, pane(), life, {}, there) is None
    assert sight(SHELL, pane(), life, {}, gone) == replace(over, code=None, seen=None)
    busy = replace(pane(), program=Process(400, ("vim",)))
    assert sight(SHELL, busy, life, exits, there) == replace(over, busy=True)


def test_what_was_never_there_is_missing_where_the_rule_says_what_to_run() -> None:
    assert sight(SHELL, pane(), Life(), {}, there) is None
    assert sight(ProgramRule("web", run=("top",)), pane(), Life(), {}, there) == Sight(
        Unit.PROGRAM, 0, running=False
    )


DB = ProgramRule("web", name="db", window="main", pane=2, start_grace=1.0)


def test_another_program_is_well_once_it_has_run_for_its_grace() -> None:
    db = member(DB, Life(9, ("db",), NOW), "db", Spot("web", "main", 0, 2))
    said = {"%2": ""}

    def unwell(one: Member) -> str:
        return said[one.pane]

    assert ailment(db, unwell, NOW + 0.5) == "has not run for 1 s yet"
    assert ailment(db, unwell, NOW + 1.0) == ""
    said["%2"] = "does not answer"
    assert ailment(db, unwell, NOW + 1.0) == "does not answer"
    assert ailment(replace(db, life=dead(1)), unwell, NOW) == "does not run"


@pytest.mark.parametrize("word", ["db", "web:main.2", "web:0.2"])
def test_what_it_comes_after_is_found_by_name_and_by_place(word: str) -> None:
    db = member(DB, dead(1), "db", Spot("web", "main", 0, 2))
    api = member(ProgramRule("web", after=(word,)))
    assert list(ailments(api, [api, db], lambda one: "", NOW)) == ["db (web:0.2) does not run"]
    assert list(ailments(api, [api], lambda one: "", NOW)) == [f"{word} is not there"]


def test_of_a_rule_for_many_sessions_its_own_one_counts() -> None:
    rule = ProgramRule("*", name="db", pane=2)
    here = member(rule, Life(9, ("db",), NOW - 60.0), "db", Spot("web", "main", 0, 2))
    other = replace(member(rule, dead(1), "db", Spot("api", "main", 0, 2)), pane="%7")
    api = member(ProgramRule("web", after=("db",)))
    assert list(ailments(api, [api, here, other], lambda one: "", NOW)) == []
    assert list(ailments(api, [api, other], lambda one: "", NOW)) == ["db (api:0.2) does not run"]


@pytest.mark.parametrize(
    ("life", "move", "state"),
    [
        (Life(9, ("job",), NOW), None, ProgramState.STARTING),
        (Life(9, ("job",), NOW - 1.0), None, ProgramState.RUNNING),
        (dead(1), Move.START, ProgramState.STARTING),
        (dead(1), Move.BACK_OFF, ProgramState.BACKING_OFF),
        (dead(1), Move.WAIT, ProgramState.WAITING),
        (dead(1), Move.STAY, ProgramState.STOPPED),
        (dead(1), Move.HOLD, ProgramState.UNKNOWN),
        (dead(1), Move.GIVE_UP, ProgramState.GIVEN_UP),
    ],
)
def test_each_state_has_its_word(life: Life, move: Move | None, state: ProgramState) -> None:
    ruling = supervise.Ruling(move, Ending.FAILED) if move else None
    assert supervise.state(member(life=life), ruling, NOW) is state


def test_every_refusal_says_what_happened() -> None:
    for move in Move:
        for end in Ending:
            found = supervise.refusal(member(life=dead(2)), supervise.Ruling(move, end), NOW)
            assert (found is None) is (move is Move.START)
            assert found is None or found.sentence.startswith("job in web:0.1 exited with 2; ")


def test_rules_that_wait_for_each_other_are_told_once() -> None:
    rules = [
        ProgramRule("a", name="x", window="1", after=("y",)),
        ProgramRule("a", name="y", window="2", after=("z",)),
        ProgramRule("a", name="z", window="3", after=("x", "free")),
        ProgramRule("a", name="free", window="4"),
    ]
    assert list(miscast(rules, SessionSettings())) == [(0, "waits for itself: x after y after z after x")]


@given(st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=20))
def test_a_circle_is_found_where_there_is_one(edges: list[tuple[int, int]]) -> None:
    rules = [
        ProgramRule("a", name=f"r{one}", window=str(one), after=tuple(f"r{b}" for a, b in edges if a == one))
        for one in range(8)
    ]
    reach = {(a, b) for a, b in edges}
    for _ in range(8):
        reach |= {(a, d) for a, b in reach for c, d in reach if b == c}
    assert bool(list(miscast(rules, SessionSettings()))) is any(a == b for a, b in reach)
