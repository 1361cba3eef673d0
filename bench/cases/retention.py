"""What a session that never stops printing comes to in the store, over a day.

No tmux: the captures are made up, and the clock is ours, so that a day takes minutes.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections import deque
from pathlib import Path

from bench.line import Line, Plan, Sample, Unit
from bench.shapes import LINES, SMALL, text_line
from bench.stage import open_store
from sidecar.app import run_loop
from sidecar.edges.store import Store
from sidecar.model.policy import Retention
from sidecar.model.record import Capture
from sidecar.model.session import Operation, SavedPane, SavedWindow, SessionImage

_INTERVAL = 15.0
_PER_SECOND = 10
_PRUNE_EVERY = 20
"""Checkpoints; as often as the service does it, which is every 5 minutes."""
_DAY = 86_400.0
_MB = 1_000_000


class _SetClock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds


class _Printing:
    """Twelve panes that print; every capture holds the last lines of each."""

    def __init__(self) -> None:
        self._texts = [deque[bytes](maxlen=LINES) for _ in range(SMALL.total)]
        self._printed = 0

    def print(self, lines: int) -> None:
        for pane, text in enumerate(self._texts):
            # Every pane prints lines of its own, so that no two texts are the same.
            first = pane * 10_000_000 + self._printed
            text.extend(text_line(first + number).encode() for number in range(lines))
        self._printed += lines

    def capture(self, taken: float) -> Capture:
        texts = [b"".join(text) for text in self._texts]
        digests = [hashlib.sha256(text).hexdigest() for text in texts]
        windows = tuple(
            _window(number, digests[number * SMALL.panes : (number + 1) * SMALL.panes])
            for number in range(SMALL.windows)
        )
        image = SessionImage("web", 200, 50, "/bin/bash", "", (), windows)
        return Capture(image, "boot/1/1/$1", taken, dict(zip(digests, texts, strict=True)))


def day(plan: Plan) -> list[Line]:
    """24 hours at one checkpoint every 15 s; ``--rounds`` is the number of checkpoints here."""
    with tempfile.TemporaryDirectory(prefix="sc-") as folder:
        clock = _SetClock()
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


async def _live(store: Store, clock: _SetClock, checkpoints: int) -> float:
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


def _window(index: int, digests: list[str]) -> SavedWindow:
    panes = tuple(
        SavedPane(
            number, f"pane {number}", "/srv", "", ("/bin/bash", "-l"), ("app",), number == 0, "", digest
        )
        for number, digest in enumerate(digests)
    )
    return SavedWindow(index, f"w{index}", "b25d,200x50,0,0,1", False, index == 0, False, True, panes)
