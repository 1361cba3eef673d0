"""What is known about the conversation that an agent in a pane is holding."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Transcript:
    """One conversation as an agent keeps it on disk."""

    id: str
    modified: float
    """Seconds since boot, by the present clock."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """One running agent, and what it or its hook has told of its conversation."""

    argv: tuple[str, ...]
    reported: str
    """The pane option ``@sidecar_conversation``, as it is set."""
    started: float | None
    """Seconds since boot; None if it could not be learnt."""
    folder: str
    """The one that the agent works in."""


@dataclass(frozen=True, slots=True)
class Seat:
    """A pane's place, and what another pane must not share with it."""

    session: str
    window: int
    """Window index."""
    pane: int
    """Pane index within the window."""
    folder: str
    conversation: str
    """The id of its agent's conversation; empty if there is none or it is not known."""
    live: bool
    """It is there now; False: it is to come back."""
