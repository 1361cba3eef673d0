import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.backoff import delay
from sidecar.model.policy import Jitter, RetryPolicy

STEADY = RetryPolicy(initial_delay=0.2, max_delay=60.0, base=2.0, jitter=Jitter.NONE)


@pytest.mark.parametrize(
    ("attempt", "seconds"),
    [(-3, 0.2), (0, 0.2), (1, 0.2), (2, 0.4), (3, 0.8), (9, 51.2), (10, 60.0), (10_000, 60.0)],
)
def test_grows_by_the_base_up_to_the_limit(attempt: int, seconds: float) -> None:
    assert delay(STEADY, attempt, 0.5) == pytest.approx(seconds)


@pytest.mark.parametrize(("die", "seconds"), [(0.0, 0.0), (0.25, 0.2), (0.5, 0.4)])
def test_full_jitter_is_a_share_of_the_computed_delay(die: float, seconds: float) -> None:
    assert delay(RetryPolicy(), 3, die) == pytest.approx(seconds)


def test_no_initial_delay_stays_none_at_any_attempt() -> None:
    assert delay(RetryPolicy(initial_delay=0.0), 10_000, 0.9) == 0.0


@given(
    attempt=st.integers(-10, 10**9),
    die=st.floats(0, 1, exclude_max=True),
    initial=st.floats(0, 1e6),
    longest=st.floats(0, 1e6),
    base=st.floats(0.1, 100),
    jitter=st.sampled_from(Jitter),
)
def test_never_negative_and_never_above_the_limit(
    attempt: int, die: float, initial: float, longest: float, base: float, jitter: Jitter
) -> None:
    policy = RetryPolicy(initial_delay=initial, max_delay=longest, base=base, jitter=jitter)
    assert 0.0 <= delay(policy, attempt, die) <= longest
