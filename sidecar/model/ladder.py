"""Ladders: which strategies may be used for a failure, in which order, and how each of them is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from sidecar.model.extension import Extension
from sidecar.model.incident import Cause, FailureKind, Unit
from sidecar.model.plan import Strategy
from sidecar.model.policy import BreakerPolicy, RetryPolicy


@dataclass(frozen=True, slots=True)
class Rung:
    """One strategy of a ladder."""

    strategy: Strategy
    retry: RetryPolicy | None = None
    """How its steps are tried again; None: as everywhere."""
    circuit: BreakerPolicy | None = None
    """When it rests for a session; None: as everywhere."""
    extension: Extension | None = None
    """What is known of a user's own strategy; without it, it is good for nothing."""

    def __str__(self) -> str:
        return self.strategy


@dataclass(frozen=True, slots=True)
class Footing:
    """Where a session stands on the ladder of one failure: what was done last, for which break, and when."""

    strategy: Strategy
    held: bool
    """Verified; it may have broken again since."""
    cause: Cause
    unit: Unit
    pane: str
    """The broken pane; empty when it was not one alone."""
    alert: str
    """The fingerprint of the alert that asked for it; empty without one."""
    at: float
    """Wall seconds of its end."""


Ladder = tuple[Rung, ...]
Ladders = Mapping[FailureKind | Cause, Ladder]
"""By failure, or by cause."""


def ladders(words: Mapping[FailureKind, Sequence[Strategy]]) -> Ladders:
    """Ladders of strategies that are run as everywhere."""
    return MappingProxyType({kind: tuple(map(Rung, each)) for kind, each in words.items()})


def ladder_for(cause: Cause, failure: FailureKind, *given: Ladders) -> Ladder:
    """The ladder for this; what is given first counts first, and in it the cause before the failure."""
    for each in given:
        for word in (cause, failure):
            if word in each:
                return each[word]
    return ()


def rung_of(ladder: Ladder, strategy: Strategy) -> Rung:
    """The rung of this strategy; one that is run as everywhere if the ladder has none."""
    return next((rung for rung in ladder if rung.strategy == strategy), Rung(strategy))
