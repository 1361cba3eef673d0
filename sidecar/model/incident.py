"""What went wrong, from the first sign to the named cause.

A :class:`Signal` says only "look now". A :class:`Failure` says what is broken. A
:class:`Finding` says why, and whether a person meant it, with the evidence verbatim.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidecar.model.heartbeat import May, StackSignal


class SignalKind(StrEnum):
    """Where a signal came from; all of them end in the one inbox."""

    TICK = "tick"
    DOORBELL = "doorbell"
    PROCESS_EXIT = "process_exit"
    SERVER_EXIT = "server_exit"
    SOCKET = "socket"
    STOPPED = "stopped"
    REQUEST = "request"
    RETRY = "retry"


class Unit(StrEnum):
    """What is broken, smallest first; only the smallest broken unit is healed."""

    CHECK = "check"
    """What a check is about, which may be a program in a pane or nothing of tmux at all."""
    SOCKET = "socket"
    TERMINAL = "terminal"
    PROGRAM = "program"
    PANE = "pane"
    WINDOW = "window"
    SESSION = "session"
    SERVER = "server"


class FailureKind(StrEnum):
    """The ``failure`` label."""

    CRASHED = "crashed"
    DISCONNECTED = "disconnected"
    CORRUPTED = "corrupted"
    FROZEN = "frozen"
    UNHEALTHY = "unhealthy"
    REQUESTED = "requested"


class Cause(StrEnum):
    """The ``cause`` label: why it broke."""

    SERVER_KILLED = "server_killed"
    SERVER_CRASHED = "server_crashed"
    SERVER_STOPPED = "server_stopped"
    HOST_REBOOTED = "host_rebooted"
    SESSION_CLOSED = "session_closed"
    OUT_OF_MEMORY = "out_of_memory"
    PROCESS_KILLED = "process_killed"
    PROCESS_CRASHED = "process_crashed"
    COMMAND_FAILED = "command_failed"
    PROCESS_ENDED = "process_ended"
    SOCKET_REMOVED = "socket_removed"
    SERVER_SUSPENDED = "server_suspended"
    SERVER_BLOCKED = "server_blocked"
    SERVER_UNRESPONSIVE = "server_unresponsive"
    CLIENT_WEDGED = "client_wedged"
    SOCKET_FOLDER_REMOVED = "socket_folder_removed"
    SOCKET_FORBIDDEN = "socket_forbidden"
    SOCKET_STALE = "socket_stale"
    SOCKET_TAKEN = "socket_taken"
    FOREIGN_SERVER = "foreign_server"
    PROCESS_SUSPENDED = "process_suspended"
    TERMINAL_STOPPED = "terminal_stopped"
    HEARTBEAT_MISSED = "heartbeat_missed"
    NETWORK_OUTAGE = "network_outage"
    DEPENDENCY_DOWN = "dependency_down"
    PROCESS_MISSING = "process_missing"
    CHECK_FAILED = "check_failed"
    NEVER_STARTED = "never_started"
    SHAPE_DIFFERS = "shape_differs"
    FOLDER_DIFFERS = "folder_differs"
    LAYOUT_DIFFERS = "layout_differs"
    PROGRAM_DIFFERS = "program_differs"
    DEAD_PANE_LEFT = "dead_pane_left"
    REPORTED = "reported"
    UNKNOWN = "unknown"


class Intent(StrEnum):
    """Whether a person (or an orderly stop) meant it."""

    FAILURE = "failure"
    PERSON = "person"
    UNKNOWN = "unknown"


class Role(StrEnum):
    """What a watched process is to tmux."""

    SERVER = "server"
    PANE = "pane"
    PROGRAM = "program"


@dataclass(frozen=True, slots=True)
class Exit:
    """A watched process has ended."""

    role: Role
    pid: int
    session: str
    """Name of the session; empty for the server."""
    pane: str
    """Pane id; empty for the server."""
    code: int | None
    """Python exit code (negative: signal); None if it could not be learnt."""
    seen: float
    """Monotonic seconds."""
    source: str
    """Where the code came from: ``zombie``, ``pidfd`` or ``none``."""
    oom_kills: int = 0
    """How many processes the kernel has lately killed for memory, on the whole machine."""
    group: str = ""
    """Its memory group; empty if that is not known."""
    group_kills: int | None = None
    """How many of them in its own memory group; None where that is not told."""


@dataclass(frozen=True, slots=True)
class Signal:
    """A reason to look now. ``seen`` is the first sign, in monotonic seconds."""

    kind: SignalKind
    seen: float
    exit: Exit | None = None
    session: str = ""
    """For alerts and requests: the session that is asked for."""


@dataclass(frozen=True, slots=True)
class Broken:
    """One broken part of a session."""

    unit: Unit
    pane: str = ""
    """Pane id, for units PANE, PROGRAM and TERMINAL, and for a CHECK whose heal works on a pane."""
    pid: int = 0
    """The process that is gone, so that a later look can tell whether this is still the same break."""
    code: int | None = None
    """How it ended, if known."""
    window: int | None = None
    """Window index, for unit WINDOW, and for a pane that is gone."""
    started: int = 0
    """Clock ticks after the boot at which the process began, where it lives and is to be signalled."""
    place: tuple[int, int] | None = None
    """Of a declared session: the positions of the window and the pane in its file."""
    gone: bool = False
    """A pane that was killed and not kept: nothing of it is left in its window, which stands."""
    check: str = ""
    """The name of the check that says so, for unit CHECK."""
    ran: tuple[str, ...] = ()
    """What ran in front of the pane when the check last passed, where nothing runs there now."""


@dataclass(frozen=True, slots=True)
class Failure:
    """A session that differs from what is expected, and in what."""

    session: str
    kind: FailureKind
    broken: tuple[Broken, ...]
    first_sign: float
    """Monotonic seconds; MTTR runs from here."""

    @property
    def unit(self) -> Unit:
        """The largest broken unit."""
        order = list(Unit)
        return max((part.unit for part in self.broken), key=order.index, default=Unit.SESSION)

    @property
    def gone(self) -> bool:
        """Whether it is about panes of which nothing is left; parts that are have a finding of their own."""
        return bool(self.broken) and all(part.gone for part in self.broken)

    @property
    def check(self) -> str:
        """The name of the check that says so; empty where none does."""
        return next((part.check for part in self.broken if part.check), "")


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observed fact, verbatim, and where it was observed."""

    source: str
    fact: str


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A cause that may be, and what speaks for and against it."""

    cause: Cause
    score: int
    """By the table of ``decide/causes.py``; a higher one is likelier."""
    supports: tuple[Evidence, ...]
    contradicts: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """The named cause of a failure."""

    failure: Failure
    cause: Cause
    intent: Intent
    evidence: tuple[Evidence, ...]
    origin: str
    """Failures with the same origin (one dead server) are one incident and cost one unit of budget."""
    hypotheses: tuple[Hypothesis, ...] = ()
    """Every cause that was considered, likeliest first; empty where only one could be."""
    may: tuple[May, ...] = ()
    """What the rule that was broken lets be done, beyond the gentle; only where there is such a rule."""
    stack_signal: StackSignal | None = None
    """What that rule lets the program be sent, so that it prints its stacks."""
    program: str = ""
    """The rule of ``programs`` by which its one part is restarted; empty for everything else. Its restarts
    are bounded by that rule's intensity, and cost nothing of the session's budget."""


class Asker(StrEnum):
    """Who set a recovery going."""

    WATCHER = "watcher"
    ALERT = "alert"
    OPERATOR = "operator"


class IncidentState(StrEnum):
    """Where an incident stands; the legal moves are in ``model/lifecycle.py``."""

    OPEN = "open"
    RECOVERING = "recovering"
    HELD = "held"
    GIVEN_UP = "given_up"
    RECOVERED = "recovered"
    FAILED = "failed"
    DISMISSED = "dismissed"
