"""All that bears on a decision, gathered by the corridor and weighed by ``choose``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.decide.lost import LostPane
from sidecar.decide.supervise import Member, Ruling
from sidecar.model.archive import Order
from sidecar.model.check import Check
from sidecar.model.incident import Asker, Finding, IncidentState
from sidecar.model.ladder import Footing, Ladder
from sidecar.model.plan import Resort, Strategy
from sidecar.model.policy import BreakerPolicy, BreakerState, Budget, Mode, Restore
from sidecar.model.quiet import Hush
from sidecar.model.session import Checkpoint, Look, Session
from sidecar.model.supervise import ProgramRule
from sidecar.model.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Limits:
    """What protects against loops, as configured."""

    per_session: Budget
    overall: Budget
    slow_retry: float
    circuit: BreakerPolicy
    stable: float = 600.0
    """Seconds after which a session begins at the bottom of the ladder again."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that bears on the decision. Times are wall seconds."""

    finding: Finding
    asker: Asker
    managed: bool
    released: bool
    restore: Restore
    mode: Mode
    ladder: Ladder
    limits: Limits
    now: float
    look: Look
    session: Session | None = None
    """The live session with what its broken parts were; None when it is gone."""
    gone: tuple[LostPane, ...] = ()
    """Panes of it that were killed out of windows which stand."""
    checkpoint: Checkpoint | None = None
    older: Checkpoint | None = None
    """The good one before that; looked for only once something was tried in vain."""
    workspace: Workspace | None = None
    """The session as a workspace file declares it, if one does."""
    order: Order | None = None
    """Set when a person has asked for one certain checkpoint."""
    asked_strategy: Strategy | None = None
    recent: Sequence[float] = ()
    """When this session's recoveries began, as far back as the budget and the slow pace reach."""
    origins: Mapping[str, float] = field(default_factory=dict)
    """Incident origins of the last budget period, with their first recovery."""
    circuits: Mapping[str, BreakerState] = field(default_factory=dict)
    incident: IncidentState = IncidentState.OPEN
    relapsed: bool = False
    """It was given up lately, and what brought it back since was only the slow pace."""
    footing: Footing | None = None
    """Where the session stands on the ladder of this failure."""
    alert: str = ""
    """The fingerprint of the alert that asks."""
    tried: tuple[Resort, ...] = ()
    """What was tried in vain for this very incident."""
    check: Check | None = None
    """The check that the finding is about, as it is configured now."""
    vain: int = 0
    """Heals of it in a row that have not helped."""
    waits_for: frozenset[str] = frozenset()
    """Addresses that the session needs and that are down."""
    missing: tuple[str, ...] = ()
    """Folders of the checkpoint and of the workspace that do not exist."""
    folders: tuple[tuple[str, str], ...] = ()
    """Folders of the workspace, each with the one that it really is."""
    maintenance: Hush | None = None
    """What says that a person works on it, and that nothing is to be done by itself."""
    programs: Mapping[str, ProgramRule] = field(default_factory=dict)
    """By pane id, the rules of the session's panes that are under supervision."""
    member: Member | None = None
    """The program that is to be restarted, where the finding is about one."""
    ruling: Ruling | None = None
    """What its rule says of that now."""
    standing: tuple[tuple[str, int], ...] = ()
    """(pane id, pid) of what lives in a server that is broken as a whole, and has to outlive its recovery."""
