"""What tmux holds, as it was seen once, and as it is stored.

Two families of nouns. ``Look`` and below are one observation of the live server.
``SessionImage`` and below are what a checkpoint keeps: no ids or pids that die with the
server, only what is needed to build the session again. "Unreachable" is never "absent":
see :class:`Presence`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

Options = tuple[tuple[str, str | None], ...]
"""tmux options (and hooks, which are options too) by name, sorted; an array's items have names like
``status-format[0]``, and None marks an array that is set and empty."""


class Presence(StrEnum):
    """The three answers to "is it there?". Only ABSENT, seen twice, may lead to action."""

    PRESENT = "present"
    ABSENT = "absent"
    UNKNOWN = "unknown"


class Health(StrEnum):
    """The ``state`` label of ``sidecar_session_health``."""

    HEALTHY = "healthy"
    UNKNOWN = "unknown"
    CRASHED = "crashed"
    DISCONNECTED = "disconnected"
    CORRUPTED = "corrupted"
    FROZEN = "frozen"
    RECOVERING = "recovering"
    GIVEN_UP = "given_up"
    RELEASED = "released"


@dataclass(frozen=True, slots=True)
class ServerId:
    """One life of one tmux server: ids such as ``$1`` and ``%5`` mean something only within it."""

    boot_id: str
    pid: int
    started: int
    """Wall time in whole seconds, as the server tells it."""

    def __str__(self) -> str:
        return f"{self.boot_id}/{self.pid}/{self.started}"


@dataclass(frozen=True, slots=True)
class Process:
    """A process by its id and its argument vector as run (undecodable bytes as surrogates)."""

    pid: int
    argv: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pane:
    """A live pane as it was seen."""

    id: str
    index: int
    pid: int
    tty: str
    title: str
    cwd: str
    start_command: str
    """The command the pane was started with, in tmux's own quoting; empty for the default shell."""
    active: bool
    dead: bool
    dead_status: int | None
    """Python exit code (negative: signal) by tmux's account; None if tmux does not say."""
    width: int
    height: int
    history_lines: int
    history_bytes: int
    alternate: bool
    """A full-screen program has switched to the alternate screen."""
    resume: str
    """The pane option ``@sidecar_resume``: the command that brings its program back."""
    argv: tuple[str, ...] = ()
    """The pane's own process as run; empty when it could not be read."""
    program: Process | None = None
    """The leader of the terminal's foreground group, where that is not the pane's own process."""
    last: bool = False
    """It was the active pane before the one that is."""
    reported: str = ""
    """The pane option ``@sidecar_conversation``: what an agent's hook has told of its conversation."""
    conversation: str = ""
    """The id of the conversation that an agent in it is holding, where it is known."""
    kept: bool = False
    """The sidecar has asked tmux to keep it however it ends (pane option ``@sidecar_kept``)."""


@dataclass(frozen=True, slots=True)
class Window:
    """A live window as it was seen in one session."""

    id: str
    index: int
    name: str
    layout: str
    """The unzoomed layout, with its checksum."""
    zoomed: bool
    active: bool
    last: bool
    automatic_rename: bool
    activity: int
    """Wall time of the last output, in whole seconds."""
    remain_on_exit: str
    """The effective option: ``on``, ``off`` or ``failed``."""
    armed: bool
    """The sidecar has set remain-on-exit here (window option ``@sidecar_armed``)."""
    panes: tuple[Pane, ...]
    links: int = 1
    """In how many places it is linked."""


@dataclass(frozen=True, slots=True)
class Session:
    """A live session as it was seen."""

    id: str
    name: str
    created: int
    attached: int
    opted: str
    """The session option ``@sidecar``: ``off`` opts out; anything else, or empty, does not."""
    default_shell: str
    default_command: str
    windows: tuple[Window, ...]
    group: str = ""
    """Sessions of one group share their windows; empty when it is in none."""

    def panes(self) -> Iterator[Pane]:
        for window in self.windows:
            yield from window.panes

    @property
    def activity(self) -> int:
        return max((window.activity for window in self.windows), default=0)


def armed_in(sessions: Iterable[Session]) -> tuple[list[str], list[str]]:
    """The windows and the panes of these of which the sidecar has asked tmux to keep what ends."""
    windows = {window.id: window for session in sessions for window in session.windows}
    armed = sorted(window.id for window in windows.values() if window.armed)
    return armed, sorted(pane.id for window in windows.values() for pane in window.panes if pane.kept)


@dataclass(frozen=True, slots=True)
class Look:
    """One full observation. ``sessions`` is meaningful only when ``presence`` is PRESENT."""

    presence: Presence
    taken: float
    """Monotonic seconds at the moment the look began."""
    server: ServerId | None = None
    version: str = ""
    config_files: str = ""
    sessions: tuple[Session, ...] = ()
    reason: str = ""
    """Why it is absent or unknown, in tmux's words or ours."""
    silent: bool = False
    """It is unknown because the server was asked and gave no answer."""
    _named: Mapping[str, Session] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_named", {session.name: session for session in self.sessions})

    def find(self, name: str) -> Session | None:
        return self._named.get(name)

    def by_id(self, session_id: str) -> Session | None:
        return next((session for session in self.sessions if session.id == session_id), None)

    def pane(self, pane_id: str) -> Pane | None:
        for session in self.sessions:
            for pane in session.panes():
                if pane.id == pane_id:
                    return pane
        return None


@dataclass(frozen=True, slots=True)
class SavedPane:
    """A pane as a checkpoint keeps it."""

    index: int
    title: str
    cwd: str
    start_command: str
    argv: tuple[str, ...]
    """The pane's own process as run."""
    program: tuple[str, ...]
    """What ran in the foreground of the pane's shell; empty if only the shell did."""
    active: bool
    resume: str = ""
    scrollback: str = ""
    """Digest of the manifest of its text; empty if none was taken."""
    last: bool = False
    options: Options = ()
    """The pane's own, as differ from its window's."""
    conversation: str = ""
    """The id of the conversation that an agent in it was holding, where it was known."""


@dataclass(frozen=True, slots=True)
class SavedWindow:
    """A window as a checkpoint keeps it."""

    index: int
    name: str
    layout: str
    zoomed: bool
    active: bool
    last: bool
    automatic_rename: bool
    panes: tuple[SavedPane, ...]
    options: Options = ()
    """The window's own, as differ from the global ones."""
    link: str = ""
    """The same word in every place where this very window is linked; empty when it is in one only."""


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """What was set for a whole server, by its configuration or since; empty where it is not known."""

    server: Options = ()
    session: Options = ()
    """The global session options."""
    window: Options = ()
    """The global window options."""
    bindings: tuple[str, ...] = ()
    """Every key binding, as a ``bind-key`` command."""


@dataclass(frozen=True, slots=True)
class ServerOrigin:
    """What a new server has to be given to be like the one that was lost."""

    environment: tuple[tuple[str, str], ...] = ()
    """The global environment, which is the one the server itself was started with."""
    cwd: str = "/"
    config_files: str = ""
    """Comma-separated, as tmux tells it."""
    settings: ServerSettings = field(default_factory=ServerSettings)


@dataclass(frozen=True, slots=True)
class SessionImage:
    """All that is needed to build one session again; the body of a checkpoint."""

    name: str
    width: int
    height: int
    default_shell: str
    default_command: str
    environment: tuple[tuple[str, str | None], ...]
    """The session's own environment; None marks a variable that is removed."""
    windows: tuple[SavedWindow, ...]
    origin: ServerOrigin = field(default_factory=ServerOrigin)
    options: Options | None = None
    """The session's own, as differ from the global ones; None when no options were recorded at all."""
    group: str = ""
    path: str = ""
    """The folder in which new windows start; empty when it was not recorded."""

    @property
    def pane_count(self) -> int:
        return sum(len(window.panes) for window in self.windows)


@dataclass(frozen=True, slots=True)
class Details:
    """What a capture knows of a session beyond a look: options, and which windows are shared."""

    session: Options
    windows: Mapping[str, Options]
    """By window id."""
    panes: Mapping[str, Options]
    """By pane id."""
    links: Mapping[str, str]
    """By window id, for windows that are linked more than once."""
    path: str = ""
    """The folder in which new windows start."""


def image_of(
    session: Session,
    *,
    width: int,
    height: int,
    environment: tuple[tuple[str, str | None], ...] = (),
    origin: ServerOrigin | None = None,
    scrollbacks: Mapping[str, str] | None = None,
    details: Details | None = None,
) -> SessionImage:
    """A live session as a checkpoint keeps it. ``scrollbacks`` maps pane ids to the digests of manifests."""
    known = details or Details((), {}, {}, {})
    digests = scrollbacks or {}
    return SessionImage(
        name=session.name,
        width=width,
        height=height,
        default_shell=session.default_shell,
        default_command=session.default_command,
        environment=environment,
        windows=tuple(_saved_window(window, digests, known) for window in session.windows),
        origin=origin or ServerOrigin(),
        options=details.session if details else None,
        group=session.group,
        path=known.path,
    )


def _saved_window(window: Window, digests: Mapping[str, str], known: Details) -> SavedWindow:
    return SavedWindow(
        index=window.index,
        name=window.name,
        layout=window.layout,
        zoomed=window.zoomed,
        active=window.active,
        last=window.last,
        automatic_rename=window.automatic_rename,
        panes=tuple(_saved_pane(pane, digests, known) for pane in window.panes),
        options=known.windows.get(window.id, ()),
        link=known.links.get(window.id, ""),
    )


def _saved_pane(pane: Pane, digests: Mapping[str, str], known: Details) -> SavedPane:
    return SavedPane(
        index=pane.index,
        title=pane.title,
        cwd=pane.cwd,
        start_command=pane.start_command,
        argv=pane.argv,
        program=pane.program.argv if pane.program else (),
        active=pane.active,
        resume=pane.resume,
        scrollback=digests.get(pane.id, ""),
        last=pane.last,
        options=known.panes.get(pane.id, ()),
        conversation=pane.conversation,
    )


class Operation(StrEnum):
    """Why a checkpoint was taken."""

    STRUCTURE = "structure"
    INTERVAL = "interval"
    BEFORE_RECOVERY = "before_recovery"
    AFTER_RECOVERY = "after_recovery"
    REQUESTED = "requested"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A stored generation of one session, without its scrollback text."""

    id: int
    session: str
    taken: float
    """Wall seconds."""
    operation: Operation
    instance: str
    """The server's life and session id it was taken from: ``boot/pid/started/$id``."""
    checksum: str
    """SHA-256 of the stored JSON, in hex."""
    size: int
    """Bytes of the stored JSON."""
    image: SessionImage
