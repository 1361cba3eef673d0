"""What is counted of probes and heartbeats. Rules come from the configuration, so their number is bounded."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from sidecar.model.probe import ASKED_OF_PROGRAMS, FAULTS

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class ProbeMetrics:
    """Implements :class:`sidecar.flow.ports.ProbeMeter`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("rule", "probe")
        self._success = Gauge(
            "sidecar_probe_success", "Whether the last try was good.", labels, registry=registry
        )
        self._loss = Gauge(
            "sidecar_probe_loss_ratio", "Share of the last tries that were lost.", labels, registry=registry
        )
        self._duration = Histogram(
            "sidecar_probe_duration_seconds",
            "Time of one try.",
            ("probe",),
            buckets=_BUCKETS,
            registry=registry,
        )
        self._faults = Counter(
            "sidecar_probe_faults", "Tries that were not good.", ("probe", "fault"), registry=registry
        )
        self._missed = Gauge(
            "sidecar_heartbeats_missed", "Programs that miss their heartbeat.", ("rule",), registry=registry
        )
        self._asked: set[tuple[str, str]] = set()
        self._rules: set[str] = set()
        for kind in ASKED_OF_PROGRAMS:
            self._duration.labels(kind)
            for fault in FAULTS[kind]:
                self._faults.labels(kind, fault)

    def probing(self, asked: Collection[tuple[str, str]]) -> None:
        for gone in self._asked - set(asked):
            for gauge in (self._success, self._loss):
                # Whoever was not asked yet has no series.
                if gone in gauge._metrics:
                    gauge.remove(*gone)
        self._asked = set(asked)

    def probed(self, rule: str, probe: str, fault: str, seconds: float, loss: float) -> None:
        self._success.labels(rule, probe).set(not fault)
        self._loss.labels(rule, probe).set(loss)
        self._duration.labels(probe).observe(seconds)
        if fault:
            self._faults.labels(probe, fault).inc()

    def heartbeats(self, missed: Mapping[str, int]) -> None:
        for gone in self._rules - missed.keys():
            self._missed.remove(gone)
        for rule, count in missed.items():
            self._missed.labels(rule).set(count)
        self._rules = set(missed)
