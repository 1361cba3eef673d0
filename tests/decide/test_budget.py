import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.budget import next_free, spent
from sidecar.model.policy import Budget

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
