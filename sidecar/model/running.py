"""What the kernel tells of processes at one moment: whether they run, wait, or were stopped."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Running(StrEnum):
    """The state letter of /proc/PID/stat, as far as it matters here."""

    RUNNING = "R"
    SLEEPING = "S"
    BLOCKED = "D"
    """It waits for the kernel and cannot be signalled."""
    STOPPED = "T"
    """By a signal; SIGCONT lets it go on."""
    TRACED = "t"
    """A debugger holds it; that is nobody else's business."""
    OTHER = "?"


class Sending(StrEnum):
    """What a program can be told from outside."""

    INTERRUPT = "SIGINT"
    TERMINATE = "SIGTERM"
    KILL = "SIGKILL"
    HANG_UP = "SIGHUP"
    QUIT = "SIGQUIT"
    USER_1 = "SIGUSR1"
    USER_2 = "SIGUSR2"
    RESIZED = "SIGWINCH"
    """What some servers take for the wish to finish what they are at, and end."""


@dataclass(frozen=True, slots=True)
class ProcessState:
    """One process as it was seen once."""

    pid: int
    started: int
    """Clock ticks after the boot at which it began. With the pid it names one process for good."""
    running: Running
    group: int
    session: int
    """The id of its session leader's session, as of setsid(2)."""
    front: int
    """The foreground group of its terminal; -1 without a terminal."""
    ticks: int
    """Processor time that it has used, in clock ticks."""
    tracer: int = 0
    """The pid of a debugger that is attached to it; 0 if there is none. Told only of stopped ones."""

    command: str = ""
    """Its command line for people, without its secrets; told only where it was asked for."""

    @property
    def stopped(self) -> bool:
        """Whether it was stopped by a signal, and no debugger has to do with it."""
        return self.running is Running.STOPPED and not self.tracer

    def same(self, other: ProcessState | None) -> bool:
        """Whether the other is the same process at another moment."""
        return other is not None and (self.pid, self.started) == (other.pid, other.started)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has to do with the terminal in which a server is caught."""

    process: ProcessState
    command: str
    """Its command line, for people."""
    is_client: bool
    """A tmux client that is attached there; else whoever has to read what is written there."""


@dataclass(frozen=True, slots=True)
class Jam:
    """A client's terminal that takes no more, opened by a server that would wait for it."""

    terminal: str
    holders: tuple[Holder, ...]


@dataclass(frozen=True, slots=True)
class ServerState:
    """A tmux server that has not answered, looked at from outside."""

    earlier: ProcessState
    now: ProcessState
    """A moment later."""
    apart: float
    """Seconds between the two."""
    waits_in: str = ""
    """The kernel function that it waits in; empty when it does not wait, or that may not be read."""
    jams: tuple[Jam, ...] = ()
    pressure: str = ""
    """How hard the machine is pressed, for people."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A terminal that takes nothing, and what would go on in it if it were only busy."""

    since: float
    """Monotonic seconds: for so long nothing has gone on."""
    printed: int
    """When its window last printed anything, in wall seconds."""
    ticks: int
    """Processor time of the processes that have it as their terminal, in clock ticks."""
