"""Windows of which nothing is left, because all that ran in them was killed.

tmux closes a window with its last process. It stays where panes are kept (``remain-on-exit``); it goes
where its user has said otherwise, or in the moment before it was armed. What still lives anywhere else
was moved; what tmux closed on request ended by a hang-up; and a window that several sessions show is
left alone, since each of them would start its programs again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sidecar.model.incident import Broken, Exit, Role, Unit
from sidecar.model.session import Look, Session, Window

FATAL_SIGNALS = frozenset({-4, -5, -6, -7, -8, -9, -11, -24, -25, -31})
"""ILL, TRAP, ABRT, BUS, FPE, KILL, SEGV, XCPU, XFSZ, SYS: nobody ends a program politely with these."""


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


def _killed(window: Window, exits: Mapping[int, Exit]) -> bool:
    """All of it: where one process ended by itself or was hung up, somebody may have closed the rest."""
    ends = [exits.get(pane.pid) for pane in window.panes]
    return bool(ends) and all(
        end is not None and end.role is Role.PANE and end.code in FATAL_SIGNALS for end in ends
    )
