"""Restart intensity: how many recoveries a period may hold before something else must be wrong."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.decide.wall import age
from sidecar.model.policy import Budget


def spent(times: Sequence[float], budget: Budget, now: float) -> bool:
    """Whether the period that ends now holds no further recovery. ``times`` may come in any order."""
    return len(_ages(times, budget, now)) >= budget.count


def next_free(times: Sequence[float], budget: Budget, now: float) -> float:
    """Seconds until one more recovery fits; 0 if it does now, ``period`` if the budget is zero."""
    ages = _ages(times, budget, now)
    if len(ages) < budget.count:
        return 0.0
    # The youngest that has to leave the period before fewer than `count` are left in it.
    leaving = ages[budget.count - 1] if budget.count > 0 else 0.0
    return budget.period - leaving


def _ages(times: Sequence[float], budget: Budget, now: float) -> list[float]:
    """Ages of what lies within the period, youngest first."""
    ages = (age(moment, now, budget.period) for moment in times)
    return sorted(each for each in ages if each < budget.period)
