"""Which pane a target names in a session. Pure."""

from __future__ import annotations

from sidecar.model.heal import PaneTarget
from sidecar.model.session import Pane, Session


def pane_of(session: Session, target: PaneTarget) -> Pane | None:
    """The pane, by the index of its window before the name; without an index of its own the active one."""
    windows = [each for each in session.windows if str(each.index) == target.window]
    windows += [each for each in session.windows if each.name == target.window]
    for pane in windows[0].panes if windows else ():
        if pane.index == target.pane or (target.pane is None and pane.active):
            return pane
    return None
