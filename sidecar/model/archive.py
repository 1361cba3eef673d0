"""Generations as people ask for them: which to list, which go, and what a restore is to do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sidecar.model.incident import Asker
from sidecar.model.plan import Difference
from sidecar.model.session import Checkpoint


@dataclass(frozen=True, slots=True)
class GenerationFilter:
    """Which generations are listed, newest first. None leaves a field open."""

    session: str | None = None
    operation: str | None = None
    until: float | None = None
    """Wall seconds; only those taken then or before."""
    good: bool = False
    """Only those whose checksum holds."""
    before: int | None = None
    """Only ids below this one."""
    limit: int = 50


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """One stored checkpoint as a list shows it."""

    id: int
    session: str
    taken: float
    """Wall seconds."""
    operation: str
    instance: str
    checksum: str
    size: int
    """Bytes of the stored JSON."""
    windows: int
    """0 in quarantine, where nothing of the content is believed."""
    panes: int
    quarantined: str = ""
    """Why it is not used; empty for a good one."""


class PruneReason(StrEnum):
    """Why a generation goes."""

    THINNED = "thinned"
    """Neither among the latest nor the newest of its hour or day."""
    BYTES = "bytes"
    """The session's generations are larger than allowed; the oldest go first."""
    QUARANTINED = "quarantined"
    """Damaged, and older than ``max_age``."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """A generation that retention does not keep."""

    id: int
    session: str
    taken: float
    size: int
    reason: PruneReason


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no checkpoint of this id."""

    number: int


@dataclass(frozen=True, slots=True)
class RestoreRequest:
    """A person asks for one certain checkpoint to be built."""

    number: int
    """The checkpoint's id."""
    window: int | None = None
    """Bring back only the window of this index, into the living session."""
    name: str = ""
    """Build it under this name, beside whatever lives; empty for its own name."""
    replaces: bool = False
    """Put it in the place of the living session, which is checkpointed first."""
    dry_run: bool = False
    asker: Asker = Asker.OPERATOR


@dataclass(frozen=True, slots=True)
class Order:
    """A restore as the pipeline carries it out."""

    checkpoint: Checkpoint
    """What is built; its image has the name that it is to have."""
    window: int | None = None
    replaces: bool = False
    holds: bool = False
    """Command lines are typed and never entered, because the session that they come from lives."""


@dataclass(frozen=True, slots=True)
class Created:
    """The checkpoint that holds the present state; ``fresh`` unless an earlier one already did."""

    checkpoint: Checkpoint
    fresh: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """What differs between a generation and another one, or the living session (``other`` None)."""

    number: int
    other: int | None
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Exported:
    """A generation as a tmuxp workspace, ready to be written as YAML."""

    number: int
    session: str
    taken: float
    """Wall seconds."""
    workspace: Mapping[str, Any]
