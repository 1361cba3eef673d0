"""What is said about one session on request: whether it is looked after, and what would be done."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidecar.model.check import CheckState
from sidecar.model.incident import Finding
from sidecar.model.plan import Refusal
from sidecar.model.quiet import Hush
from sidecar.model.record import IncidentRow, Standing
from sidecar.model.session import Checkpoint, Health
from sidecar.model.status import DryRun


@dataclass(frozen=True, slots=True)
class Care:
    """Where a session stands after it was released or adopted."""

    session: str
    standing: Standing
    live: bool
    changed: bool
    """False when it stood so already."""


class Duty(StrEnum):
    """What we owe a session."""

    EXPECTED = "expected"
    """It has to be there."""
    NOT_EXPECTED = "not_expected"
    """Known from its checkpoints only: it was closed, and comes back on request."""
    RELEASED = "released"
    """A person took it out of our hands."""
    NOT_MANAGED = "not_managed"
    """The configuration, or its own option, keeps us off."""


@dataclass(frozen=True, slots=True)
class Subject:
    """The session, or the check, that an explanation is about."""

    name: str
    health: Health | CheckState
    duty: Duty
    live: bool
    checkpoint: Checkpoint | None
    """The newest good one."""
    quiet: Hush | None = None
    """What keeps people from being told of it now."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A diagnosis, and what would be done; nothing of it is."""

    subject: Subject
    finding: Finding | None
    """None when it is in good order."""
    by_itself: DryRun | Refusal
    """What the watch would do, or why it does nothing."""
    on_request: DryRun | Refusal
    """What `sidecar recover` would do."""
    incident: IncidentRow | None = None
    """The one that is open, with what was found out when it was opened and since."""
