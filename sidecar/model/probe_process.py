"""Probes of processes: which ones are meant, and what has to hold of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidecar.model.probe import Local, ProbeKind


class Never(StrEnum):
    """States in which a process has no business for long."""

    ZOMBIE = "zombie"
    """It has ended, and nobody has asked how."""
    BLOCKED = "blocked"
    """It waits for the kernel (state D), for a disk mostly, and cannot be signalled."""
    STOPPED = "stopped"
    """A signal or a debugger has stopped it."""


@dataclass(frozen=True, slots=True)
class Which:
    """Processes, by all that is named of them."""

    name: str = ""
    """What the kernel calls it (15 characters of it), or the file name of its first argument."""
    cmdline: str = ""
    """Regular expression that has to be found in its command line."""
    pidfile: str = ""
    """Full path of the file that has its pid. With ``name`` or ``cmdline`` beside it a pid that another
    process has got meanwhile is not taken for it."""
    cgroup: str = ""
    """Folder of a control group of either version; those in groups below it are meant too."""

    @property
    def named(self) -> bool:
        """Whether anything is."""
        return bool(self.name or self.cmdline or self.pidfile or self.cgroup)

    def __str__(self) -> str:
        words = (
            self.name,
            f"with /{self.cmdline}/ in the command line" if self.cmdline else "",
            f"of {self.pidfile}" if self.pidfile else "",
            f"in {self.cgroup}" if self.cgroup else "",
        )
        return " ".join(filter(None, words))


@dataclass(frozen=True, slots=True)
class ProcessProbe(Local):
    """How many there are, and how each of them is."""

    which: Which
    least: int = 1
    """So many have to live; a zombie does not."""
    most: int | None = None
    """So many may live; with 0 there may be none."""
    younger: float | None = None
    """Seconds; one that lives for longer is one too many, as a job that hangs."""
    older: float | None = None
    """Seconds; one that lives for less has been started again, as in a loop of crashes."""
    rss: int | None = None
    """Bytes; none of them may have so much in memory."""
    cpu: float | None = None
    """Share of one processor, since the try before; none of them may use so much. Threads add up."""
    never: tuple[Never, ...] = ()
    """States in which none of them may be: ``zombie``, ``blocked``, ``stopped``. Any process is blocked for a
    moment now and then: let ``after`` and ``retry_interval`` say how long is too long."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.PROCESS

    def describe(self) -> str:
        return f"processes {self.which}"


@dataclass(frozen=True, slots=True)
class DescriptorsProbe(Local):
    """Open files: of the whole machine, or of processes."""

    above: float | None = 0.8
    """The share of what the kernel, or the soft limit of the process, allows from which on it is too much."""
    most: int | None = None
    """Open files that a process may have; needs one to be named."""
    which: Which = Which()
    """Of which processes; by default the machine's."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.DESCRIPTORS

    def describe(self) -> str:
        return f"open files of {self.which if self.which.named else 'the machine'}"
