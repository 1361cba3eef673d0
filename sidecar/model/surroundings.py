"""What the machine tells around a failure. Whatever could not be read is None, and that is told too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.model.record import Pressure
from sidecar.model.stress import Room


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked about, when something has broken."""

    pids: frozenset[int] = frozenset()
    """Processes that are gone, and the server's."""
    folders: Mapping[str, str] = field(default_factory=dict)
    """Folders by what they are for: their disks may be full."""
    since: float = 0.0
    """Monotonic seconds; what the kernel has logged before is not about these processes."""


@dataclass(frozen=True, slots=True)
class KernelLine:
    """A line of the kernel's log that names one of the processes."""

    pid: int
    at: float
    """Seconds, by the kernel's monotonic clock."""
    text: str


@dataclass(frozen=True, slots=True)
class MemoryGroup:
    """A control group's account of its memory."""

    name: str
    oom_kills: int | None = None
    """Processes that the kernel has killed in it, ever."""
    limit: int | None = None
    """Bytes; None without a limit."""
    peak: int | None = None
    """The most bytes that it has held."""
    used: int | None = None
    """Bytes that it holds now."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """All of it, at one moment."""

    kernel: tuple[KernelLine, ...] | None = None
    """None: the kernel's log may not be read here."""
    groups: Mapping[int, MemoryGroup] = field(default_factory=dict)
    """By the pid of a process that is or was in it."""
    rooms: Mapping[str, Room] = field(default_factory=dict)
    """What is left on the disks, by what the folder is for."""
    pressure: Pressure | None = None
