"""When heavy programs may start: so many at once, the next when the pause is over."""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.model.policy import Budget


def schedule(before: Sequence[float], count: int, limit: Budget, now: float) -> tuple[float, ...]:
    """Times of ``count`` further starts, none before ``now``: no period holds more than the limit.

    ``before`` are the starts that were given out already, some perhaps still to come.
    """
    taken = sorted(moment for moment in before if moment > now - limit.period)
    first = len(taken)
    for _ in range(count):
        room = [taken[-limit.count] + limit.period] if len(taken) >= limit.count else []
        taken.append(max([now, *taken[-1:], *room]))
    return tuple(taken[first:])
