"""What a row of tries says of the way to whoever was asked: clear, slow, lossy, or cut.

One try that fails says little. Packet loss is a row in which some fail or have to be sent again while
others go through; an outage is a row so long that chance does not explain it; and what answers, but
wrongly or with a refusal, has no weather between it and us.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from statistics import median

from sidecar.model.probe import ProbeFault, ProbeResult

REMEMBERED = 20
"""Tries that are looked at together."""
TRANSIENT = frozenset(
    {
        ProbeFault.TIMED_OUT,
        ProbeFault.RESET,
        ProbeFault.UNREACHABLE,
        ProbeFault.NAME_SERVER_FAILED,
        ProbeFault.NAME_TIMED_OUT,
    }
)
"""They may pass by themselves, and no restart of a program mends them."""
_ENOUGH = 5
"""Tries before their ratio says anything."""
_LOSSY = 0.1
_HEAVY = 0.3
"""Share of lost tries that has to be reckoned with at any time."""
_BY_CHANCE = 0.001
"""How unlikely a row of failures has to be before it is more than packet loss."""


class Weather(StrEnum):
    """The state of the way to whoever is asked."""

    CLEAR = "clear"
    SLOW = "slow"
    """It answers, and takes long."""
    LOSS = "loss"
    """Some tries fail or have to be sent again, others go through."""
    OUTAGE = "outage"
    """Nothing goes through any more."""
    FAILING = "failing"
    """It is reached, and is not well."""


def weather(tries: Sequence[ProbeResult], after: int, slow: float) -> Weather:
    """What the tries say, oldest first. ``after`` failures in a row count; ``slow`` is in seconds."""
    row = failures_in_a_row(tries)
    if row >= after:
        return _of_failures(tries, row, after)
    if len(tries) >= _ENOUGH and loss(tries) >= _LOSSY and not all(map(_troubled, tries)):
        return Weather.LOSS
    took = [one.took for one in tries if one.fault is None]
    return Weather.SLOW if took and median(took) >= slow else Weather.CLEAR


def loss(tries: Sequence[ProbeResult]) -> float:
    """The share of tries that failed on the way, or took more than one packet to get through."""
    return sum(map(_troubled, tries)) / len(tries) if tries else 0.0


def failures_in_a_row(tries: Sequence[ProbeResult]) -> int:
    """How many of the last tries failed, without one between them that did not."""
    count = 0
    while count < len(tries) and tries[-1 - count].fault is not None:
        count += 1
    return count


def passing(tries: Sequence[ProbeResult]) -> bool:
    """Whether the last fault is one that may pass by itself."""
    return bool(tries) and tries[-1].fault in TRANSIENT


def _of_failures(tries: Sequence[ProbeResult], row: int, after: int) -> Weather:
    earlier, last = tries[: len(tries) - row], tries[-after:]
    lost = sum(map(_troubled, tries[: len(tries) - after]))
    if not any(_on_the_way(one, doubtful=lost > 0) for one in last):
        return Weather.FAILING
    # With few tries before it, a row of failures may still be chance: as if one of two had failed. With many
    # good ones before it, it may be the beginning of heavy loss.
    share = (sum(map(_troubled, earlier)) + 1) / (len(earlier) + 2)
    return Weather.OUTAGE if max(share, _HEAVY) ** row < _BY_CHANCE else Weather.LOSS


def _troubled(one: ProbeResult) -> bool:
    return one.fault in TRANSIENT or one.resent > 0


def _on_the_way(one: ProbeResult, *, doubtful: bool) -> bool:
    """Whether the fault lies between us. Silence on an open connection may, where packets get lost."""
    if one.fault is ProbeFault.NO_ANSWER:
        return doubtful or one.resent > 0
    return one.fault in TRANSIENT
