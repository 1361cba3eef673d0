"""What is shown of programs under supervision; their rules come from the file, so their number is bounded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from sidecar.edges.metrics_circuits import valid_label
from sidecar.model.status import SessionStatus
from sidecar.model.supervise import ProgramState


def program_families(every: Iterable[SessionStatus], shown: Sequence[SessionStatus]) -> Iterator[Metric]:
    """``shown`` are those that have series of their own."""
    states = [program.state for session in every for program in session.programs]
    family = GaugeMetricFamily("sidecar_programs", "Programs under supervision.", labels=["state"])
    for state in ProgramState:
        family.add_metric([state], states.count(state))
    yield family
    restarts = CounterMetricFamily(
        "sidecar_program_restarts", "Restarts of programs by their rules.", labels=["session", "rule"]
    )
    for session in shown:
        for rule, count in session.restarted.items():
            restarts.add_metric([valid_label(session.name), rule], count)
    yield restarts
