"""What a step works with, and how far the steps before it came."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from sidecar.clock import Clock
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.pace import Pace
from sidecar.flow.person import Person
from sidecar.flow.ports import Book, Host, Tmux
from sidecar.flow.ward import Case, Ward
from sidecar.model.plan import Difference, Plan
from sidecar.model.session import Look, Session


async def _never(look: Look) -> bool:
    return False


@dataclass(slots=True)
class Progress:
    """What one run of the sidecar remembers of its surgery. Whatever the next one has to know is in
    the book, or is marked in tmux."""

    again: bool = False
    """An earlier attempt at the present step may have had its effect, or some of it."""
    said: str = ""
    """What the present step has done, where the step alone does not tell; goes into its journal."""
    session: str = ""
    """The id of the session that was built."""
    built: dict[tuple[int, int], str] = field(default_factory=dict)
    """Single panes that were put back, by their places: in the session's file, or in the session itself."""
    keeper: str = ""
    """The session that keeps the server while another one is replaced."""
    all_started: float = 0.0
    """Monotonic seconds at which the last of the panes' own commands has had its turn."""


@dataclass(frozen=True, slots=True)
class Surgery:
    """What a step works with."""

    tmux: Tmux
    book: Book
    host: Host
    checkpointer: Checkpointer
    pace: Pace
    clock: Clock
    case: Case
    plan: Plan
    mark: str = ""
    """The word that this recovery, and no other, leaves on what it does in tmux."""
    progress: Progress = field(default_factory=Progress)
    losses: list[Difference] = field(default_factory=list)
    """What the steps could not bring back."""
    say: Callable[[str], None] = field(default=lambda words: None)
    """Takes what a step says to the log."""
    ward: Ward | None = None
    """What is known, for steps that work on more than one session."""
    person: Person | None = None
    """Whom to call, for a step that does."""
    still: Callable[[Look], Awaitable[bool]] = field(default=_never)
    """Whether it is still so at this look, for a step that proves another."""

    @property
    def living(self) -> Session:
        """The session before anything was done, for steps that work on a part of it."""
        assert self.case.before is not None
        return self.case.before
