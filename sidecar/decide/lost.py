"""Windows and panes of which nothing is left, because what ran in them was killed.

tmux closes a pane with its process, and a window with its last pane. They stay where panes are kept
(``remain-on-exit``); they go where their user has said otherwise, or in the moment before the window
was armed. What still lives anywhere else was moved; what tmux closed on request ended by a hang-up,
or ended after tmux had let go of it; and a window that several sessions show is left alone, since each of
them would start its programs again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sidecar.model.incident import Broken, Exit, Role, Unit
from sidecar.model.session import Look, Pane, Session, Window

FATAL_SIGNALS = frozenset({-4, -5, -6, -7, -8, -9, -11, -24, -25, -31})
"""ILL, TRAP, ABRT, BUS, FPE, KILL, SEGV, XCPU, XFSZ, SYS: nobody ends a program politely with these."""

_CLOSES = "off"
"""The value of ``remain-on-exit`` under which a pane goes with its process."""


@dataclass(frozen=True, slots=True)
class LostPane:
    """A pane that was killed out of a window which stands."""

    pane: Pane
    window: Window
    """As it was when it still had the pane."""
    left: Window
    """As it was when it was first seen without it."""


def lost_windows(
    known: Iterable[Window], look: Look, live: Session, exits: Mapping[int, Exit]
) -> tuple[Window, ...]:
    """Those of the known windows of a living session that were killed and have not been replaced since."""
    # Hardly ever is one killed, and only then what all the others show has to be gone through.
    killed = [window for window in known if window.links <= 1 and _killed(window, exits)]
    if not killed:
        return ()
    windows = {window.id for session in look.sessions for window in session.windows}
    taken = {window.index for window in live.windows}
    panes = {pane.id for session in look.sessions for pane in session.panes()}
    lost = {
        window.id: window
        for window in killed
        if window.id not in windows
        and window.index not in taken
        and not panes & {pane.id for pane in window.panes}
    }
    return tuple(lost.values())


def broken_window(window: Window, exits: Mapping[int, Exit]) -> Broken:
    """The lost window as a part of a failure."""
    first = window.panes[0].pid
    return Broken(Unit.WINDOW, pid=first, code=exits[first].code, window=window.index)


def lost_panes(
    known: Sequence[LostPane],
    before: Session,
    look: Look,
    live: Session,
    exits: Mapping[int, Exit],
) -> tuple[LostPane, ...]:
    """Panes that were killed out of the windows of a living session; of the ``known`` ones, those that
    nothing has taken the place of. ``before`` is the session at the look before this one.

    What is not known to have ended badly when it is first missed was closed: however it ends later.
    """
    killed = [
        (pane, window)
        for window in before.windows
        for pane in window.panes
        if not pane.dead and _badly(exits.get(pane.pid))
    ]
    # As with windows: hardly ever is there one.
    if not killed and not known:
        return ()
    shown = {pane.id for session in look.sessions for pane in session.panes()}
    now = {window.id: window for window in live.windows}
    still = [one for one in known if one.pane.pid in exits and _empty(one, now.get(one.window.id), shown)]
    for pane, window in killed:
        left = now.get(window.id)
        if pane.id not in shown and left is not None and left.links <= 1 and not _kept(window, left):
            still.append(LostPane(pane, window, left))
    return tuple(still)


def broken_pane(lost: LostPane, exits: Mapping[int, Exit]) -> Broken:
    """The lost pane as a part of a failure."""
    pane = lost.pane
    return Broken(Unit.PANE, pane.id, pane.pid, exits[pane.pid].code, window=lost.left.index, gone=True)


def _kept(window: Window, left: Window) -> bool:
    """Whether the pane would be there, dead, had not somebody closed it."""
    return window.remain_on_exit != _CLOSES and left.remain_on_exit != _CLOSES


def _empty(lost: LostPane, now: Window | None, shown: set[str]) -> bool:
    """Whether it is missing still, and nothing was put into its window since."""
    if now is None or now.links > 1 or lost.pane.id in shown:
        return False
    return {pane.id for pane in now.panes} <= {pane.id for pane in lost.left.panes}


def _badly(end: Exit | None) -> bool:
    return end is not None and end.role is Role.PANE and end.code in FATAL_SIGNALS


def _killed(window: Window, exits: Mapping[int, Exit]) -> bool:
    """All of it: where one process ended by itself or was hung up, somebody may have closed the rest."""
    ends = [exits.get(pane.pid) for pane in window.panes]
    return bool(ends) and all(map(_badly, ends))
