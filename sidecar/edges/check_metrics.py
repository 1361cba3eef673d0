"""What is counted of health checks. They come from the configuration, so their number is bounded."""

from __future__ import annotations

from collections.abc import Collection

from prometheus_client import CollectorRegistry, Counter, Gauge

from sidecar.model.plan import Outcome


class CheckMetrics:
    """Implements :class:`sidecar.flow.ports.CheckMeter`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._status = Gauge(
            "sidecar_health_check_status", "Whether it passes: 1 or 0.", ("check",), registry=registry
        )
        self._duration = Gauge(
            "sidecar_health_check_duration_seconds", "Time of the last try.", ("check",), registry=registry
        )
        self._failures = Counter(
            "sidecar_health_check_failures", "Tries that were not good.", ("check",), registry=registry
        )
        self._heals = Counter("sidecar_heals", "Heals ended.", ("check", "outcome"), registry=registry)
        self._known: set[str] = set()

    def probing(self, asked: Collection[tuple[str, str]]) -> None:
        known = {check for check, _ in asked}
        for check in self._known - known:
            for series in (self._status, self._duration, self._failures):
                series.remove(check)
            for outcome in Outcome:
                self._heals.remove(check, outcome)
        for check in known - self._known:
            for labelled in (self._duration, self._failures):
                labelled.labels(check)
            # What was not asked yet is taken to be well.
            self._status.labels(check).set(1)
            for outcome in Outcome:
                self._heals.labels(check, outcome)
        self._known = known

    def probed(self, rule: str, probe: str, fault: str, seconds: float, loss: float) -> None:
        if rule in self._known:
            self._duration.labels(rule).set(seconds)
            if fault:
                self._failures.labels(rule).inc()

    def stands(self, check: str, *, passing: bool) -> None:
        if check in self._known:
            self._status.labels(check).set(passing)

    def healed(self, check: str, outcome: Outcome) -> None:
        if check in self._known:
            self._heals.labels(check, outcome).inc()
