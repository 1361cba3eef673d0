"""What is broken: the expected sessions against one look, and the ends of watched processes.

Iterates over what is *expected*, so that a session which has vanished is noticed. Works from
evidence about each session: a server that does not answer breaks nothing by itself. Why a part
broke, and whether a person meant it, is for ``diagnose``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from sidecar.decide.lost import (
    FATAL_SIGNALS,
    LostPane,
    broken_pane,
    broken_window,
    lost_panes,
    lost_windows,
)
from sidecar.model.incident import Broken, Exit, Failure, FailureKind, Role, Unit
from sidecar.model.session import (
    Look,
    Pane,
    Presence,
    ServerId,
    Session,
    Window,
)

NOT_RUNNING = 0
"""The pid of a program that is wanted in a pane and does not run there."""

SETTLED = 1.0
"""Seconds after which another program in front of a shell is what is wanted there now; one that
comes sooner may only be part of the prompt."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A session that has to be there, with what is remembered of it."""

    name: str
    server: ServerId | None = None
    """The life in which it was last seen; None when only an earlier run of ours saw it."""
    session: Session | None = None
    """As last seen in good order; None when only an earlier run of ours saw it."""
    instance: str = ""
    """``boot/pid/started/$id`` as remembered across restarts."""
    declared: bool = False
    lost: tuple[Window, ...] = ()
    """Windows of it that were killed, and that nothing has taken the place of since."""
    gone: tuple[LostPane, ...] = ()
    """The same of panes, whose windows stand; those that were missed first come first."""


@dataclass(frozen=True, slots=True)
class Detection:
    """All that one look tells about the expected sessions."""

    failures: tuple[Failure, ...] = ()
    renamed: tuple[tuple[str, Session], ...] = ()
    """(old name, the same session under its new name)."""
    replaced: tuple[Session, ...] = ()
    """Sessions that somebody has made anew under an expected name."""


def instance_of(server: ServerId, session: Session) -> str:
    """The name of one life of one session."""
    return f"{server}/{session.id}"


def server_of(instance: str) -> int:
    """The pid of the server in this name of a session's life; 0 if the session was never seen."""
    return int(instance.split("/")[1]) if instance else 0


def detect(
    expected: Mapping[str, Expected],
    look: Look,
    exits: Mapping[int, Exit],
    *,
    server_alive: bool,
    now: float,
    cut_off: Collection[int] = (),
    apart: Collection[str] = (),
) -> Detection:
    """Compare. ``exits`` holds ends not yet accounted for, by pid; ``now`` is monotonic seconds.

    ``server_alive`` says that the server's process lives although its socket may not answer;
    ``cut_off`` are servers that live while another one answers in their place, and ``apart`` panes whose
    programs have rules of their own.
    """
    if look.presence is Presence.UNKNOWN or (look.presence is Presence.ABSENT and server_alive):
        return Detection()
    failures: list[Failure] = []
    renamed: list[tuple[str, Session]] = []
    replaced: list[Session] = []
    for entry in expected.values():
        live = look.find(entry.name) if look.presence is Presence.PRESENT else None
        if live is None:
            moved = _renamed(entry, look)
            if server_of(entry.instance) in cut_off:
                continue
            if moved is None:
                failures.append(_session_gone(entry, exits, now))
            else:
                renamed.append((entry.name, moved))
        elif _is_another(entry, look, live):
            replaced.append(live)
        else:
            failure = _parts_broken(entry, live, look, exits, now, apart)
            if failure is not None:
                failures.append(failure)
    return Detection(tuple(failures), tuple(renamed), tuple(replaced))


def killed_windows(
    entry: Expected, live: Session, look: Look, exits: Mapping[int, Exit]
) -> tuple[Window, ...]:
    """Windows of an adopted session that were killed; the shape of a declared one is another's matter."""
    if entry.session is None or entry.declared:
        return ()
    # Of a window that went pane by pane, what it was before the first one counts.
    earlier = (one.window for one in reversed(entry.gone))
    return lost_windows((*entry.lost, *entry.session.windows, *earlier), look, live, exits)


def killed_panes(
    entry: Expected, live: Session, look: Look, exits: Mapping[int, Exit]
) -> tuple[LostPane, ...]:
    """Panes of an adopted session that were killed and not kept, out of windows that stand."""
    if entry.session is None or entry.declared:
        return ()
    return lost_panes(entry.gone, entry.session, look, live, exits)


def killed_programs(
    previous: Session | None, live: Session, exits: Mapping[int, Exit], now: float
) -> tuple[Broken, ...]:
    """Programs that were killed in front of their shells and have to be remembered until that is settled.

    Some of them are not failures yet: the rest of their pipeline may go on for a while, or the prompt
    may run something. Another program that stays settles it: somebody has started that instead.
    """
    before = {pane.id: pane for pane in previous.panes()} if previous else {}
    parts = {pane.id: _killed_program(pane, before.get(pane.id), exits, now) for pane in live.panes()}
    return tuple(part for part in parts.values() if part is not None)


def _renamed(entry: Expected, look: Look) -> Session | None:
    if entry.session is None or entry.server is None or entry.server != look.server:
        return None
    return look.by_id(entry.session.id)


def _is_another(entry: Expected, look: Look, live: Session) -> bool:
    assert look.server is not None
    return bool(entry.instance) and entry.instance != instance_of(look.server, live)


def _session_gone(entry: Expected, exits: Mapping[int, Exit], now: float) -> Failure:
    pids = {pane.pid for pane in entry.session.panes()} if entry.session else set()
    if entry.server is not None:
        pids.add(entry.server.pid)
    first = min((exits[pid].seen for pid in pids if pid in exits), default=now)
    return Failure(entry.name, FailureKind.CRASHED, (Broken(Unit.SESSION),), first)


def _parts_broken(
    entry: Expected,
    live: Session,
    look: Look,
    exits: Mapping[int, Exit],
    now: float,
    apart: Collection[str],
) -> Failure | None:
    shown = {pane.id: pane.program for pane in live.panes()}
    killed = killed_programs(entry.session, live, exits, now)
    broken = {part.pane: part for part in killed if shown[part.pane] is None}
    before = {pane.id: pane for pane in entry.session.panes()} if entry.session else {}
    for window in live.windows:
        for pane in window.panes:
            if pane.dead and (window.armed or _was_alive(pane, before.get(pane.id), exits)):
                broken[pane.id] = _dead_pane(pane, exits)
    for pane_id in apart:
        broken.pop(pane_id, None)
    windows = [broken_window(window, exits) for window in killed_windows(entry, live, look, exits)]
    gone = [broken_pane(one, exits) for one in killed_panes(entry, live, look, exits)]
    if not broken and not windows and not gone:
        return None
    parts = (*windows, *gone, *(broken[pane] for pane in shown if pane in broken))
    seen = [exits[part.pid].seen for part in parts if part.pid in exits]
    return Failure(entry.name, FailureKind.CRASHED, parts, min(seen, default=now))


def _was_alive(pane: Pane, before: Pane | None, exits: Mapping[int, Exit]) -> bool:
    """A pane that its user keeps dead, and that nobody saw alive, is no failure of today."""
    return pane.pid in exits or (before is not None and not before.dead)


def _dead_pane(pane: Pane, exits: Mapping[int, Exit]) -> Broken:
    known = exits.get(pane.pid)
    code = known.code if known is not None and known.code is not None else pane.dead_status
    return Broken(Unit.PANE, pane.id, pane.pid, code)


def _killed_program(pane: Pane, before: Pane | None, exits: Mapping[int, Exit], now: float) -> Broken | None:
    """A program whose shell lives on. Only a bad end counts: a person may end a program as they like."""
    if pane.dead or before is None or before.program is None or before.pid != pane.pid:
        return None
    ended = exits.get(before.program.pid)
    if ended is None or ended.role is not Role.PROGRAM or ended.code not in FATAL_SIGNALS:
        return None
    another = pane.program is not None and pane.program.pid != before.program.pid
    if another and now - ended.seen >= SETTLED:
        return None
    return Broken(Unit.PROGRAM, pane.id, before.program.pid, ended.code)
