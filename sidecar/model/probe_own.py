"""Questions that the sidecar asks itself: about its store, its loop, and the programs of its sessions."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidecar.model.probe import Local, ProbeKind


class Own(StrEnum):
    """What is asked about."""

    STORE = "store"
    """Whether the database can be written and read."""
    LOOP = "loop"
    """How late the event loop wakes."""
    PROGRAMS = "programs"
    """Whether all that has to run in a session does."""


@dataclass(frozen=True, slots=True)
class OwnProbe(Local):
    """One question. It comes from the sidecar itself, and from no configuration."""

    about: Own
    session: str = ""
    """Whose programs."""
    above: float = 0.0
    """Seconds from which on the loop is too late."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.OWN

    def describe(self) -> str:
        match self.about:
            case Own.STORE:
                return "a database that can be written and read"
            case Own.LOOP:
                return f"an event loop less than {self.above:g} s late"
            case Own.PROGRAMS:
                return f"the programs of {self.session}"
