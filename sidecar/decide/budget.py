"""Restart intensity and blast radius: how many recoveries a period may hold, and how many run at once.

The unit is the incident: everything with one origin, as all the sessions of a dead server, counts once.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from sidecar.decide.wall import age
from sidecar.model.policy import AtOnce, Budget


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


def room(limit: AtOnce, sessions: int) -> int:
    """How many incidents may be worked at once when so many sessions are looked after; never none."""
    return max(limit.count, math.floor(limit.share * sessions), 1)


def admits(running: Collection[str], origin: str, limit: int) -> bool:
    """Whether a recovery with this origin may begin beside those that run."""
    return origin in running or len(set(running)) < limit


def _ages(times: Sequence[float], budget: Budget, now: float) -> list[float]:
    """Ages of what lies within the period, youngest first."""
    ages = (age(moment, now, budget.period) for moment in times)
    return sorted(each for each in ages if each < budget.period)
