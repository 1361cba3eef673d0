"""A user's own strategy as the service knows it: what it is for, its steps, never its code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.model.incident import Cause, Failure, FailureKind, Finding, Unit


@dataclass(frozen=True, slots=True)
class OwnStep:
    """One step of a user's own strategy."""

    name: str
    undoable: bool
    """It has a compensation of its own."""
    seconds: float
    """How long one attempt may take."""
    by_hand: tuple[str, ...] = ()
    """Commands for a person, should taking it back not work; ``{session}`` stands for the session."""


@dataclass(frozen=True, slots=True)
class Extension:
    """One strategy that an installed package brings."""

    name: str
    """As the entry point names it; the ladder says ``custom:NAME``."""
    package: str
    """Its package and version, for people."""
    failures: tuple[FailureKind, ...]
    units: tuple[Unit, ...]
    causes: tuple[Cause, ...]
    """Empty: whatever the cause."""
    steps: tuple[OwnStep, ...]
    verify_seconds: float = 0.0
    """How long its own answer to whether it has worked may take; 0: it has none."""

    def suits(self, failure: Failure, cause: Cause) -> bool:
        """Whether it can mend this."""
        return (
            failure.kind in self.failures
            and failure.unit in self.units
            and (not self.causes or cause in self.causes)
        )

    def concerns(self, word: FailureKind | Cause) -> bool:
        """Whether it can mend something of this failure, or of this cause."""
        if isinstance(word, FailureKind):
            return word in self.failures
        return not self.causes or word in self.causes


UNITS = (Unit.TERMINAL, Unit.PROGRAM, Unit.PANE, Unit.WINDOW, Unit.SESSION)
"""Units that a user's own strategy can be for: it works on a session that lives."""


@dataclass(frozen=True, slots=True)
class OwnCall:
    """One function of a strategy that is to run: ``do`` or ``undo`` of a step, or ``verify``."""

    strategy: str
    want: str
    step: str
    seconds: float
    again: bool
    """An earlier attempt may have had its effect, or some of it."""
    mark: str
    """The word of the recovery that it belongs to."""
    session: str
    session_id: str
    finding: Finding
    ran: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By pane id, the program that ran there."""
    checkpoint: tuple[int, float] | None = None
    """The id of the newest good checkpoint, and when it was taken (wall seconds)."""
