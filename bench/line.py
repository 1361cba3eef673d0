"""What a case comes to: lines of a figure, its baseline, its target, and whether it was reached."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Unit(StrEnum):
    """What a figure counts; the factor to the unit people read is in ``report``."""

    SECONDS = "s"
    BYTES = "B"
    CORE = "core"
    """Share of one core, 1.0 being all of it."""


@dataclass(frozen=True, slots=True)
class Sample:
    """Repeated measurements of one thing."""

    values: tuple[float, ...]

    def __post_init__(self) -> None:
        if not self.values:
            raise ValueError("a sample needs a value")

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    @property
    def low(self) -> float:
        return min(self.values)

    @property
    def high(self) -> float:
        return max(self.values)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table.

    Reached when the figure's median is at most ``limit`` (same unit). A line without a limit is
    for information and counts neither way.
    """

    name: str
    unit: Unit
    figure: Sample
    baseline: Sample | None = None
    target: str = ""
    """The limit in words."""
    limit: float | None = None
    goal: float | None = None
    """A further, absolute aim: reported, but the machine has a say in it, so it does not count."""
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.figure.median / self.baseline.median if self.baseline else None

    @property
    def reached(self) -> bool | None:
        return None if self.limit is None else self.figure.median <= self.limit


def against(
    name: str, figure: Sample, baseline: Sample, times: float, *, goal: float | None = None, note: str = ""
) -> Line:
    """A line in seconds that may take so many times its baseline."""
    target = f"<= {times:g} x"
    return Line(name, Unit.SECONDS, figure, baseline, target, times * baseline.median, goal, note)


@dataclass(frozen=True, slots=True)
class Plan:
    """How thoroughly to measure."""

    rounds: int | None = None
    """Rounds of every case; None leaves each case its own."""

    def of(self, usual: int) -> int:
        return self.rounds or usual


@dataclass(frozen=True, slots=True)
class Case:
    """A named piece of work that gives lines."""

    name: str
    about: str
    run: Callable[[Plan], Sequence[Line]]
