"""Rows of the book: what the store keeps and gives back, as frozen values. Times are wall seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sidecar.model.check import CheckRow
from sidecar.model.incident import Asker, Cause, FailureKind, IncidentState, Intent, Role
from sidecar.model.ladder import Footing
from sidecar.model.plan import Difference, Manner, Outcome, Resort, Strategy
from sidecar.model.policy import Circuit
from sidecar.model.saga import Journal, Mandate, TransactionOutcome
from sidecar.model.scrollback import Manifest, assemble
from sidecar.model.session import SessionImage
from sidecar.model.supervise import Life


class Action(StrEnum):
    """The closed set of words for what the audit trail and the log lines tell."""

    STARTED = "started"
    STOPPED = "stopped"
    TASK_FAILED = "task_failed"
    SESSION_ADOPTED = "session_adopted"
    SESSION_RENAMED = "session_renamed"
    SESSION_CLOSED = "session_closed"
    SESSION_RELEASED = "session_released"
    SERVER_FOUND = "server_found"
    SERVER_LOST = "server_lost"
    CONNECTION_LOST = "connection_lost"
    CHECKPOINT_CREATED = "checkpoint_created"
    CHECKPOINT_HELD_BACK = "checkpoint_held_back"
    CHECKPOINT_FAILED = "checkpoint_failed"
    CHECKPOINT_QUARANTINED = "checkpoint_quarantined"
    CHECKPOINT_CLEARED = "checkpoint_cleared"
    SCROLLBACK_DAMAGED = "scrollback_damaged"
    SCROLLBACK_RELINKED = "scrollback_relinked"
    ROW_MENDED = "row_mended"
    CHECKPOINTS_PRUNED = "checkpoints_pruned"
    RESOURCE_SHORT = "resource_short"
    RESOURCE_REGAINED = "resource_regained"
    CHECKPOINT_MODE = "checkpoint_mode"
    RECOVERY_WAITS = "recovery_waits"
    WOKE_UP = "woke_up"
    REHEARSAL_PASSED = "rehearsal_passed"
    REHEARSAL_FAILED = "rehearsal_failed"
    REHEARSAL_INCONCLUSIVE = "rehearsal_inconclusive"
    REHEARSALS_HELD_OFF = "rehearsals_held_off"
    DATABASE_SET_ASIDE = "database_set_aside"
    STORE_DAMAGED = "store_damaged"
    STATE_SET_ASIDE = "state_set_aside"
    DATABASE_LOST = "database_lost"
    DATABASE_LOG_DAMAGED = "database_log_damaged"
    INCIDENT_OPENED = "incident_opened"
    INCIDENT_MOVED = "incident_moved"
    EVIDENCE_ADDED = "evidence_added"
    DIAGNOSTICS_TAKEN = "diagnostics_taken"
    REFUSED = "refused"
    DRY_RUN = "dry_run"
    RECOVERY_BEGUN = "recovery_begun"
    STEP_BEGUN = "step_begun"
    STEP_ENDED = "step_ended"
    STRATEGY_SAID = "strategy_said"
    RECOVERY_ENDED = "recovery_ended"
    RECOVERY_INTERRUPTED = "recovery_interrupted"
    RECOVERY_RESUMED = "recovery_resumed"
    RECOVERY_STOPPED = "recovery_stopped"
    RECOVERY_JOINED = "recovery_joined"
    PANE_CLOSED = "pane_closed"
    PROBE_CHANGED = "probe_changed"
    CHECK_FAILED = "check_failed"
    CHECK_PASSED = "check_passed"
    PROGRAM_ENDED = "program_ended"
    CIRCUIT_MOVED = "circuit_moved"
    ALERT_ACCEPTED = "alert_accepted"
    ALERT_SETTLED = "alert_settled"
    ACCESS_REFUSED = "access_refused"
    LISTENS_UNENCRYPTED = "listens_unencrypted"
    REQUEST_ANSWERED = "request_answered"
    TOKENS_CHANGED = "tokens_changed"
    TOKENS_REFUSED = "tokens_refused"
    WEB_CONFIG_RELOADED = "web_config_reloaded"
    WEB_CONFIG_REFUSED = "web_config_refused"
    CONFIG_RELOADED = "config_reloaded"
    CONFIG_REFUSED = "config_refused"
    CONFIG_FELL_BACK = "config_fell_back"
    WORKSPACE_REFUSED = "workspace_refused"
    NOTIFIED = "notified"
    NOTIFY_FAILED = "notify_failed"
    NOTICE_WITHHELD = "notice_withheld"
    NOTICES_RELEASED = "notices_released"
    SILENCED = "silenced"
    SILENCE_ENDED = "silence_ended"
    SILENCES_UNKNOWN = "silences_unknown"
    SILENCES_KNOWN = "silences_known"
    SILENCE_USELESS = "silence_useless"
    WINDOW_OPENED = "window_opened"
    WINDOW_CLOSED = "window_closed"
    RESERVE_GIVEN_UP = "reserve_given_up"
    RESERVE_MADE = "reserve_made"
    AUDIT_HEAD = "audit_head"
    AUDIT_PRUNED = "audit_pruned"
    HISTORY_PRUNED = "history_pruned"
    AUDIT_BROKEN = "audit_broken"


class Standing(StrEnum):
    """What the sidecar's duty towards a known session is."""

    LIVE = "live"
    """Seen, and expected to be there."""
    LOST = "lost"
    """Expected, not there, and not known to be closed by a person."""
    RELEASED = "released"
    """A person took it out of our hands."""


@dataclass(frozen=True, slots=True)
class KnownSession:
    """A session that is expected to be there, as remembered across restarts."""

    name: str
    standing: Standing
    instance: str
    """``boot/pid/started/$id`` of the life in which it was last seen; empty if never."""
    declared: bool
    """Named in a workspace file."""
    last_seen: float


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident: a failure, its cause, and where it stands."""

    id: int
    trace: str
    session: str
    failure: FailureKind
    unit: str
    cause: Cause
    intent: Intent
    origin: str
    state: IncidentState
    evidence: tuple[Mapping[str, str], ...]
    first_sign: float
    opened: float
    closed: float | None
    reason: str = ""
    """The last refusal's reason, if it was refused."""
    sentence: str = ""
    """The last refusal or verdict, for people."""


@dataclass(frozen=True, slots=True)
class StepRow:
    """One journal line of a recovery: one attempt at one step."""

    seq: int
    kind: str
    description: str
    phase: str
    """``do``, or ``undo`` for its compensation."""
    attempt: int
    state: str
    """``due``, ``begun``, ``done``, ``failed`` (may pass) or ``refused`` (will not)."""
    due: float
    begun: float | None
    ended: float | None
    error: str = ""
    said: str = ""
    """What it has done, where the description does not tell."""


@dataclass(frozen=True, slots=True)
class RecoveryRow:
    """One recovery: what was tried, by whom, and what came of it."""

    id: int
    incident: int
    trace: str
    session: str
    failure: FailureKind
    cause: Cause
    strategy: Strategy
    asker: Asker
    checkpoint: int | None
    state: str
    """``running``, an :class:`Outcome`, or ``interrupted`` where an earlier release has left it."""
    begun: float
    ended: float | None
    duration: float | None
    """Seconds that the plan ran."""
    time_to_recovery: float | None
    """Seconds from the first bad sign to verified healthy; None unless verified."""
    verdict: str = ""
    differences: tuple[Mapping[str, Any], ...] = ()
    steps: tuple[StepRow, ...] = ()
    evidence: tuple[Mapping[str, str], ...] = ()
    compared: Mapping[str, int] = field(default_factory=dict)
    """How many values the verdict has compared, by field."""
    transaction_outcome: str = ""
    """``committed``, ``compensated`` or ``stuck``; empty while it runs."""
    commands: tuple[str, ...] = ()
    """What a person should run, where it is stuck."""
    resumed: int = 0
    """How often a later run of the sidecar has taken it up."""
    stopped: str = ""
    """Why it was to begin nothing new; empty if nobody said so."""
    undo: int = 0
    """The checkpoint that brings back what it takes away; 0 if it takes nothing."""
    attempt: int = 1
    """Which attempt at its incident it was; the first costs a unit of the budgets, the others nothing."""
    manner: Manner = Manner.PLAIN


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A recovery that was cut off, as the book has it."""

    recovery: RecoveryRow
    incident: IncidentRow
    journal: Journal
    mandate: Mandate | None
    """None when the stored plan cannot be read any more."""
    wanted: tuple[str, ...] = ()
    """Who has asked for it, besides whoever set it going, and the alerts that are not resolved."""
    tried: tuple[Resort, ...] = ()
    """What was tried in vain at the same incident before it."""


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One link of the audit chain."""

    id: int
    at: float
    trace: str
    session: str
    action: Action | str
    actor: str
    reason: str
    detail: Mapping[str, Any]
    hash: str


@dataclass(frozen=True, slots=True)
class CircuitRow:
    """One breaker as it is now."""

    name: str
    state: Circuit
    failures: int
    """Within the window that counts."""
    retry_after: float | None
    """Seconds until it may be tried again; 0 when it may now, None when a person has to close it."""
    forced: bool
    """A person has opened it."""


class SkipReason(StrEnum):
    """The ``reason`` label of ``sidecar_alerts_skipped_total``: why an alert leads to nothing."""

    DUPLICATE = "duplicate"
    RESOLVED = "resolved"
    NO_SESSION = "no_session"
    UNKNOWN_SESSION = "unknown_session"
    UNKNOWN_FAILURE = "unknown_failure"
    UNKNOWN_STRATEGY = "unknown_strategy"


@dataclass(frozen=True, slots=True)
class AlertIntake:
    """One alert of a webhook call, already routed, on its way into the book."""

    fingerprint: str
    starts_at: str
    """As sent, RFC 3339; with the fingerprint it is the key."""
    status: str
    """``firing`` or ``resolved``."""
    labels: Mapping[str, str]
    session: str = ""
    failure: FailureKind = FailureKind.REQUESTED
    strategy: Strategy | None = None
    skip: SkipReason | None = None
    """Set when routing alone already says that nothing is to be done."""


@dataclass(frozen=True, slots=True)
class AlertRow:
    """An accepted alert. ``pending`` until the pipeline has come to an end with it."""

    id: int
    fingerprint: str
    starts_at: str
    session: str
    failure: FailureKind
    strategy: Strategy | None
    state: str
    """``pending``, ``settled`` or ``skipped``."""
    reason: str
    received: float
    recovery: int | None
    labels: Mapping[str, str] = field(default_factory=dict)
    resolved: float | None = None
    """When it was first told that the alert is over."""

    @property
    def sender(self) -> Mapping[str, str]:
        """Who has sent what is done for it, as the trail names it."""
        return {"fingerprint": self.fingerprint, "alertname": self.labels.get("alertname", "")}


@dataclass(frozen=True, slots=True)
class Settlement:
    """What has become of an accepted alert."""

    alert: int
    reason: str
    recovery: int | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one alert of a webhook call.

    ``row`` is set when it is to be acted on; or, of one that is resolved, when it was accepted before.
    """

    fingerprint: str
    skip: SkipReason | None
    row: AlertRow | None


@dataclass(frozen=True, slots=True)
class Ending:
    """The end of one recovery, to be written in one transaction."""

    recovery: int
    incident: int
    outcome: Outcome
    verdict: str
    differences: tuple[Mapping[str, Any], ...]
    compared: Mapping[str, int]
    """How many values were compared, by field."""
    duration: float
    time_to_recovery: float | None
    at: float
    given_up: bool = False
    """It was an attempt at the slow pace: where it has failed, the session stays given up."""
    transaction: TransactionOutcome = TransactionOutcome.COMMITTED
    commands: tuple[str, ...] = ()
    """What a person should run, where it is stuck."""
    goes_on: bool = False
    """It has failed, and something else is tried at once for the same incident."""
    footing: Footing | None = None
    """Where the session stands on its ladder from now on; None: where it stood."""
    check: CheckRow | None = None
    """What is remembered of the check that it was about; None where it was about none."""
    there: KnownSession | None = None
    """The session as it is there now; None where it is not, or is remembered so already."""


@dataclass(frozen=True, slots=True)
class Capture:
    """A session as it was captured, on its way into the book."""

    image: SessionImage
    instance: str
    taken: float
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    """What the panes' texts are made of, by the digests that the image holds."""
    pieces: Mapping[str, bytes] = field(default_factory=dict)
    """Raw pieces of text by their digest, without those that an earlier capture has stored."""

    def text(self, digest: str) -> bytes:
        """The text behind a manifest's digest, as far as the pieces are here."""
        manifest = self.manifests.get(digest)
        return assemble(manifest.encode(), self.pieces.get).text if manifest else b""


@dataclass(frozen=True, slots=True)
class StoredTotals:
    """What the checkpoints of one session amount to."""

    session: str
    count: int
    size: int
    """Bytes: JSON and compressed scrollback, each piece counted once."""
    newest: float


@dataclass(frozen=True, slots=True)
class Generation:
    """One stored checkpoint of a session, as far as retention cares."""

    id: int
    """Grows with every generation, whatever the wall clock does."""
    taken: float
    size: int
    """Bytes that are its own."""
    texts: tuple[tuple[str, int], ...] = ()
    """What it shares with other generations: a key, and the bytes, which count once."""


class HoldBackReason(StrEnum):
    """Why a capture does not become the newest good checkpoint."""

    EMPTY = "empty"
    JUST_STARTED = "just_started"
    DISK_FULL = "disk_full"


@dataclass(frozen=True, slots=True)
class HoldBack:
    """A capture that is not stored, with its reason and the sentence for people."""

    reason: HoldBackReason
    sentence: str


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What came of giving back the space of the database that holds nothing."""

    before: int
    """Bytes of its file and its log."""
    after: int
    able: bool
    """Whether its file can shrink at all; one that an earlier release has made cannot."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What the process trees under one session's panes use."""

    processes: int = 0
    memory_bytes: int = 0
    """Resident."""
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class ProgramRow:
    """What is known of the program of one pane."""

    session: str
    pane: str
    """The pane's id."""
    server: str
    """The life of the tmux server within which the id means something."""
    rule: str
    life: Life
    action: Action | None = None
    """What of it goes on record, if anything does."""
    reason: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Watched:
    """One process to be watched, and what it is to tmux."""

    role: Role
    pid: int
    session: str = ""
    pane: str = ""


class RehearsalOutcome(StrEnum):
    """The ``outcome`` label of ``sidecar_rehearsals_total``."""

    PASSED = "passed"
    FAILED = "failed"
    INCONCLUSIVE = "inconclusive"
    """It says nothing about the checkpoint: tmux or the store gave no answer in time."""


class HoldOffReason(StrEnum):
    """The ``reason`` label of ``sidecar_rehearsals_held_off_total``: why none is begun just now."""

    RECOVERY_RUNNING = "recovery_running"
    MEMORY_PRESSURE = "memory_pressure"
    CPU_PRESSURE = "cpu_pressure"


@dataclass(frozen=True, slots=True)
class HoldOff:
    """A decision not to rehearse now, with its reason and the sentence for people."""

    reason: HoldOffReason
    sentence: str


@dataclass(frozen=True, slots=True)
class Pressure:
    """How hard the machine is pressed."""

    memory_available: float
    """Share of the memory that could be had without swapping, 0 to 1."""
    load: float
    """Runnable tasks over the last minute, for each processor."""
    cpu_stalled: float | None = None
    """Percent of the last 10 s in which some task waited for a processor; None where it is not told."""
    memory_stalled: float | None = None
    """The same for memory."""
    memory_blocked: float | None = None
    """Percent of the last 10 s in which all tasks waited for memory at once."""
    group_available: float | None = None
    """Share of what the tmux server's control group may use that is left, 0 to 1; None without a limit."""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the last conclusive rehearsal of a session came to."""

    session: str
    checkpoint: int
    checksum: str
    """Of that checkpoint: an unchanged one that passed is not rehearsed again."""
    restorable: bool
    at: float
    differences: tuple[Difference, ...] = ()
    """The fidelity report: every difference, tolerated ones too."""

    @property
    def faults(self) -> tuple[Difference, ...]:
        """Those that are not tolerated."""
        return tuple(one for one in self.differences if not one.tolerated)
