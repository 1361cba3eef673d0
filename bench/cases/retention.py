"""What a session that never stops printing comes to in the store, over a day.

No tmux: the captures are made up, and the clock is ours, so that a day takes minutes.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.line import Line, Plan, Sample, Unit
from bench.shapes import LINES, SMALL, text_line
from bench.stage import open_store
from sidecar.edges.store import Store
from sidecar.model.policy import Retention
from sidecar.model.record import Capture
from sidecar.model.session import Operation
from sidecar.serve import run_loop
from tests.clocks import SetClock
from tests.edges.texts import Printer, printed

_INTERVAL = 15.0
_PER_SECOND = 10
_PRUNE_EVERY = 20
"""Checkpoints; as often as the service does it, which is every 5 minutes."""
_DAY = 86_400.0
_MB = 1_000_000


class _Printing:
    """Twelve panes that print; every capture holds the last lines of each, in pieces."""

    def __init__(self) -> None:
        self._panes = [Printer(LINES) for _ in range(SMALL.total)]
        self._printed = 0

    def print(self, lines: int) -> None:
        for pane, printer in enumerate(self._panes):
            # Every pane prints lines of its own, so that no two texts are the same.
            first = pane * 10_000_000 + self._printed
            printer.print([text_line(first + number).encode() for number in range(lines)])
        self._printed += lines

    def capture(self, taken: float) -> Capture:
        return printed(self._panes, taken)


def day(plan: Plan) -> list[Line]:
    """24 hours at one checkpoint every 15 s; ``--rounds`` is the number of checkpoints here."""
    with tempfile.TemporaryDirectory(prefix="sc-") as folder:
        clock = SetClock()
        store = open_store(Path(folder) / "state", clock)
        try:
            count = plan.of(int(_DAY / _INTERVAL))
            most = run_loop(_live(store, clock, count))
            file = store.size_bytes()
        finally:
            store.close()
    name = f"stored after {count * _INTERVAL / 3600:.1f} h of {_PER_SECOND} lines/s in {SMALL.total} panes"
    return [
        Line(name, Unit.BYTES, Sample((most,)), None, "< 100 MB", 100 * _MB, note="the most at any time"),
        Line("the database file with its log after that", Unit.BYTES, Sample((float(file),))),
    ]


async def _live(store: Store, clock: SetClock, checkpoints: int) -> float:
    """The most bytes that the session came to."""
    printing = _Printing()
    printing.print(LINES)
    most = 0
    for number in range(1, checkpoints + 1):
        await clock.sleep(_INTERVAL)
        printing.print(int(_INTERVAL * _PER_SECOND))
        await store.add_checkpoint(printing.capture(clock.wall()), Operation.INTERVAL)
        if number % _PRUNE_EVERY == 0 or number == checkpoints:
            (total,) = await store.totals()
            most = max(most, total.size)
            await store.prune(Retention(), clock.wall())
    return float(most)
