"""Which rung of the ladder to begin on: where a session stands, and whether it has to climb.

It climbs when what was done last did not hold: it failed, or the very same break is back within the
stable period, or the same alert is. A server or session that is killed from outside is no reason: the
recovery before had no part in that, and another strategy would only bring less back. After a stable
period it begins at the bottom again.
"""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.decide.wall import age
from sidecar.model.incident import Cause, Finding
from sidecar.model.ladder import Footing
from sidecar.model.plan import Strategy

_FROM_OUTSIDE = frozenset(
    {
        Cause.SERVER_KILLED,
        Cause.SERVER_STOPPED,
        Cause.HOST_REBOOTED,
        Cause.SESSION_CLOSED,
        Cause.SOCKET_REMOVED,
    }
)


def footing(finding: Finding, strategy: Strategy, *, held: bool, alert: str, now: float) -> Footing:
    """Where a session stands after a recovery. ``now`` is wall seconds."""
    unit = finding.failure.unit
    return Footing(strategy, held, finding.cause, unit, _pane(finding), alert, now)


def lasts(footing: Footing | None, stable: float, now: float) -> bool:
    """Whether the rung is still remembered."""
    return footing is not None and age(footing.at, now, stable) < stable


def rung(
    ladder: Sequence[Strategy],
    footing: Footing | None,
    finding: Finding,
    alert: str,
    stable: float,
    now: float,
) -> int:
    """The place in the ladder to begin on."""
    if footing is None or not lasts(footing, stable, now) or footing.strategy not in ladder:
        return 0
    place = ladder.index(footing.strategy)
    return min(place + _climbs(footing, finding, alert), len(ladder) - 1)


def order(ladder: Sequence[Strategy], place: int, fits: Sequence[Strategy]) -> tuple[Strategy, ...]:
    """What fits, in the order to try it in: from this rung upwards, then what lies below, nearest first."""
    upwards = (*ladder[place:], *reversed(ladder[:place]))
    return tuple(strategy for strategy in upwards if strategy in fits)


def _climbs(footing: Footing, finding: Finding, alert: str) -> bool:
    if not footing.held or (alert and alert == footing.alert):
        return True
    same = (footing.cause, footing.unit, footing.pane) == (
        finding.cause,
        finding.failure.unit,
        _pane(finding),
    )
    return same and finding.cause not in _FROM_OUTSIDE


def _pane(finding: Finding) -> str:
    panes = {part.pane for part in finding.failure.broken}
    return panes.pop() if len(panes) == 1 else ""
