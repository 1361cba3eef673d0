"""The series of the circuits: all strategies and dependencies, and of single sessions those that are shown.

A circuit of one session is there only for as long as something is known of it, so that its series stay
bounded however many sessions come and go.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from itertools import product

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from sidecar.model.circuits import session_of
from sidecar.model.plan import Strategy
from sidecar.model.policy import BreakerState, Circuit

_OUTCOMES = ("success", "failure", "cancelled")


class CircuitCounts:
    """Counts by circuit. Counted on the event loop and read in a thread, which never iterates over them."""

    def __init__(self) -> None:
        self._calls: dict[tuple[str, str], int] = {}
        self._moves: dict[tuple[str, str], int] = {}

    def called(self, circuit: str, outcome: str) -> None:
        self._calls[circuit, outcome] = self._calls.get((circuit, outcome), 0) + 1

    def moved(self, circuit: str, to: str) -> None:
        self._moves[circuit, to] = self._moves.get((circuit, to), 0) + 1

    def forget(self, session: str) -> None:
        """The session is neither live nor expected."""
        for counts in (self._calls, self._moves):
            for key in [key for key in counts if session_of(key[0]) == session]:
                del counts[key]

    def families(self, states: Mapping[str, BreakerState], sessions: Collection[str]) -> Iterator[Metric]:
        """Everything about the circuits, of single sessions only about these."""
        others = (name for name in states if (about := session_of(name)) is None or about in sessions)
        names = tuple(dict.fromkeys([*(strategy.value for strategy in Strategy), *others]))
        gauge = GaugeMetricFamily(
            "sidecar_circuit_state", "1 for the state the circuit is in.", labels=["circuit", "state"]
        )
        for name, circuit in product(names, Circuit):
            state = states.get(name, BreakerState())
            gauge.add_metric([valid_label(name), circuit], float(state.circuit is circuit))
        yield gauge
        yield _counter("calls", "Calls through a circuit.", "outcome", names, _OUTCOMES, self._calls)
        yield _counter("transitions", "Changes of a circuit's state.", "to", names, Circuit, self._moves)


def _counter(
    name: str,
    text: str,
    label: str,
    circuits: Iterable[str],
    words: Iterable[str],
    counts: Mapping[tuple[str, str], int],
) -> Metric:
    family = CounterMetricFamily(f"sidecar_circuit_{name}", text, labels=["circuit", label])
    for circuit, word in product(circuits, tuple(words)):
        family.add_metric([valid_label(circuit), word], counts.get((circuit, word), 0))
    return family


def valid_label(text: str) -> str:
    """Valid UTF-8, whatever bytes a session name has."""
    return text.encode("utf-8", "backslashreplace").decode()
