"""What can be seen of a program in a pane without asking it anything."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Attitude(StrEnum):
    """What a program is about with its terminal."""

    WORKING = "working"
    """It does not wait for its terminal."""
    READING = "reading"
    """It is blocked in a read of its terminal: somebody has to type."""
    LISTENING = "listening"
    """It waits for several things, input at its terminal among them."""
    STOPPED = "stopped"
    """A signal has stopped it."""
    HELD_UP = "held_up"
    """Its terminal takes no output, as after Ctrl-S."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """The foreground group of a pane and all that it has started, at one moment."""

    pid: int
    """The leader of the group."""
    started: int
    """Clock ticks after the boot at which it began; with the pid it is one program for good."""
    age: float
    """Seconds since then."""
    cpu: float
    """Seconds of processor time, of ended children too."""
    io: int | None
    """Bytes read and written, of ended children too; None where the kernel does not let us know."""
    silent: float | None
    """Seconds since something was printed, at least; None where that cannot be told."""
    attitude: Attitude
    evidence: str
    """How the attitude was told, for people."""

    def same(self, other: Vitals | None) -> bool:
        """Whether this is the same program at another moment."""
        return other is not None and (self.pid, self.started) == (other.pid, other.started)
