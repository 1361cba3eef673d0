"""What is counted of health checks. They come from the configuration, so their number is bounded.

There may be hundreds, and a series object of the client library takes more than a kilobyte: here a count
is a number in a table, and becomes a series when somebody asks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from sidecar.model.plan import Outcome


class CheckMetrics(Collector):
    """Implements :class:`sidecar.flow.ports.CheckMeter`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._passing: dict[str, bool] = {}
        """Whether each passes. What was not asked yet is taken to be well."""
        self._took: dict[str, float] = {}
        self._failures: Counter[str] = Counter()
        self._heals: Counter[tuple[str, Outcome]] = Counter()
        registry.register(self)

    def probing(self, asked: Collection[tuple[str, str]]) -> None:
        known = dict.fromkeys(check for check, _ in asked)
        self._passing = {check: self._passing.get(check, True) for check in known}
        self._took = {check: self._took.get(check, 0.0) for check in known}
        self._failures = Counter({check: self._failures[check] for check in known})
        self._heals = Counter({key: count for key, count in self._heals.items() if key[0] in known})

    def probed(self, rule: str, probe: str, fault: str, seconds: float, loss: float) -> None:
        if rule in self._passing:
            self._took[rule] = seconds
            self._failures[rule] += bool(fault)

    def stands(self, check: str, *, passing: bool) -> None:
        if check in self._passing:
            self._passing[check] = passing

    def healed(self, check: str, outcome: Outcome) -> None:
        if check in self._passing:
            self._heals[check, outcome] += 1

    def collect(self) -> Iterator[Metric]:
        """All series, as they are now."""
        label = ("check",)
        status = GaugeMetricFamily("sidecar_health_check_status", "Whether it passes: 1 or 0.", labels=label)
        took = GaugeMetricFamily(
            "sidecar_health_check_duration_seconds", "Time of the last try.", labels=label
        )
        failures = CounterMetricFamily(
            "sidecar_health_check_failures", "Tries that were not good.", labels=label
        )
        heals = CounterMetricFamily("sidecar_heals", "Heals ended.", labels=("check", "outcome"))
        # It is rendered in a thread, beside whoever counts.
        for check, passing in list(self._passing.items()):
            status.add_metric((check,), passing)
            took.add_metric((check,), self._took.get(check, 0.0))
            failures.add_metric((check,), self._failures[check])
            for outcome in Outcome:
                heals.add_metric((check, outcome), self._heals[check, outcome])
        yield from (status, took, failures, heals)
