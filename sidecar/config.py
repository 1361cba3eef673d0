"""The settings, frozen, with what each is for. Reading them from YAML is ``config_read``.

Without a file the defaults serve. Durations are seconds, sizes are bytes; in the file both
take units (``15s``, ``100MB``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from types import MappingProxyType

from sidecar.errors import Fault
from sidecar.model.access import is_loopback
from sidecar.model.check import Check
from sidecar.model.heartbeat import Heartbeat
from sidecar.model.incident import FailureKind
from sidecar.model.ladder import Ladders, ladders
from sidecar.model.notice import Channel
from sidecar.model.plan import StepKind, Strategy
from sidecar.model.policy import (
    AtOnce,
    BreakerPolicy,
    Budget,
    Mode,
    Restore,
    ResumeRule,
    Retention,
    RetryPolicy,
    Shape,
)
from sidecar.model.quiet import Window
from sidecar.model.stress import ResourceLimits
from sidecar.model.supervise import ProgramRule
from sidecar.model.workspace import Workspace

UNIX = "unix:"
"""Before the path of a socket file."""


@dataclass(frozen=True, slots=True)
class TmuxSettings:
    """Which tmux server, and how long it may take to answer."""

    socket_name: str | None = None
    """As ``tmux -L``: a name in the server folder of this user."""
    socket_path: str | None = None
    """As ``tmux -S``: a full path. Wins over ``socket_name``."""
    timeout: float = 2.0
    """Seconds that one tmux call may take before its answer counts as unknown."""


@dataclass(frozen=True, slots=True)
class SessionOverride:
    """What is different for one session."""

    restore: Restore | None = None
    """When it comes back; replaces ``sessions.restore``."""
    ladder: Ladders = field(default_factory=lambda: MappingProxyType({}))
    """Strategies per failure or cause; replaces ``recovery.ladders``."""
    shape: Shape | None = None
    """How far it is held to its workspace file; replaces ``sessions.shape``."""
    unblock_terminal: float | None = None
    """Seconds that a terminal may be stopped by Ctrl-S; replaces ``sessions.unblock_terminal``."""
    critical_processes: tuple[str, ...] = ()
    """Regular expressions, searched in command lines: each has to be found in a process somewhere in the
    session, else a person is told. See supervision.md."""


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """Which sessions are looked after, and when they come back."""

    manage: tuple[str, ...] = ("*",)
    """Globs of session names that may be acted on."""
    ignore: tuple[str, ...] = ()
    """Globs that are never acted on, whatever ``manage`` says."""
    restore: Restore = Restore.ON_FAILURE
    """When a lost session comes back, unless it is declared or overridden."""
    workspaces: tuple[str, ...] = ()
    """Files or folders of tmuxp or yesman-claude session files, as full paths. The sessions they name are
    declared: they are created when they are not there, and come back ``always``. See workspaces.md."""
    shape: Shape = Shape.CAREFUL
    """How far a living declared session is held to its file: ``careful`` brings back what was damaged and
    leaves what people changed, ``strict`` makes the file law, ``off`` compares nothing. See workspaces.md."""
    unblock_terminal: float = 0.0
    """Seconds that a pane's terminal may be stopped by Ctrl-S before it goes on as by Ctrl-Q. ``off`` or 0
    leaves it to the person who has stopped it. See frozen.md."""
    overrides: Mapping[str, SessionOverride] = field(default_factory=lambda: MappingProxyType({}))
    """Per session name."""

    def manages(self, name: str) -> bool:
        """Whether a session of this name may be acted on."""
        return any(fnmatchcase(name, glob) for glob in self.manage) and not any(
            fnmatchcase(name, glob) for glob in self.ignore
        )


@dataclass(frozen=True, slots=True)
class CheckpointSettings:
    """How often and how much is stored."""

    interval: float = 15.0
    """Seconds between checkpoints of a session whose panes have printed something."""
    scrollback_lines: int = 2000
    """Lines of history kept for each pane; 0 keeps none."""
    exclude: tuple[str, ...] = ()
    """Globs of session names whose scrollback and environment are never stored."""
    max_age: float = 7 * 86_400.0
    """Seconds for which the newest generation of each day is kept, beside the latest 20 and one for each
    hour of a day. A damaged one is kept for as long, so that it can be looked into, and never used."""
    max_bytes_per_session: int = 100_000_000
    """Bytes, scrollback included; the oldest generations go first, and never the newest good one."""
    rehearse: float = 600.0
    """Seconds between rehearsals of a session's newest checkpoint, which is then rebuilt on a private
    throw-away server, compared and removed again. ``off`` or 0 never rehearses."""

    @property
    def retention(self) -> Retention:
        return Retention(max_age=self.max_age, max_bytes=self.max_bytes_per_session)


DEFAULT_LADDERS: Ladders = ladders(
    {
        FailureKind.CRASHED: (
            Strategy.RESUME_PROGRAM,
            Strategy.RESPAWN_PANE,
            Strategy.REBUILD_PANE,
            Strategy.REBUILD_WINDOW,
            Strategy.RESTORE_CHECKPOINT,
            Strategy.REBUILD_WORKSPACE,
        ),
        FailureKind.DISCONNECTED: (Strategy.RECREATE_SOCKET,),
        FailureKind.CORRUPTED: (
            Strategy.FURNISH_PANE,
            Strategy.ARRANGE_WINDOW,
            Strategy.RESPAWN_PANE,
            Strategy.REBUILD_PANE,
            Strategy.REBUILD_WINDOW,
        ),
        FailureKind.FROZEN: (
            Strategy.CONTINUE_PROCESS,
            Strategy.UNBLOCK_TERMINAL,
            Strategy.INTERRUPT_PROGRAM,
            Strategy.RESPAWN_PANE,
        ),
        FailureKind.UNHEALTHY: (Strategy.HEAL_CHECK,),
        FailureKind.REQUESTED: (
            Strategy.RESUME_PROGRAM,
            Strategy.RESPAWN_PANE,
            Strategy.REBUILD_WINDOW,
            Strategy.RESTORE_CHECKPOINT,
            Strategy.REBUILD_WORKSPACE,
        ),
    }
)
"""Which strategies may be used for a failure; the first that fits the broken unit is used."""


@dataclass(frozen=True, slots=True)
class RecoverySettings:
    """How far the sidecar may go."""

    mode: Mode = Mode.AUTO
    """``observe`` decides and records everything and does nothing."""
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    """For temporary errors within one strategy."""
    operations: Mapping[StepKind, RetryPolicy] = field(default_factory=lambda: MappingProxyType({}))
    """``retry`` for one kind of step, by its name as ``sidecar_retries_total`` has it."""
    circuit: BreakerPolicy = field(default_factory=BreakerPolicy)
    """When a strategy that keeps failing is left alone for a while."""
    per_session: Budget = field(default_factory=lambda: Budget(5, 600.0))
    """Recoveries of one session before it is given up (``budget.per_session``)."""
    overall: Budget = field(default_factory=lambda: Budget(20, 600.0))
    """Incidents of all sessions together (``budget.global``); a dead server costs one."""
    at_once: AtOnce = field(default_factory=AtOnce)
    """Incidents that are worked at the same time, as a count, a share of the sessions, or both, of which the
    larger holds (``budget.at_once``). A dead server is one, however many sessions it had. What is beyond
    that waits for its turn, in order."""
    slow_retry: float = 600.0
    """Seconds between attempts at a session that was given up."""
    starts: Budget = field(default_factory=lambda: Budget(4, 2.0))
    """Coding agents and other heavy programs that may start at once, whichever session they belong to,
    and the time until the next ones."""
    ladders: Ladders = field(default_factory=lambda: DEFAULT_LADDERS)
    """Allowed strategies per failure or per cause, in the order in which they are climbed; a cause's ladder
    goes before its failure's, and a failure that is not named keeps its default. A rung is a strategy, or a
    mapping with ``strategy`` and its own ``retry`` and ``circuit``. ``custom:NAME`` is a strategy
    of your own, from an installed package: see extending.md. For the rest see recovery.md."""
    stable: float = 600.0
    """Seconds without a further break after which a session starts again on the first rung."""


@dataclass(frozen=True, slots=True)
class AuditSettings:
    """How long the audit trail is kept."""

    max_age: float = 90 * 86_400.0
    """Seconds for which a record is kept; another record signs off what is removed. Never less than
    ``checkpoints.max_age``: the trail knows since when a checkpoint is in quarantine."""
    max_records: int = 500_000
    """Records that are kept at most, whatever their age; one takes about 400 bytes."""


@dataclass(frozen=True, slots=True)
class AlertRoute:
    """Turns an alert that does not carry our own labels into a session and a failure."""

    match: Mapping[str, str]
    """Labels and values that the alert must have, all of them."""
    session: str
    """Session name; ``{{ labels.NAME }}`` takes a label's value."""
    failure: FailureKind = FailureKind.REQUESTED
    """What the alert says is wrong."""
    strategy: Strategy | None = None
    """The strategy to use, if only this one will do."""


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """Where a person is called."""

    tmux: bool = True
    """Show a message in the clients that are attached."""
    channels: tuple[Channel, ...] = ()
    """Webhooks, Alertmanagers and mail addresses that are told too."""


@dataclass(frozen=True, slots=True)
class HttpSettings:
    """The service's own door. See security.md."""

    listen: tuple[str, ...] = ("127.0.0.1:9847",)
    """``HOST:PORT`` (port 0 takes a free one) or ``unix:PATH``, or a list of both. Who comes through a socket
    file needs no token, and only this user can. An address that is not loopback needs ``web_config_file``."""
    token_file: str | None = None
    """File with the admin token; by default ``token`` in the state folder, made on first start."""
    web_config_file: str | None = None
    """File with certificates, users and headers in the form of Prometheus's exporter-toolkit; it is read
    again when it or a certificate changes."""
    hosts: tuple[str, ...] = ()
    """Host names that the service may be asked by, beside those of loopback and of this machine."""
    max_connections: int = 256
    """Connections at the same time; the one that is silent longest makes room for a new one."""
    access_log: bool = False
    """Log every request that is answered."""

    @property
    def sockets(self) -> tuple[Path, ...]:
        """The socket files of ``listen``."""
        return tuple(Path(word.removeprefix(UNIX)) for word in self.listen if word.startswith(UNIX))

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """Hosts and ports of ``listen``."""
        parts = (word.rpartition(":") for word in self.listen if not word.startswith(UNIX))
        return tuple((host.strip("[]"), int(port)) for host, _, port in parts)

    @property
    def in_the_open(self) -> tuple[str, ...]:
        """The hosts of ``listen`` that others reach."""
        return tuple(host for host, _ in self.addresses if not is_loopback(host))


@dataclass(frozen=True, slots=True)
class Declared:
    """What the workspace files say: the sessions of the good ones, and every fault of all of them."""

    sessions: Mapping[str, Workspace] = field(default_factory=lambda: MappingProxyType({}))
    """By session name."""
    faults: tuple[Fault, ...] = ()
    broken: frozenset[str] = frozenset()
    """Files and folders of which something could not be declared."""

    def keeping(self, earlier: Declared) -> Declared:
        """These, and what the broken files declared when they were last good."""
        kept = {name: one for name, one in earlier.sessions.items() if self._lost(one.file)}
        return replace(self, sessions=MappingProxyType({**kept, **self.sessions}))

    def _lost(self, file: str) -> bool:
        return any(file == where or file.startswith(f"{where}/") for where in self.broken)


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that a configuration file can say."""

    tmux: TmuxSettings = field(default_factory=TmuxSettings)
    sessions: SessionSettings = field(default_factory=SessionSettings)
    checkpoints: CheckpointSettings = field(default_factory=CheckpointSettings)
    recovery: RecoverySettings = field(default_factory=RecoverySettings)
    audit: AuditSettings = field(default_factory=AuditSettings)
    resources: ResourceLimits = field(default_factory=ResourceLimits)
    resume: tuple[ResumeRule, ...] = ()
    """Rules for programs that ran in a shell; tried before the built-in ones."""
    heartbeats: tuple[Heartbeat, ...] = ()
    """When a program that runs counts as frozen; one that waits for input never does. See heartbeats.md."""
    checks: tuple[Check, ...] = ()
    """Health checks of programs, of the machine and of what they need, and what heals them. See checks.md."""
    programs: tuple[ProgramRule, ...] = ()
    """What has to run in panes, and how it is restarted. See supervision.md."""
    alerts: tuple[AlertRoute, ...] = ()
    """Routes for alerts without a ``session`` label; the first that matches is used."""
    notify: NotifySettings = field(default_factory=NotifySettings)
    quiet: tuple[Window, ...] = ()
    """Maintenance windows: times in which people are not told. See quiet.md."""
    http: HttpSettings = field(default_factory=HttpSettings)
    declared: Declared = field(default_factory=Declared)
    """The sessions of ``sessions.workspaces``."""
    source: Path | None = None
    """The file that was read; None for the defaults."""
    text: str = field(default="", repr=False)
    """What it says, as it was read."""
