"""What was seen of a broken session before anything was done about it; kept with its incident.

Every number is as it was read, and whatever could not be read is None or empty and named in
``missing``: a figure that is not there never looks like zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.model.record import Pressure
from sidecar.model.stress import Room
from sidecar.model.surroundings import MemoryGroup

MOST_PANES = 8
"""Panes of one incident that are looked at."""
MOST_PROCESSES = 64
"""Processes of one incident that are looked at, of all panes together."""
MOST_STACKS = 4
"""Python processes of one incident whose stacks are taken."""
MOST_LINES = 40
"""Lines of a pane's text."""
LARGEST = 64 * 1024
"""Bytes of one incident's snapshot, as it is stored before it is compressed."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Processes to be looked at, and the word by which they are told apart."""

    key: str
    pid: int
    whole: bool = True
    """With all that comes from it, and all that is left of its terminal session; else it alone."""
    firm: bool = False
    """It runs, and may be ended: what it is doing is of interest."""


@dataclass(frozen=True, slots=True)
class Tail:
    """The last lines of a pane's text, without colours, oldest first."""

    lines: tuple[str, ...] = ()
    covered: tuple[str, ...] = ()
    """Of a full-screen program: the last lines of the screen that it has covered."""
    alternate: bool = False
    """A full-screen program has drawn ``lines``."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How a process ended."""

    pid: int
    code: int | None
    """Python exit code (negative: signal); None if it could not be learnt."""
    words: str
    """The same for people: ``exited with 3``, ``was ended by SIGKILL``."""
    source: str = ""
    """Where the code came from: ``zombie``, ``pidfd``, ``tmux`` or ``none``."""
    group: str = ""
    """Its memory group; empty if that is not known."""


@dataclass(frozen=True, slots=True)
class Descriptors:
    """The open file descriptors of a process."""

    open: int
    limit: int | None = None
    """How many it may have; None if that could not be read, or without a limit."""
    kinds: Mapping[str, int] = field(default_factory=dict)
    """How many there are of each kind (file, socket, pipe, terminal, device, anonymous)."""
    counted: int = 0
    """How many of them were asked for their kind."""


@dataclass(frozen=True, slots=True)
class Threads:
    """Threads of a process that wait in the same place."""

    state: str
    waits_in: str
    count: int


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process, at one moment."""

    pid: int
    parent: int
    name: str
    state: str
    """The state letter of /proc/PID/stat: R, S, D, T, t, Z."""
    started: int
    """Clock ticks after the boot; with the pid it names one process for good."""
    age: float
    """Seconds."""
    cpu_seconds: float
    memory_bytes: int
    """Resident."""
    threads: int
    command: str = ""
    """Its command line, without its secrets; empty if it has none, or it could not be read."""
    waits_in: str = ""
    """The kernel's function that it waits in."""
    system_call: str = ""
    """The number of the system call that it is in, or ``running``."""
    stack: tuple[str, ...] = ()
    """Its stack in the kernel, innermost first; only root may read it."""
    threads_in: tuple[Threads, ...] = ()
    """Where its threads wait, most of them first; of one that may be ended, and has several."""
    shared_out_bytes: int | None = None
    """Resident, with what is shared divided among those who share it."""
    descriptors: Descriptors | None = None
    python: bool = False
    """It is a Python interpreter, or has one in it."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A process with all that comes from it, parents before children."""

    processes: tuple[ProcessFacts, ...] = ()
    left_out: int = 0
    """How many more there were."""
    group: MemoryGroup | None = None
    """The memory group of the first."""


@dataclass(frozen=True, slots=True)
class PythonThread:
    """One thread's calls, innermost first."""

    name: str
    state: str
    calls: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PythonStack:
    """What a Python process was doing; ``trouble`` says why that could not be learnt."""

    pid: int
    version: str = ""
    threads: tuple[PythonThread, ...] = ()
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class PaneFacts:
    """One broken pane."""

    pane: str
    pid: int
    """Of its own process."""
    subject: int = 0
    """The process that is broken; 0 if it is the pane's own."""
    ending: Ending | None = None
    tail: Tail | None = None
    tree: Tree = field(default_factory=Tree)
    stacks: tuple[PythonStack, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """The tmux server of a session that is gone, or out of reach, as a whole."""

    pid: int
    ending: Ending | None = None
    process: ProcessFacts | None = None
    """None where it does not live any more."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The machine at that moment."""

    pressure: Pressure
    memory_bytes: int = 0
    """All that it has."""
    rooms: Mapping[str, Room] = field(default_factory=dict)
    """What is left on the disks of the broken panes' folders."""
    groups: tuple[MemoryGroup, ...] = ()
    """The memory groups of processes that have ended."""


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """All of it, for one incident."""

    taken: float
    """Wall seconds."""
    seconds: float = 0.0
    """How long whatever had to wait for it has waited."""
    panes: tuple[PaneFacts, ...] = ()
    panes_left_out: int = 0
    server: ServerFacts | None = None
    machine: Machine | None = None
    checkpoint: int | None = None
    """The newest generation of that moment: of what is gone, its texts are the last that there are."""
    checkpoint_taken: float | None = None
    missing: tuple[str, ...] = ()
    """What was not captured, and why, one sentence each."""
