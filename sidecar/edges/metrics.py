"""Every metric, declared in one place. Gauges come from one immutable picture, counters from calls.

Label values that are known beforehand start at zero, so that the first increase is seen; those that
are not known are bounded. Rendering is slow (about 100,000 lines a second): it belongs in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import product

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from sidecar import errand
from sidecar.edges.check_metrics import CheckMetrics
from sidecar.edges.metrics_circuits import CircuitCounts, valid_label
from sidecar.edges.probe_metrics import ProbeMetrics
from sidecar.edges.program_metrics import program_families
from sidecar.errors import DiskFull, StoreUnavailable, TmuxAbsent, TmuxRefused, TmuxUnknown
from sidecar.model.incident import Cause, FailureKind
from sidecar.model.notice import ChannelKind
from sidecar.model.plan import Outcome, RefusalReason, StepKind, Strategy
from sidecar.model.quiet import Hush, QuietKind
from sidecar.model.record import HoldBackReason, HoldOffReason, RehearsalOutcome, SkipReason
from sidecar.model.saga import TransactionOutcome
from sidecar.model.session import Health
from sidecar.model.status import SessionStatus, Status
from sidecar.model.stress import CheckpointMode, Resource, Stress

SERIES_CAP = 200
"""Sessions that have series of their own; the rest are counted in ``sidecar_sessions_dropped``."""

_FAILURES = frozenset(FailureKind)
_FAILURES_COUNTED = 5000
"""Counts by session and failure, shown or not; those that came longest ago go first."""
RECOVERY_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_CONNECTIONS = ("accepted", "turned_away", "sent_away", "too_slow", "handshake_failed")
_FAST_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
_CAPTURE_ERRORS = (TmuxUnknown, TmuxAbsent, TmuxRefused, StoreUnavailable, DiskFull)

disable_created_metrics()  # type: ignore[no-untyped-call]


class Metrics:
    """Counts for the corridor (``flow.ports.Meter``), the store and the windows, and renders."""

    def __init__(
        self, registry: CollectorRegistry, status: Callable[[], Status], *, version: str, python: str
    ) -> None:
        self._registry = registry
        self._failures = _Failures()
        self._circuits = CircuitCounts()

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"sidecar_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"sidecar_{name}", text, labels, buckets=buckets, registry=registry)

        versions = {"version": version, "python": python}
        registry.register(_Picture(status, self._failures, self._circuits, versions))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        self._findings = counter("findings", "Causes named.", "cause")
        self._recoveries = counter("recoveries", "Recoveries ended.", "failure", "strategy", "outcome")
        self._duration = histogram(
            "recovery_duration_seconds", "Time one plan ran.", RECOVERY_BUCKETS, "strategy"
        )
        self._mttr = histogram(
            "time_to_recovery_seconds",
            "Time from the first bad sign to verified healthy.",
            RECOVERY_BUCKETS,
            "failure",
        )
        self._refusals = counter("refusals", "Decisions not to act.", "reason")
        self._transactions = counter("transactions", "Plans ended, each as a whole.", "outcome")
        self._retries = counter("retries", "Attempts repeated after a temporary error.", "operation")
        self._taken = histogram(
            "checkpoint_duration_seconds", "Time to capture and store a checkpoint.", _FAST_BUCKETS
        )
        self._restored = histogram(
            "checkpoint_restore_duration_seconds", "Time to restore a checkpoint, verified.", RECOVERY_BUCKETS
        )
        self._checkpoint_failures = counter("checkpoint_failures", "Captures not stored.", "reason")
        self._corruptions = counter("checkpoint_corruptions", "Damage found in what was stored.")
        self._rehearsals = counter("rehearsals", "Checkpoints rehearsed.", "outcome")
        self._rehearsal_time = histogram(
            "rehearsal_duration_seconds", "Time one rehearsal took.", RECOVERY_BUCKETS
        )
        self._held_off = counter("rehearsals_held_off", "Rehearsals that had to wait.", "reason")
        self._alerts = counter("alerts_received", "Alerts received.", "status")
        self._skipped = counter("alerts_skipped", "Alerts that led to nothing.", "reason")
        self._notified = counter("notifications", "Calls to a person.", "channel", "outcome")
        self._requests = counter("http_requests", "HTTP requests answered.", "method", "route", "status")
        self._request_time = histogram(
            "http_request_duration_seconds", "Time to answer.", _FAST_BUCKETS, "method", "route"
        )
        self._connections = counter(
            "http_connections", "Connections, by what became of them first.", "outcome"
        )
        for outcome in _CONNECTIONS:
            self._connections.labels(outcome)
        self._writes = histogram(
            "store_write_duration_seconds", "Time of a write transaction.", _FAST_BUCKETS
        )
        self._audited = counter("audit_records", "Rows appended to the audit trail.")
        self._reserve = Gauge("sidecar_store_reserve_bytes", "Space kept for the record.", registry=registry)
        self._lag = histogram("event_loop_lag_seconds", "How late the event loop wakes.", _FAST_BUCKETS)
        self._losses = counter("connection_losses", "Waiting tmux clients of ours that were ended.")
        self._restarts = counter("tasks_restarted", "Tasks that ended unexpectedly.", "task")
        self._seeded: tuple[tuple[str, Counter, tuple[Iterable[str], ...]], ...] = (
            ("findings", self._findings, (Cause,)),
            ("refusals", self._refusals, (RefusalReason,)),
            ("recoveries", self._recoveries, (FailureKind, Strategy, Outcome)),
            ("retries", self._retries, (StepKind,)),
            ("transactions", self._transactions, (TransactionOutcome,)),
        )
        """Counters that equal rows of the database, and the values of their labels."""
        self.probes = ProbeMetrics(registry)
        self.checks = CheckMetrics(registry)
        self._start_at_zero()

    def _start_at_zero(self) -> None:
        """Let every series exist whose labels are known."""
        known: tuple[tuple[Counter | Histogram, tuple[Iterable[str], ...]], ...] = (
            (self._findings, (Cause,)),
            (self._recoveries, (FailureKind, Strategy, Outcome)),
            (self._duration, (Strategy,)),
            (self._mttr, (FailureKind,)),
            (self._refusals, (RefusalReason,)),
            (self._transactions, (TransactionOutcome,)),
            (self._retries, (StepKind,)),
            (self._checkpoint_failures, ([*HoldBackReason, *(kind.__name__ for kind in _CAPTURE_ERRORS)],)),
            (self._rehearsals, (RehearsalOutcome,)),
            (self._held_off, (HoldOffReason,)),
            (self._alerts, (("firing", "resolved"),)),
            (self._skipped, (SkipReason,)),
            (self._notified, (("tmux",), ("delivered", "nobody_there", "silenced"))),
            (self._notified, (tuple(ChannelKind)[1:], ("delivered", "failed", "silenced"))),
        )
        for metric, words in known:
            for labels in product(*words):
                metric.labels(*labels)

    def render(self, accept: str) -> tuple[bytes, str]:
        """The page in the format that the Accept header asks for, and its content type."""
        try:
            encoder, content_type = choose_encoder(accept)
        except (TypeError, ValueError):
            # The library compares versions without having checked that they are numbers.
            encoder, content_type = choose_encoder("")
        return encoder(self._registry), content_type

    def seed(self, counts: Mapping[str, Mapping[tuple[str, ...], int]]) -> None:
        """Let the counters go on where the rows of the database stand, as they do across a restart.

        Of labels that are known beforehand only the known values are taken.
        """
        self._failures.seed(counts.get("failures", {}))
        self._audited.reset()
        self._audited.inc(counts.get("audit_records", {}).get((), 0))
        for name, counter, words in self._seeded:
            for labels in product(*words):
                counter.labels(*labels).reset()
                counter.labels(*labels).inc(counts.get(name, {}).get(tuple(map(str, labels)), 0))

    def failure(self, session: str, failure: str) -> None:
        self._failures.count(session, failure)

    def finding(self, cause: str) -> None:
        self._findings.labels(cause).inc()

    def recovery(
        self, failure: str, strategy: str, outcome: str, duration: float, time_to_recovery: float | None
    ) -> None:
        self._recoveries.labels(failure, strategy, outcome).inc()
        trace = errand.current().trace
        exemplar = {"trace_id": trace} if trace else None
        self._duration.labels(strategy).observe(duration, exemplar)
        if time_to_recovery is not None:
            self._mttr.labels(failure).observe(time_to_recovery, exemplar)

    def healed(self, check: str, outcome: Outcome) -> None:
        self.checks.healed(check, outcome)

    def refusal(self, reason: str) -> None:
        self._refusals.labels(reason).inc()

    def transaction(self, outcome: str) -> None:
        self._transactions.labels(outcome).inc()

    def retry(self, operation: str) -> None:
        self._retries.labels(operation).inc()

    def circuit_call(self, circuit: str, outcome: str) -> None:
        self._circuits.called(circuit, outcome)

    def circuit_moved(self, circuit: str, to: str) -> None:
        self._circuits.moved(circuit, to)

    def checkpoint(self, seconds: float) -> None:
        self._taken.observe(seconds)

    def checkpoint_failed(self, reason: str) -> None:
        self._checkpoint_failures.labels(reason).inc()

    def checkpoint_corrupt(self, count: int = 1) -> None:
        self._corruptions.inc(count)

    def checkpoint_restored(self, seconds: float) -> None:
        self._restored.observe(seconds)

    def rehearsed(self, outcome: str, seconds: float) -> None:
        self._rehearsals.labels(outcome).inc()
        self._rehearsal_time.observe(seconds)

    def rehearsals_held_off(self, reason: str) -> None:
        self._held_off.labels(reason).inc()

    def alert_received(self, status: str) -> None:
        self._alerts.labels(status).inc()

    def alert_skipped(self, reason: str) -> None:
        self._skipped.labels(reason).inc()

    def notified(self, channel: str, outcome: str) -> None:
        self._notified.labels(channel, outcome).inc()

    def connection_lost(self) -> None:
        self._losses.inc()

    def task_restarted(self, task: str) -> None:
        self._restarts.labels(task).inc()

    def loop_lag(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def written(self, seconds: float) -> None:
        self._writes.observe(seconds)

    def audited(self, rows: int) -> None:
        self._audited.inc(rows)

    def reserve(self, size: int) -> None:
        self._reserve.set(size)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        self._requests.labels(method, route, str(status)).inc()
        self._request_time.labels(method, route).observe(seconds)

    def connection(self, outcome: str) -> None:
        self._connections.labels(outcome).inc()

    def forget_session(self, session: str) -> None:
        self._circuits.forget(session)


class _Failures:
    """Counts by session, shown only for sessions that have series of their own.

    Counted on the event loop and read in a thread, so the reader never iterates over the counts.
    """

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def count(self, session: str, failure: str) -> None:
        self._counts[session, failure] = self._counts.pop((session, failure), 0) + 1
        while len(self._counts) > _FAILURES_COUNTED:
            del self._counts[next(iter(self._counts))]

    def seed(self, counts: Mapping[tuple[str, ...], int]) -> None:
        for (session, failure), count in counts.items():
            if failure in _FAILURES:
                self._counts[session, failure] = count

    def family(self, sessions: Iterable[str]) -> Metric:
        family = CounterMetricFamily("sidecar_failures", "Failures noticed.", labels=["session", "failure"])
        for session, failure in product(sessions, FailureKind):
            family.add_metric([valid_label(session), failure], self._counts.get((session, failure), 0))
        return family


class _Picture(Collector):
    """What is shown of the present picture."""

    def __init__(
        self,
        status: Callable[[], Status],
        failures: _Failures,
        circuits: CircuitCounts,
        versions: Mapping[str, str],
    ) -> None:
        self._status = status
        self._failures = failures
        self._circuits = circuits
        self._versions = versions

    def collect(self) -> Iterable[Metric]:
        status = self._status()
        yield InfoMetricFamily(
            "sidecar_build",
            "Versions of the sidecar, of Python and of tmux.",
            value={**self._versions, "tmux": status.tmux_version},
        )
        yield _gauge("tmux_server_up", "Whether the tmux server answers.", float(status.server_up))
        yield _gauge("recoveries_in_progress", "Recoveries running now.", status.recoveries_in_progress)
        yield _gauge("alerts_pending", "Accepted alerts not yet worked off.", status.alerts_pending)
        yield _silences(status.quiet)
        yield _resources(status.stress)
        yield _checkpoint_mode(status.stress)
        yield _gauge("store_size_bytes", "Size of the database and its log.", status.store_bytes)
        yield _gauge(
            "config_last_reload_successful",
            "Whether the configuration on disk is the one in force.",
            float(status.config_good),
        )
        yield _gauge(
            "config_last_reload_success_timestamp_seconds",
            "When the configuration in force was read.",
            status.config_loaded,
        )
        shown = status.sessions[:SERIES_CAP]
        yield _gauge(
            "sessions_dropped", "Sessions beyond the cap on series.", len(status.sessions) - len(shown)
        )
        # A failure of the tmux server itself is one of no session.
        yield self._failures.family(dict.fromkeys(["", *(session.name for session in shown)]))
        yield from _session_gauges(shown)
        yield from program_families(status.sessions, shown)
        yield _restorable(shown)
        yield _health(shown)
        yield _cpu(shown)
        yield from self._circuits.families(status.circuits, {session.name for session in shown})


_SESSION_GAUGES: tuple[tuple[str, str, Callable[[SessionStatus], float]], ...] = (
    ("session_up", "Whether the session is there.", lambda s: s.up),
    ("session_windows", "Windows of the session.", lambda s: s.windows),
    ("session_panes", "Panes of the session.", lambda s: s.panes),
    ("session_dead_panes", "Panes whose process has ended.", lambda s: s.dead_panes),
    ("session_processes", "Processes under the panes.", lambda s: s.processes),
    ("session_memory_bytes", "Resident memory of the processes under the panes.", lambda s: s.memory_bytes),
    (
        "session_last_activity_timestamp_seconds",
        "When a pane last printed something.",
        lambda s: s.last_activity,
    ),
    ("checkpoints", "Stored generations.", lambda s: s.checkpoints),
    ("checkpoint_bytes", "Bytes of the stored generations.", lambda s: s.checkpoint_bytes),
    (
        "checkpoint_last_success_timestamp_seconds",
        "When the newest checkpoint was taken.",
        lambda s: s.last_checkpoint,
    ),
)


def _session_gauges(sessions: tuple[SessionStatus, ...]) -> Iterator[Metric]:
    for name, text, read in _SESSION_GAUGES:
        family = GaugeMetricFamily(f"sidecar_{name}", text, labels=["session"])
        for session in sessions:
            family.add_metric([valid_label(session.name)], float(read(session)))
        yield family


def _restorable(sessions: tuple[SessionStatus, ...]) -> Metric:
    """No sample before the first rehearsal: 0 would say that it had failed."""
    family = GaugeMetricFamily(
        "sidecar_checkpoint_restorable",
        "Whether the last rehearsed checkpoint could be restored.",
        labels=["session"],
    )
    for session in sessions:
        if session.restorable is not None:
            family.add_metric([valid_label(session.name)], float(session.restorable))
    return family


def _health(sessions: tuple[SessionStatus, ...]) -> Metric:
    family = GaugeMetricFamily(
        "sidecar_session_health", "1 for the state the session is in.", labels=["session", "state"]
    )
    for session in sessions:
        for state in Health:
            family.add_metric([valid_label(session.name), state], float(session.health is state))
    return family


def _cpu(sessions: tuple[SessionStatus, ...]) -> Metric:
    family = CounterMetricFamily(
        "sidecar_session_cpu_seconds", "Processor time of the processes under the panes.", labels=["session"]
    )
    for session in sessions:
        family.add_metric([valid_label(session.name)], session.cpu_seconds)
    return family


def _silences(hushes: Iterable[Hush]) -> Metric:
    family = GaugeMetricFamily("sidecar_silences", "What keeps quiet now, by kind.", labels=["kind"])
    kinds = [hush.kind for hush in hushes]
    for kind in QuietKind:
        family.add_metric([kind], kinds.count(kind))
    return family


def _resources(stress: Stress) -> Metric:
    family = GaugeMetricFamily(
        "sidecar_resource_short", "Whether the machine is short of it.", labels=["resource"]
    )
    for resource in Resource:
        family.add_metric([resource], float(bool(stress.why(resource))))
    return family


def _checkpoint_mode(stress: Stress) -> Metric:
    family = GaugeMetricFamily(
        "sidecar_checkpoint_mode", "1 for how much is stored of a session now.", labels=["mode"]
    )
    for mode in CheckpointMode:
        family.add_metric([mode], float(stress.checkpoints is mode))
    return family


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"sidecar_{name}", text, value=value)
