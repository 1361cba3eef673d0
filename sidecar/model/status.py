"""What the windows show: one immutable picture of the service, replaced as a whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sidecar.model.check import CheckState
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Difference, Refusal, Strategy
from sidecar.model.policy import BreakerState, Mode
from sidecar.model.quiet import Hush
from sidecar.model.record import IncidentRow, RecoveryRow
from sidecar.model.session import Health
from sidecar.model.stress import Stress
from sidecar.model.supervise import ProgramStatus


@dataclass(frozen=True, slots=True)
class SessionStatus:
    """One managed session, live or expected."""

    name: str
    health: Health
    up: bool
    declared: bool
    windows: int = 0
    panes: int = 0
    dead_panes: int = 0
    last_activity: float = 0.0
    """Wall seconds; 0 when never seen."""
    processes: int = 0
    memory_bytes: int = 0
    """Resident memory of the process trees under the panes."""
    cpu_seconds: float = 0.0
    """Processor time of those trees; never decreases while the session lives."""
    checkpoints: int = 0
    checkpoint_bytes: int = 0
    last_checkpoint: float = 0.0
    """Wall seconds; 0 when there is none."""
    restorable: bool | None = None
    """Whether the last rehearsed checkpoint could be restored; None before the first rehearsal."""
    rehearsed: float = 0.0
    """Wall seconds of that rehearsal; 0 when there was none."""
    rehearsal_report: tuple[Difference, ...] = ()
    """Every difference that it found, tolerated ones too."""
    differences: tuple[Difference, ...] = ()
    """What of a declared session is not as its file says, and counts."""
    rungs: Mapping[str, str] = field(default_factory=dict)
    """By failure, the strategy on which it stands; empty once it has been stable for long enough."""
    climbed: Mapping[str, str] = field(default_factory=dict)
    """For people, by failure: where it stands above the first rung of the ladder."""
    quiet: Hush | None = None
    """What keeps people from being told of it now, the longest first."""
    held: bool = False
    """Nothing is done about it by itself, because somebody works on it."""
    programs: tuple[ProgramStatus, ...] = ()
    """Those of its programs that are under supervision."""
    restarted: Mapping[str, int] = field(default_factory=dict)
    """By rule of ``programs``, the restarts since the service began."""
    note: str = ""
    """For people: why it is not healthy or not restorable, and what to do."""


@dataclass(frozen=True, slots=True)
class Status:
    """Everything that is shown without asking the database or tmux."""

    server_up: bool = False
    tmux_version: str = ""
    mode: Mode = Mode.AUTO
    sessions: tuple[SessionStatus, ...] = ()
    incidents: tuple[IncidentRow, ...] = ()
    """Open ones."""
    circuits: Mapping[str, BreakerState] = field(default_factory=dict)
    recoveries_in_progress: int = 0
    alerts_pending: int = 0
    quiet: tuple[Hush, ...] = ()
    """What keeps people from being told now."""
    checks: Mapping[str, CheckState] = field(default_factory=dict)
    """How each health check stands, by name."""
    store_bytes: int = 0
    stress: Stress = field(default_factory=Stress)
    """What the machine is short of."""
    config_good: bool = True
    """False while the file on disk has faults and an earlier one is in force."""
    workspace_faults: tuple[str, ...] = ()
    """What is wrong in workspace files, each with its file and line."""
    config_loaded: float = 0.0
    """Wall seconds when the settings in force were read."""
    started: float = 0.0
    """Wall seconds."""
    last_look: float = 0.0
    """Wall seconds of the last look that got an answer (present or absent)."""


@dataclass(frozen=True, slots=True)
class RecoverRequest:
    """A person asks for a session to be recovered."""

    session: str
    failure: FailureKind = FailureKind.REQUESTED
    strategy: Strategy | None = None
    dry_run: bool = False
    alert: str = ""
    """The fingerprint of the alert that asks."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """A recovery that has begun, or (``joined``) was already running for this session."""

    recovery: RecoveryRow
    joined: bool = False
    undo: int = 0
    """The checkpoint that brings back what the recovery takes away; 0 if it takes nothing."""


@dataclass(frozen=True, slots=True)
class DryRun:
    """What a dry run would have done."""

    strategy: Strategy
    steps: tuple[str, ...]
    cause: str
    evidence: tuple[Mapping[str, str], ...]
    ladder: tuple[str, ...] = ()
    """The rungs, first the one at the bottom; the strategy is the one on which the session stands."""
    fallback: tuple[str, ...] = ()
    """What would be tried next, in this order, if that failed."""


@dataclass(frozen=True, slots=True)
class UnknownSession:
    """Neither live, nor expected, nor in any checkpoint."""

    session: str


Answer = Ticket | DryRun | Refusal | UnknownSession
