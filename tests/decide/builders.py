"""Small sessions for the tests of decisions; every field that does not matter has a value."""

from __future__ import annotations

from dataclasses import replace

from sidecar.model.incident import Exit, Role
from sidecar.model.session import Look, Pane, Presence, Process, ServerId, Session, Window

SERVER = ServerId("boot", 100, 1_000)


def pane(number: int = 1, *, pid: int = 0, program: int = 0, command: str = "", dead: bool = False) -> Pane:
    """A pane ``%number`` of a shell, or of ``command``; ``program`` is a pid in front of the shell."""
    return Pane(
        id=f"%{number}", index=number, pid=pid or 200 + number, tty="/dev/pts/9", title="", cwd="/srv",
        start_command=command, active=number == 1, dead=dead, dead_status=None, width=80, height=24,
        history_lines=0, history_bytes=0, alternate=False, resume="",
        argv=("sleep", "9") if command else ("-bash",),
        program=Process(program, ("top",)) if program else None,
    )  # fmt: skip


def session(*panes: Pane, name: str = "web", identity: str = "$1", armed: bool = True) -> Session:
    window = Window(
        id="@1", index=0, name="main", layout="b25d,80x24,0,0,1", zoomed=False, active=True, last=False,
        automatic_rename=False, activity=5, remain_on_exit="failed", armed=armed,
        panes=panes or (pane(),),
    )  # fmt: skip
    return Session(identity, name, 1_000, 0, "", "/bin/bash", "", (window,))


def look(*sessions: Session, server: ServerId = SERVER) -> Look:
    return Look(Presence.PRESENT, 50.0, server=server, sessions=sessions)


def absent() -> Look:
    return Look(Presence.ABSENT, 50.0, reason="no server running")


def ended(pid: int, code: int | None, role: Role = Role.PANE, *, seen: float = 49.0, oom: int = 0) -> Exit:
    return Exit(role, pid, "web", "%1", code, seen, "zombie", oom)


def without(live: Session, pane_id: str) -> Session:
    """The session after one of its panes has gone."""
    windows = tuple(replace(w, panes=tuple(p for p in w.panes if p.id != pane_id)) for w in live.windows)
    return replace(live, windows=windows)
