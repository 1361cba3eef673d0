"""Programs under supervision: the rule by which one is restarted, and what is known of its life."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase

from sidecar.model.aim import points_at
from sidecar.model.policy import Budget, Restore
from sidecar.model.running import Sending


@dataclass(frozen=True, slots=True)
class Stop:
    """How a program is asked to end."""

    signal: Sending = Sending.TERMINATE
    """The first: ``TERM``, ``INT``, ``HUP``, ``QUIT``, ``USR1``, ``USR2``, ``WINCH`` or ``KILL``."""
    timeout: float = 10.0
    """Seconds that it has to end in before it is killed."""


@dataclass(frozen=True, slots=True)
class ProgramRule:
    """One rule. A pane is under supervision while its command is the pane's own process, or in front of its
    shell."""

    session: str
    """Glob of session names."""
    name: str = ""
    """What it is called in metrics, in evidence and in ``after``; by default ``programs[0]`` and so on."""
    window: str = ""
    """Glob of window names, or a window's index; by default every window."""
    pane: int | None = None
    """Index of the pane within its window; by default every pane."""
    command: str = ""
    """Regular expression, searched in the shell-quoted command line, that tells the program from whatever
    else runs in the pane. By default it is what ``run`` names, and the process of a pane that was started
    as a command; in front of a shell without either, nothing is."""
    run: tuple[str, ...] = ()
    """An argument list that is started where the program is missing. By default what ran there before, or the
    pane's own command."""
    restart: Restore = Restore.ON_FAILURE
    """``always``, ``on-failure`` (a status other than 0, or a signal other than HUP, INT, PIPE and TERM) or
    ``never``. What a person stopped with Ctrl-C or closed stays so."""
    delay: float = 0.0
    """Seconds between its end and its start. Each failed start in a row doubles it, from half a second on."""
    max_delay: float = 60.0
    """Seconds that no delay goes beyond."""
    start_grace: float = 1.0
    """Seconds: a program that ends sooner than this after its start has failed to start, and one that runs
    for so long has started. What comes ``after`` it waits for that."""
    intensity: Budget = field(default_factory=lambda: Budget(5, 60.0))
    """Restarts of one pane. Beyond it the program is given up, a person is called, and it is tried again at
    ``recovery.slow_retry``."""
    expected_exits: tuple[int, ...] = ()
    """How it ends when its work is done, whatever ``restart`` says: exit statuses (0 to 255) and names of
    signals."""
    after: tuple[str, ...] = ()
    """What it waits for before it is started: names of other rules, or panes as ``SESSION:WINDOW.PANE``. They
    have to run for their ``start_grace``, and heartbeats about them have to hold."""
    stop: Stop = field(default_factory=Stop)
    """How it is ended where the sidecar has to: ``signal`` first, and SIGKILL after ``timeout``."""

    def speaks_of(self, session: str) -> bool:
        """Whether it is about this session."""
        return fnmatchcase(session, self.session)

    def points_at(self, window: str, index: int, pane: int) -> bool:
        """Whether it is about the pane of this index in the window of this name and index."""
        return points_at((self.window, self.pane), window, index, pane)


class ProgramState(StrEnum):
    """The ``state`` label of ``sidecar_programs``."""

    STARTING = "starting"
    """It runs, but not yet for its start grace."""
    RUNNING = "running"
    BACKING_OFF = "backing_off"
    """It has ended, and is started again in a while."""
    WAITING = "waiting"
    """It has ended, and something that it comes after is not well."""
    STOPPED = "stopped"
    """It has ended, and its rule or a person wants it so."""
    UNKNOWN = "unknown"
    """It has ended nobody knows how, and its rule restarts only what has failed."""
    GIVEN_UP = "given_up"
    """It was restarted as often as its rule allows."""


@dataclass(frozen=True, slots=True)
class Life:
    """What is known of the program of one pane, remembered across restarts. Times are wall seconds."""

    pid: int = 0
    """The process that runs, or ran last; 0 if none was seen yet."""
    argv: tuple[str, ...] = ()
    since: float = 0.0
    """When it began, or was first seen."""
    ended: float | None = None
    """None while it runs."""
    code: int | None = None
    """How it ended: an exit status, or a signal as a negative number; None where nobody knows."""
    failed: int = 0
    """Starts in a row that have failed."""
    due: float = 0.0
    """The earliest moment of its next start."""
    given_up: bool = False
    told: bool = False
    """A person has heard of what keeps it from being started."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A pane for people and for rules: where it is, whatever its id."""

    session: str
    window: str
    """Name of the window."""
    index: int
    """Index of the window."""
    pane: int
    """Index of the pane within the window."""

    def __str__(self) -> str:
        return f"{self.session}:{self.index}.{self.pane}"


@dataclass(frozen=True, slots=True)
class ProgramStatus:
    """A program under supervision, for the windows."""

    rule: str
    """The rule's name."""
    session: str
    place: str
    """``WINDOW.PANE``, by their indexes."""
    pane: str
    """The pane's id."""
    state: ProgramState
    pid: int = 0
    """0 while it does not run."""
    since: float = 0.0
    """Wall seconds: since when it runs, or since when it does not."""
    code: int | None = None
    """How it ended last."""
    restarts: int = 0
    """By us, within the period of its intensity."""
    until: float | None = None
    """Wall seconds of its next start, where one is due."""
    waits_for: tuple[str, ...] = ()
    note: str = ""
    """For people: why it does not run."""
