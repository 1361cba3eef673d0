"""Heavy programs start in turns."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.pace import schedule
from sidecar.model.policy import Budget

TWO_A_SECOND = Budget(2, 1.0)
MOMENTS = st.floats(min_value=0, max_value=100)


@pytest.mark.parametrize(
    ("before", "count", "times"),
    [
        ((), 0, ()),
        ((), 2, (10.0, 10.0)),
        ((), 5, (10.0, 10.0, 11.0, 11.0, 12.0)),
        ((9.5,), 2, (10.0, 10.5)),
        ((9.5, 9.6), 1, (10.5,)),
        ((3.0, 9.0), 2, (10.0, 10.0)),
        ((10.0, 10.0, 11.0, 11.0), 1, (12.0,)),
    ],
)
def test_the_next_ones_wait_until_the_period_has_room(
    before: tuple[float, ...], count: int, times: tuple[float, ...]
) -> None:
    assert schedule(before, count, TWO_A_SECOND, 10.0) == times


@given(
    asked=st.lists(st.tuples(MOMENTS, st.integers(0, 9)), max_size=8).map(sorted),
    most=st.integers(1, 5),
    period=st.floats(min_value=0.1, max_value=10),
)
def test_whoever_asks_no_period_holds_more_than_the_limit(
    asked: list[tuple[float, int]], most: int, period: float
) -> None:
    given_out: list[float] = []
    for now, count in asked:
        times = schedule(given_out, count, Budget(most, period), now)
        assert len(times) == count
        assert all(moment >= now for moment in times)
        given_out.extend(times)
    assert all(early <= late for early, late in pairwise(given_out))
    for early, late in zip(given_out, given_out[most:], strict=False):
        assert late - early >= period * (1 - 1e-9)
