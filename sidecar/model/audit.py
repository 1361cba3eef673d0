"""What is said of the audit trail as a whole: where it ends, whether it is whole, what of it has gone."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which rows of the trail are wanted; what is None wants all."""

    session: str | None = None
    action: str | None = None
    since: float | None = None
    """Wall seconds."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest row of the trail: its id and hash, which stand for everything before it."""

    newest: int
    hash: str

    def __str__(self) -> str:
        return f"{self.newest}:{self.hash}"


@dataclass(frozen=True, slots=True)
class Break:
    """The first row that is not as it was written, and what is wrong with it."""

    row: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Chain:
    """What a check of the whole trail came to."""

    records: int
    first: int
    """Id of the oldest row that is kept; 0 without one."""
    last: Head
    """The newest row."""
    broken: Break | None


@dataclass(frozen=True, slots=True)
class TrailLimits:
    """What retention keeps of the trail."""

    max_age: float
    """Seconds."""
    max_records: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """What was removed of tables that the trail has outlived."""

    count: int = 0
    more: bool = False
    """There is as old still."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What retention has removed of the trail, or why it has not."""

    count: int = 0
    broken: Break | None = None
    """Nothing is removed from a trail that is not whole: it is evidence."""
    more: bool = False
    """There are older rows still than the age allows."""
