"""How long to wait before the next attempt after a temporary error."""

from __future__ import annotations

import sys

from sidecar.model.policy import Jitter, RetryPolicy


def delay(policy: RetryPolicy, attempt: int, die: float) -> float:
    """Seconds to wait after attempt number ``attempt`` (the first is 1) has failed.

    ``die`` is a roll in [0, 1): with full jitter the delay is that share of the computed one, so
    that many waiters do not come back at the same moment. Never above ``policy.max_delay``.
    """
    computed = min(policy.initial_delay * _growth(policy.base, attempt), policy.max_delay)
    return computed * die if policy.jitter is Jitter.FULL else computed


def expected(policy: RetryPolicy) -> float:
    """Seconds that all delays before the last attempt come to, on an average of the dice."""
    die = 0.5 if policy.jitter is Jitter.FULL else 1.0
    return sum(delay(policy, attempt, die) for attempt in range(1, policy.max_attempts))


def _growth(base: float, attempt: int) -> float:
    try:
        return float(base) ** (max(attempt, 1) - 1)
    except OverflowError:
        # Large, but finite: an initial delay of zero has to stay zero.
        return sys.float_info.max
