"""What a row of tries makes of a check, which heal is used, and when none is any more."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.config import DEFAULT_LADDERS, RecoverySettings
from sidecar.decide.check import CONCLUSIVE, Course, broken_part, find_pane, finding, follow, heal_of, pause
from sidecar.decide.choose import choose
from sidecar.decide.situation import Limits, Situation
from sidecar.model.check import Check, CheckState
from sidecar.model.heal import CommandHeal, Heal, NotifyHeal, PaneTarget, RespawnHeal, RestartHeal
from sidecar.model.incident import Asker, FailureKind
from sidecar.model.plan import Plan, Refusal, RefusalReason, Resumption, StepKind
from sidecar.model.policy import Mode, Restore
from sidecar.model.probe import UNASKED, ProbeFault, ProbeResult, TcpProbe
from sidecar.model.session import Process, SavedPane, Session
from tests.decide.builders import look, pane, session

GOOD = ProbeResult(None, 0.01, "fine")
BAD = ProbeResult(ProbeFault.BAD_STATUS, 0.01, "503")
GONE = ProbeResult(ProbeFault.REFUSED, 0.01, "refused")
UNKNOWN = ProbeResult(ProbeFault.NOT_MEASURED, 0.01, "?")
CHECK = Check("api", TcpProbe("127.0.0.1", 80))
WEB = PaneTarget("web", "main", 1)
COMMANDS = tuple(CommandHeal((word,)) for word in ("one", "two"))


def state(*results: ProbeResult, check: Check = CHECK, counts_from: float = 0.0) -> CheckState:
    course = Course()
    for second, result in enumerate(results):
        course = follow(course, check, result, float(second), counts_from)
    return course.state


@pytest.mark.parametrize(
    ("results", "found"),
    [
        ((), CheckState.STARTING),
        ((GOOD,), CheckState.PASSING),
        ((BAD,), CheckState.SUSPECT),
        ((BAD, BAD), CheckState.SUSPECT),
        ((BAD, BAD, BAD), CheckState.FAILING),
        ((BAD, BAD, GOOD, BAD), CheckState.SUSPECT),
        ((GOOD, GONE), CheckState.FAILING),
        ((GONE, GOOD), CheckState.PASSING),
        ((GONE, BAD), CheckState.FAILING),
        ((GOOD, UNKNOWN), CheckState.UNKNOWN),
        ((GONE, UNKNOWN), CheckState.FAILING),
        ((UNKNOWN, BAD), CheckState.SUSPECT),
    ],
)
def test_the_course_of_a_check(results: tuple[ProbeResult, ...], found: CheckState) -> None:
    assert state(*results) is found


def test_grace_and_recovers() -> None:
    assert state(GONE, GONE, GONE, counts_from=5.0) is CheckState.STARTING
    assert state(GOOD, GONE, GONE, counts_from=5.0) is CheckState.PASSING
    assert state(GONE, GONE, GONE, counts_from=2.0) is CheckState.FAILING
    twice = replace(CHECK, recovers=2)
    assert state(GONE, GOOD, check=twice) is CheckState.FAILING
    assert state(GONE, GOOD, GOOD, check=twice) is CheckState.PASSING
    assert state(GONE, GOOD, BAD, GOOD, check=twice) is CheckState.FAILING


@given(
    st.lists(st.sampled_from((GOOD, BAD, GONE, UNKNOWN)), max_size=40),
    st.integers(1, 5),
    st.integers(1, 5),
    st.floats(0.0, 20.0),
)
def test_it_fails_only_for_failures_that_count(
    results: list[ProbeResult], after: int, recovers: int, counts_from: float
) -> None:
    check, course, bad, good = replace(CHECK, after=after, recovers=recovers), Course(), 0, 0
    for second, result in enumerate(results):
        before = course.state
        course = follow(course, check, result, float(second), counts_from)
        if result.fault in UNASKED:
            continue
        counted = result.fault is not None and second >= counts_from
        bad = bad + 1 if counted else 0
        good = good + 1 if result.fault is None else 0
        if course.state is CheckState.FAILING and before is not CheckState.FAILING:
            assert bad >= after or result.fault in CONCLUSIVE
        if before is CheckState.FAILING and course.state is not CheckState.FAILING:
            assert (course.state, good >= recovers) == (CheckState.PASSING, True)
        assert course.since <= second


def situation(check: Check, vain: int = 0, /, live: Session | None = None, **more: object) -> Situation:
    heal = heal_of(check, vain)
    part = broken_part(check, heal, find_pane(heal, live), more.pop("ran", ()))  # type: ignore[arg-type]
    settings = RecoverySettings()
    usual: dict[str, object] = {
        "asker": Asker.WATCHER, "managed": True, "released": False, "restore": Restore.ON_FAILURE,
        "mode": Mode.AUTO, "ladder": DEFAULT_LADDERS[FailureKind.UNHEALTHY], "now": 1_000.0,
        "limits": Limits(
            settings.per_session, settings.overall, settings.slow_retry, settings.circuit, settings.stable
        ),
        "look": look(*([live] if live else [])), "session": live, "check": check, "vain": vain,
    }  # fmt: skip
    return Situation(finding(check, Course(bad=3), BAD, part), **(usual | more))  # type: ignore[arg-type]


def resume(saved: SavedPane, window: int, shell: str) -> Resumption | None:
    return None


def refused(found: Situation) -> RefusalReason | None:
    decision = choose(found, resume)
    return decision.reason if isinstance(decision, Refusal) else None


@pytest.mark.parametrize(("vain", "done"), [(0, "run `one`"), (1, "run `two`"), (2, "run `two`")])
def test_the_next_heal_is_done_where_the_one_before_did_not_help(vain: int, done: str) -> None:
    plan = choose(situation(replace(CHECK, heal=COMMANDS), vain), resume)
    assert isinstance(plan, Plan)
    assert [step.describe() for step in plan.steps] == [done]
    assert plan.expectation.apart


@given(vain=st.integers(0, 10), tries=st.integers(1, 5), heals=st.sampled_from((COMMANDS, COMMANDS[:1])))
def test_never_more_than_so_many_in_a_row(vain: int, tries: int, heals: tuple[Heal, ...]) -> None:
    found = situation(replace(CHECK, heal=heals, tries=tries), vain)
    assert (refused(found) is RefusalReason.HEALS_IN_VAIN) is (vain >= tries)
    assert refused(replace(found, asker=Asker.OPERATOR)) is None


@pytest.mark.parametrize(
    ("check", "more", "reason"),
    [
        (CHECK, {}, RefusalReason.REPORT_ONLY),
        (replace(CHECK, heal=(NotifyHeal("look"),)), {}, RefusalReason.REPORT_ONLY),
        (replace(CHECK, heal=(NotifyHeal(),)), {"asker": Asker.OPERATOR}, RefusalReason.REPORT_ONLY),
        (replace(CHECK, heal=(RespawnHeal(WEB),)), {}, RefusalReason.NO_CURE),
        (replace(CHECK, heal=COMMANDS), {"mode": Mode.OBSERVE}, RefusalReason.OBSERVE_MODE),
        (replace(CHECK, heal=COMMANDS), {"check": None}, RefusalReason.STALE),
        (replace(CHECK, heal=COMMANDS), {"released": True}, RefusalReason.RELEASED),
    ],
)
def test_what_forbids_a_heal(check: Check, more: dict[str, object], reason: RefusalReason) -> None:
    assert refused(situation(check, **more)) is reason  # type: ignore[arg-type]


def test_heals_of_panes() -> None:
    live = session(pane(1, program=900), pane(2, command="serve"))
    front = (StepKind.SAVE, StepKind.END)
    for heal, ran, kinds, pids in (
        (RestartHeal(WEB), ("top",), front, [900]),
        (RestartHeal(PaneTarget("web", "0", 2)), (), (*front, StepKind.RESPAWN_PANE), [202]),
        (RespawnHeal(WEB), (), (*front, StepKind.END, StepKind.RESPAWN_PANE), [900, 201]),
    ):
        plan = choose(situation(replace(CHECK, heal=(heal,)), live=live, ran=ran), resume)
        assert isinstance(plan, Plan)
        assert tuple(step.kind for step in plan.steps) == kinds
        assert [step.pid for step in plan.steps if step.kind is StepKind.END] == pids
        assert plan.session == "web"


def test_a_pane_whose_process_is_dead_is_simply_respawned() -> None:
    live = session(pane(1, command="serve", dead=True), pane(2))
    plan = choose(situation(replace(CHECK, heal=(RestartHeal(WEB),)), live=live), resume)
    assert isinstance(plan, Plan)
    assert [step.kind for step in plan.steps] == [StepKind.SAVE, StepKind.RESPAWN_PANE]
    assert plan.expectation.replaced == (("%1", 201),)
    assert plan.expectation.untouched == (("%2", 202),)


def test_what_somebody_else_runs_in_the_pane_is_left_alone() -> None:
    check = replace(CHECK, heal=(RestartHeal(WEB),))
    busy = replace(pane(1), program=Process(900, ("vim",)))
    assert refused(situation(check, live=session(busy), ran=("serve",))) is RefusalReason.NO_CURE
    assert refused(situation(check, live=session(pane(1)))) is RefusalReason.NO_CURE
    assert refused(situation(check, live=session(busy))) is None, "it is not known what ran"


@pytest.mark.parametrize(("grace", "seconds"), [(0.0, 10.0), (30.0, 30.0), (600.0, 60.0)])
def test_a_heal_has_time_to_show(grace: float, seconds: float) -> None:
    plan = choose(situation(replace(CHECK, heal=COMMANDS, grace=grace)), resume)
    assert isinstance(plan, Plan)
    assert plan.expectation.seconds == seconds


@pytest.mark.parametrize(
    ("bad", "uncounted", "until", "seconds"),
    [
        (0, 0, 0.0, 30.0),
        (1, 1, 0.0, 1.0),
        (2, 2, 0.0, 1.0),
        (3, 3, 0.0, 1.0),
        (4, 4, 0.0, 2.0),
        (5, 5, 0.0, 4.0),
        (50, 20, 0.0, 30.0),
        (0, 1, 60.0, 1.0),
        (0, 4, 60.0, 8.0),
        (0, 4, 5.0, 5.0),
        (0, 4, -1.0, 1.0),
    ],
)
def test_failures_are_repeated_soon_and_then_ever_more_slowly(
    bad: int, uncounted: int, until: float, seconds: float
) -> None:
    assert pause(CHECK, Course(bad=bad), uncounted, until) == seconds
