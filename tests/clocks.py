"""Clocks that tests and benchmarks move by hand."""

from __future__ import annotations


class SetClock:
    """Stands until it is moved; whoever sleeps moves it."""

    def __init__(self) -> None:
        self.now = 1_000_000_000.0

    def monotonic(self) -> float:
        return self.now

    def boottime(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
