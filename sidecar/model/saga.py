"""The journal of a plan that is carried out: what was tried, what came of it, what was undone.

Times are wall seconds, since a journal has to make sense to the next run of the sidecar too.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar.model.archive import Order
from sidecar.model.incident import Asker
from sidecar.model.plan import Plan, StepKind
from sidecar.model.session import ServerId, Session


class Phase(StrEnum):
    """Whether a step is carried out or taken back."""

    DO = "do"
    UNDO = "undo"


class AttemptState(StrEnum):
    """Where one attempt at a step stands."""

    DUE = "due"
    """It waits for its time."""
    BEGUN = "begun"
    """Written before its effect; nothing more is known if the sidecar ended here."""
    DONE = "done"
    FAILED = "failed"
    """By a temporary error."""
    REFUSED = "refused"
    """By a permanent error: another attempt would end the same way."""


ENDED = frozenset({AttemptState.DONE, AttemptState.FAILED, AttemptState.REFUSED})
"""States that an attempt does not leave."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at one step: a row of the journal."""

    seq: int
    """The step's position in its plan."""
    phase: Phase
    number: int
    """Which attempt at this step and phase it is, from 1."""
    state: AttemptState
    due: float
    """When it is, or was, to begin."""
    begun: float | None = None
    ended: float | None = None
    error: str = ""
    said: str = ""
    """What it has done, where its step alone does not tell."""


@dataclass(frozen=True, slots=True)
class Journal:
    """All attempts so far, in the order in which they were written, and whether to go on."""

    attempts: tuple[Attempt, ...] = ()
    stop: str = ""
    """Why nothing new is to be begun; empty to go on."""

    def of(self, seq: int, phase: Phase) -> tuple[Attempt, ...]:
        """The attempts at one step, in order."""
        return tuple(each for each in self.attempts if each.seq == seq and each.phase is phase)

    def has(self, attempt: Attempt) -> bool:
        """Whether there is a row of this attempt, whatever it says."""
        return any(each.number == attempt.number for each in self.of(attempt.seq, attempt.phase))

    @property
    def touched(self) -> bool:
        """Whether anything may have been done to the world."""
        return any(each.begun is not None for each in self.attempts)


class TransactionOutcome(StrEnum):
    """The ``outcome`` label of ``sidecar_transactions_total``: how a plan ended as a whole."""

    COMMITTED = "committed"
    """What it did stays."""
    COMPENSATED = "compensated"
    """What it did, as far as it can be, is undone."""
    STUCK = "stuck"
    """Something could not be undone: a person has to."""


@dataclass(frozen=True, slots=True)
class SagaPolicy:
    """Which kinds of steps have something to undo, and which have no way back."""

    undoable: Set[StepKind] = frozenset()
    """Kinds that have a compensation."""
    pivots: Set[StepKind] = frozenset()
    """Kinds after which there is no way back: what follows completes them, or falls short of it."""
    tmux: str = "tmux"
    """How a person who puts right by hand what is left speaks to the server: the words before the command."""


@dataclass(frozen=True, slots=True)
class Mandate:
    """A plan with all that the next run of the sidecar needs to go on with it."""

    plan: Plan
    asker: Asker
    before: Session | None = None
    """The session with what its broken parts were; None when it was gone."""
    server: ServerId | None = None
    """The server's life in which the failure was found; ids mean something only within it."""
    seen: Session | None = None
    """The session as that look has shown it."""
    order: Order | None = None
    """Set when a person has asked for one certain checkpoint."""
    given_up: bool = False
    """The session had been given up when it began."""


def wish_of_alert(alert: int) -> str:
    """The word for one alert among those who want a recovery."""
    return f"alert {alert}"


BACK = "-back"
"""What is added to a recovery's mark for what it builds on the way back."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What a recovery has left its mark on in tmux, as far as it is there."""

    session: str = ""
    """Id of the session that it has built, whole."""
    window: str = ""
    """Id of the window that it has built, whole."""
    unfinished: bool = False
    """There is a session or a window that it has begun to build, and not finished."""
    typed: Mapping[str, int] = field(default_factory=dict)
    """By pane id, how many lines it has typed."""
    panes: Mapping[tuple[int, int], str] = field(default_factory=dict)
    """The ids of single panes that it has built, by window index and pane index."""
