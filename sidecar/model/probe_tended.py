"""Probes of what somebody else looks after: panes, which are tmux's, and units, which are systemd's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sidecar.model.heal import PaneTarget, UnitManager
from sidecar.model.probe import Local, ProbeKind


@dataclass(frozen=True, slots=True)
class PaneProbe(Local):
    """A pane of the tmux server that is looked after: it has to be there and to live."""

    target: PaneTarget
    """``SESSION:WINDOW.PANE``; the window by its index or its name, without a pane the active one."""
    match: str = ""
    """Regular expression that has to be found on its visible screen; a wrapped line is one."""
    no_match: str = ""
    """Regular expression that must not be found there."""
    silent: float | None = None
    """Seconds for which it may print nothing. At least 10 s: the kernel tells of output to within 8 s."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.PANE

    def describe(self) -> str:
        return f"the pane {self.target}"


class UnitState(StrEnum):
    """``ActiveState`` of a unit."""

    ACTIVE = "active"
    RELOADING = "reloading"
    REFRESHING = "refreshing"
    ACTIVATING = "activating"
    DEACTIVATING = "deactivating"
    INACTIVE = "inactive"
    MAINTENANCE = "maintenance"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class UnitProbe(Local):
    """A unit of systemd."""

    unit: str
    """Its name, as systemctl shows it."""
    manager: UnitManager = UnitManager.SYSTEM
    """``system``, or ``user`` for this user's own units."""
    states: tuple[UnitState, ...] = (UnitState.ACTIVE, UnitState.RELOADING, UnitState.REFRESHING)
    """The states that are right; with ``inactive`` among them it need not even be there."""

    @property
    def kind(self) -> ProbeKind:
        return ProbeKind.UNIT

    def describe(self) -> str:
        return f"the {self.manager} unit {self.unit}"
