import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.decide.budget import admits, next_free, room, spent
from sidecar.model.policy import AtOnce, Budget

NOW = 1_700_000_000.0
THREE = Budget(3, 600.0)


@pytest.mark.parametrize(
    ("ages", "is_spent", "seconds"),
    [
        ((), False, 0.0),
        ((1, 2), False, 0.0),
        ((1, 2, 3), True, 597.0),
        ((3, 1, 2), True, 597.0),
        ((1, 2, 599.5), True, 0.5),
        ((1, 2, 600), False, 0.0),
        ((10, 20, 30, 40), True, 570.0),
        ((-5, 1, 2), True, 598.0),
        ((-100_000, 1, 2), False, 0.0),
    ],
)
def test_counts_what_lies_in_the_period(ages: tuple[float, ...], is_spent: bool, seconds: float) -> None:
    times = [NOW - age for age in ages]
    assert spent(times, THREE, NOW) is is_spent
    assert next_free(times, THREE, NOW) == pytest.approx(seconds)


def test_a_budget_of_nothing_is_always_spent() -> None:
    assert spent([], Budget(0, 600.0), NOW)
    assert next_free([], Budget(0, 600.0), NOW) == 600.0


@given(ages=st.lists(st.floats(-5_000, 5_000), max_size=12), count=st.integers(1, 6))
def test_free_when_it_says_so(ages: list[float], count: int) -> None:
    times, budget = [NOW - age for age in ages], Budget(count, 600.0)
    wait = next_free(times, budget, NOW)
    assert 0.0 <= wait <= budget.period
    assert (wait == 0.0) is not spent(times, budget, NOW)
    if all(age >= 0 for age in ages):
        assert not spent(times, budget, NOW + wait + 0.001)


@pytest.mark.parametrize("jump", [3_600.0, -3_600.0])
def test_a_clock_that_jumps_by_an_hour_neither_spends_nor_lasts(jump: float) -> None:
    """What was begun before the jump is out of the period, whichever way; a small step back counts as now."""
    times = [NOW - age for age in (1, 2, 3)]
    assert not spent(times, THREE, NOW + jump)
    assert next_free(times, THREE, NOW + jump) == 0.0
    assert next_free(times, THREE, NOW - 60.0) == 600.0


@pytest.mark.parametrize(
    ("limit", "sessions", "wanted"),
    [
        (AtOnce(), 0, 4),
        (AtOnce(), 1, 4),
        (AtOnce(), 100, 10),
        (AtOnce(0, 0.25), 100, 25),
        (AtOnce(0, 0.25), 1, 1),
        (AtOnce(2, 0.0), 1_000, 2),
    ],
)
def test_there_is_always_room_for_one(limit: AtOnce, sessions: int, wanted: int) -> None:
    assert room(limit, sessions) == wanted


class Spending(RuleBasedStateMachine):
    """Incidents that come in any order, of few or many sessions, under both budgets and the blast radius."""

    PER_SESSION, OVERALL, AT_ONCE = Budget(2, 600.0), Budget(4, 600.0), 2

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.begun: list[tuple[float, str, str]] = []
        """(moment, session, origin) of each recovery."""
        self.running: list[tuple[str, str]] = []
        """(session, origin) of those that have not ended."""

    @rule(seconds=st.sampled_from([0.0, 1.0, 100.0, 299.0, 601.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(session=st.sampled_from("abcde"), origin=st.sampled_from([*"12345", "server"]))
    def breaks(self, session: str, origin: str) -> None:
        if any(session == other for other, _ in self.running):
            return
        mine = [moment for moment, other, _ in self.begun if other == session]
        origins: dict[str, float] = {}
        for moment, _, each in self.begun:
            origins.setdefault(each, moment)
        recent = {each: moment for each, moment in origins.items() if self.now - moment < 600.0}
        paid = origin in recent or not spent([*recent.values()], self.OVERALL, self.now)
        fits = admits([each for _, each in self.running], origin, self.AT_ONCE)
        if paid and fits and not spent(mine, self.PER_SESSION, self.now):
            self.begun.append((self.now, session, origin))
            self.running.append((session, origin))

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 20))
    def ends(self, which: int) -> None:
        self.running.pop(which % len(self.running))

    @invariant()
    def no_session_beyond_its_budget(self) -> None:
        for session in "abcde":
            recent = [m for m, other, _ in self.begun if other == session and self.now - m < 600.0]
            assert len(recent) <= self.PER_SESSION.count

    @invariant()
    def never_more_incidents_at_once_than_allowed(self) -> None:
        assert len({origin for _, origin in self.running}) <= self.AT_ONCE

    @invariant()
    def what_is_full_says_when_it_is_free(self) -> None:
        for session in "abcde":
            mine = [moment for moment, other, _ in self.begun if other == session]
            wait = next_free(mine, self.PER_SESSION, self.now)
            assert (wait > 0) == spent(mine, self.PER_SESSION, self.now)


TestSpending = Spending.TestCase
