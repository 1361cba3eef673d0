"""The truth is one enumeration: every pane of every session, in one answer of one client.

One format loops over sessions, windows and panes, so that tmux works out each field once. A
record is a head of blank-separated words that ends in ``;``, and then its texts, run together:
the head tells their lengths in bytes, so no title or folder can pass for anything else.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.edges.tmux.text import unvis
from sidecar.model.session import Look, Pane, Presence, ServerId, Session, Window


@dataclass(frozen=True, slots=True)
class _Record:
    """One kind of record: its mark, the fields that are plain words, and those that are any text."""

    mark: str
    words: tuple[str, ...]
    texts: tuple[str, ...]

    @property
    def format(self) -> str:
        words = "".join(f" #{{{name}}}" for name in self.words)
        lengths = "".join(f" #{{n:{name}}}" for name in self.texts)
        return f"{self.mark}{words}{lengths};" + "".join(f"#{{{name}}}" for name in self.texts)


_SERVER = _Record("V", ("pid", "start_time"), ("version", "config_files"))
_SESSION = _Record(
    "S",
    ("session_id", "session_created", "session_attached"),
    ("session_name", "@sidecar", "default-shell", "default-command", "session_group"),
)
_WINDOW = _Record(
    "W",
    (
        "window_id", "window_index", "window_zoomed_flag", "window_active", "window_last_flag",
        "automatic-rename", "window_activity", "remain-on-exit", "window_linked_sessions", "@sidecar_armed",
    ),
    ("window_name", "window_layout"),
)  # fmt: skip
_PANE = _Record(
    "P",
    (
        "pane_id", "pane_index", "pane_pid", "pane_tty", "pane_active", "pane_dead", "pane_dead_status",
        "pane_dead_signal", "pane_width", "pane_height", "history_size", "history_bytes", "alternate_on",
        "pane_last", "@sidecar_kept",
    ),
    ("pane_title", "pane_start_command", "@sidecar_start", "@sidecar_resume", "@sidecar_conversation"),
)  # fmt: skip

LOOK_FORMAT = f"{_SERVER.format}#{{S:{_SESSION.format}#{{W:{_WINDOW.format}#{{P:{_PANE.format}}}}}}}"
"""Everything, once; a window that is linked into several sessions appears in each."""

LOOK_FIELDS: tuple[str, ...] = tuple(
    name for record in (_SERVER, _SESSION, _WINDOW, _PANE) for name in (*record.words, *record.texts)
)
"""What :data:`LOOK_FORMAT` asks tmux for."""

LOOK_COMMAND: tuple[str, ...] = ("display-message", "-p", LOOK_FORMAT)
"""Prints :data:`LOOK_FORMAT` and a newline."""


def parse_look(raw: bytes, taken: float, boot_id: str) -> Look:
    """One enumeration as a :class:`Look`; UNKNOWN, with the reason, when it cannot be read."""
    try:
        if not raw.endswith(b"\n"):
            raise ValueError("it is cut off")
        return _look(_Reader(raw[:-1]), taken, boot_id)
    except ValueError as error:
        return Look(
            Presence.UNKNOWN, taken, reason=f"tmux's answer of {len(raw)} bytes cannot be read: {error}"
        )


class _Reader:
    """Takes records off the front of an answer. Every method raises ValueError on a broken one."""

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._at = 0
        self._texts: dict[str, str] = {}
        """Each once: most panes share their title, folder and command with others."""

    def take(self, record: _Record) -> list[str] | None:
        """The next record's words and texts, if it is of this kind."""
        raw, start = self._raw, self._at
        if raw[start : start + 1].decode("latin-1") != record.mark:
            return None
        stop = raw.index(b";", start)
        head = raw[start:stop].decode("ascii").split(" ")
        split = len(record.words) + 1
        if len(head) != split + len(record.texts):
            raise ValueError(f"a {record.mark} record has {len(head)} words")
        fields = head[1:split]
        at = stop + 1
        for length in head[split:]:
            end = at + int(length)
            text = raw[at:end].decode("utf-8", "surrogateescape") if end > at else ""
            fields.append(self._texts.setdefault(text, text))
            at = end
        if at > len(raw):
            raise ValueError("it is cut off")
        self._at = at
        return fields

    def done(self) -> bool:
        return self._at == len(self._raw)


def _look(reader: _Reader, taken: float, boot_id: str) -> Look:
    server = reader.take(_SERVER)
    if server is None:
        raise ValueError("it does not begin with the server")
    pid, started, version, config_files = server
    sessions: list[Session] = []
    while fields := reader.take(_SESSION):
        sessions.append(_session(fields, reader))
    if not reader.done():
        raise ValueError("there is more than was asked for")
    return Look(
        presence=Presence.PRESENT,
        taken=taken,
        server=ServerId(boot_id, int(pid), int(started)),
        version=version,
        config_files=config_files,
        sessions=tuple(sessions),
    )


def _session(fields: list[str], reader: _Reader) -> Session:
    session_id, created, attached, name, opted, default_shell, default_command, group = fields
    windows: list[Window] = []
    while below := reader.take(_WINDOW):
        windows.append(_window(below, reader))
    return Session(
        id=session_id,
        name=unvis(name),
        created=int(created),
        attached=int(attached),
        opted=opted,
        default_shell=default_shell,
        default_command=default_command,
        windows=tuple(windows),
        group=unvis(group),
    )


def _window(fields: list[str], reader: _Reader) -> Window:
    window_id, index, zoomed, active, last, rename, activity, remain, links, armed, name, layout = fields
    panes: list[Pane] = []
    while below := reader.take(_PANE):
        panes.append(_pane(below))
    return Window(
        id=window_id,
        index=int(index),
        # Not as with sessions: `new-window -n` takes names as they are, and that is how they come back.
        name=name,
        layout=layout,
        zoomed=zoomed == "1",
        active=active == "1",
        last=last == "1",
        automatic_rename=rename == "1",
        activity=int(activity),
        # In a window's turn tmux tells what holds for its active pane.
        remain_on_exit="failed" if any(pane.active and pane.kept for pane in panes) else remain,
        armed=armed == "1",
        panes=tuple(panes),
        links=int(links),
    )


def _pane(fields: list[str]) -> Pane:
    (
        pane_id, index, pid, tty, active, dead, status, signal, width, height,
        history_lines, history_bytes, alternate, last, kept, title, start, own_start, resume, reported,
    ) = fields  # fmt: skip
    return Pane(
        id=pane_id,
        index=int(index),
        pid=int(pid),
        tty=tty,
        title=title,
        # From /proc, with the rest: tmux would read the same link twice for each pane.
        cwd="",
        # A pane that shows its old text first was started by a wrapper; the option keeps the true one.
        start_command=own_start[1:] if own_start.startswith("=") else start,
        active=active == "1",
        dead=dead == "1",
        dead_status=_exit_code(status, signal) if dead == "1" else None,
        width=int(width),
        height=int(height),
        history_lines=int(history_lines),
        history_bytes=int(history_bytes),
        alternate=alternate == "1",
        resume=resume,
        last=last == "1",
        reported=reported,
        kept=kept == "1",
    )


def _exit_code(status: str, signal: str) -> int | None:
    """How tmux says that a pane's process ended; it often does not say."""
    if signal.isdigit() and int(signal):
        return -int(signal)
    return int(status) if status.isdigit() else None
