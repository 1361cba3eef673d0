"""Random servers: sessions with windows, panes, names, options, environments, links and groups.

A world is made by commands as a person would give them, and every word in it may be hostile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import strategies as st

from sidecar.edges.tmux.text import command, literal

NASTY = (
    "#(touch pwned)", "##(touch pwned)", "#{pid}", "#[fg=red]", "$HOME", "${HOME}", "`touch pwned`",
    "$(touch pwned)", "'", '"', "\\", ";", "a;", "~", "{", "}", "%H", "%1", "-x", "=a", "@0", "é ü €",
    "\U0001f600", " a  b ", "it's", "x#[z",
)  # fmt: skip
hostile = st.one_of(
    st.sampled_from(NASTY), st.text(st.sampled_from("#[{}(),;'\"\\$~% xé"), min_size=1, max_size=10)
)
printable = hostile.filter(lambda text: text.isprintable())
names = printable.map(lambda text: f"n{text}")
anything = hostile | st.sampled_from(("", "\n", "a\nb", "\t", "\x1b[31m", "\x7f", "\\\n"))
STAYS = ("sh", "-c", "read x")
"""A command that stays, whatever its further arguments are."""


@dataclass(frozen=True)
class PaneWish:
    """A pane as it is asked for."""

    arguments: tuple[str, ...] | None
    """Of a command that stays; None is the default shell."""
    folder: int
    title: str | None
    options: tuple[tuple[str, str], ...]
    before: bool
    across: bool


@dataclass(frozen=True)
class WindowWish:
    """A window as it is asked for."""

    gap: int
    name: str | None
    panes: tuple[PaneWish, ...]
    selected: tuple[int, ...]
    layout: str | None
    zoomed: bool
    options: tuple[tuple[str, str], ...]
    size: tuple[int, int] | None


@dataclass(frozen=True)
class SessionWish:
    """A session as it is asked for."""

    name: str
    size: tuple[int, int]
    windows: tuple[WindowWish, ...]
    selected: tuple[int, ...]
    options: tuple[tuple[str, str], ...]
    environment: tuple[tuple[str, str | None], ...]


@dataclass(frozen=True)
class World:
    """A server as it is asked for."""

    sessions: tuple[SessionWish, ...]
    folders: tuple[str, ...]
    options: tuple[tuple[str, ...], ...]
    links: tuple[tuple[int, int, int], ...]
    """(session, window of it, session to link it into), by position."""
    grouped: int | None
    """Position of a session that another one is grouped with."""
    backwards: bool


def _options(*known: st.SearchStrategy[tuple[str, str]]) -> st.SearchStrategy[tuple[tuple[str, str], ...]]:
    users = st.tuples(st.sampled_from(("@a", "@b.c", "@sidecar_resume")), anything)
    return st.lists(st.one_of(users, *known), max_size=3, unique_by=lambda pair: pair[0]).map(tuple)


def _choice(name: str, *values: str) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.just(name), st.sampled_from(values))


def _text(name: str) -> st.SearchStrategy[tuple[str, str]]:
    return st.tuples(st.just(name), anything)


HOOK = 'display-message "#(touch hooked) \\$HOME" ; if-shell -F x { send-keys a ; send-keys "b ; c" }'
pane_options = _options(
    _choice("window-style", "bg=red"), _choice("synchronize-panes", "on"), _choice("pane-exited[2]", HOOK)
)
window_options = _options(
    _choice("synchronize-panes", "on"),
    _choice("remain-on-exit", "on", "off", "failed"),
    _choice("automatic-rename", "on"),
    _choice("pane-base-index", "2"),
    _choice("pane-border-status", "top"),
    _choice("mode-keys", "vi"),
    _choice("window-layout-changed[5]", HOOK),
    _text("pane-border-format"),
)
session_options = _options(
    _text("status-left"),
    _text("status-format[7]"),
    _choice("base-index", "4"),
    _choice("history-limit", "7"),
    _choice("renumber-windows", "on"),
    _choice("prefix", "C-a", "C-\\", '"'),
    _choice("default-command", "exec sh"),
    _choice("update-environment", ""),
    _choice("client-attached[1]", HOOK),
)
server_options = st.lists(
    st.one_of(
        st.sampled_from(("base-index", "renumber-windows")).map(lambda name: ("-g", name, "1")),
        st.just(("-gw", "pane-base-index", "3")),
        st.just(("-gw", "automatic-rename", "off")),
        st.just(("-gw", "remain-on-exit", "on")),
        st.just(("-s", "escape-time", "7")),
        st.just(("-g", "client-attached[3]", HOOK)),
        anything.map(lambda text: ("-g", "status-right", text)),
        anything.map(lambda text: ("-s", "@s", text)),
    ),
    max_size=3,
    unique_by=lambda words: words[1],
).map(tuple)
panes = st.builds(
    PaneWish,
    arguments=st.none() | st.lists(anything, max_size=3).map(tuple),
    folder=st.integers(0, 2),
    title=st.none() | printable,
    options=pane_options,
    before=st.booleans(),
    across=st.booleans(),
)
windows = st.builds(
    WindowWish,
    gap=st.integers(0, 3),
    name=st.none() | names,
    panes=st.lists(panes, min_size=1, max_size=4).map(tuple),
    selected=st.lists(st.integers(0, 3), max_size=2).map(tuple),
    layout=st.sampled_from((None, "even-vertical", "main-horizontal", "tiled")),
    zoomed=st.booleans(),
    options=window_options,
    size=st.none() | st.just((70, 50)),
)
environments = st.dictionaries(
    st.sampled_from(("A", "B", "LANG", "TERM_PROGRAM")), st.none() | anything, max_size=3
).map(lambda found: tuple(found.items()))
sessions = st.builds(
    SessionWish,
    name=names,
    size=st.sampled_from(((80, 24), (121, 41))),
    windows=st.lists(windows, min_size=1, max_size=3).map(tuple),
    selected=st.lists(st.integers(0, 2), max_size=2).map(tuple),
    options=session_options,
    environment=environments,
)
_folder = hostile.map(lambda text: text.replace("/", "_")).filter(lambda text: text not in (".", ".."))
worlds = st.builds(
    World,
    sessions=st.lists(sessions, min_size=1, max_size=3, unique_by=lambda each: each.name).map(tuple),
    folders=st.lists(_folder, min_size=3, max_size=3, unique=True).map(tuple),
    options=server_options,
    links=st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 2)), max_size=2).map(tuple),
    grouped=st.none() | st.integers(0, 2),
    backwards=st.booleans(),
)


@dataclass(frozen=True)
class Making:
    """Turns a world into commands. ``ids`` are those of a fresh server: in the order of creation."""

    world: World
    root: str

    def commands(self) -> Iterator[str]:
        """Every command on a line of its own: one that tmux refuses is a wish that is not granted."""
        for words in self.world.options:
            yield command("set-option", *words)
        window = pane = 0
        places: dict[tuple[int, int], int] = {}
        for number, session in enumerate(self.world.sessions):
            index = 0
            for position, each in enumerate(session.windows):
                index += each.gap
                places[number, position] = window
                yield from self._window(number, session, position, index, each, window, pane)
                window += 1
                pane += len(each.panes)
                index += 1
            yield from self._finish(number, session, places)
        yield from self._share(places)

    def _window(
        self,
        number: int,
        session: SessionWish,
        position: int,
        index: int,
        wish: WindowWish,
        window: int,
        pane: int,
    ) -> Iterator[str]:
        first, *others = wish.panes
        named = ("-n", literal(wish.name)) if wish.name is not None else ()
        words = ("-d", *named, *self._start(first))
        if position:
            yield command("new-window", "-t", f"${number}:{index + 10}", *words)
        else:
            size = ("-x", str(session.size[0]), "-y", str(session.size[1]))
            yield command("new-session", "-E", "-s", literal(session.name), *size, *words)
        if wish.size:
            yield command(
                "resize-window", "-t", f"@{window}", "-x", str(wish.size[0]), "-y", str(wish.size[1])
            )
        for offset, each in enumerate(others):
            flags = (*(("-b",) if each.before else ()), *(("-h",) if each.across else ()))
            yield command("split-window", "-d", *flags, "-t", f"%{pane + offset}", *self._start(each))
        if wish.layout:
            yield command("select-layout", "-t", f"@{window}", wish.layout)
        for offset, each in enumerate(wish.panes):
            target = f"%{pane + offset}"
            if each.title is not None:
                yield command("select-pane", "-t", target, "-T", literal(each.title))
            for name, value in each.options:
                yield command("set-option", "-p", "-t", target, name, value)
        for chosen in wish.selected:
            yield command("select-pane", "-t", f"%{pane + chosen % len(wish.panes)}")
        for name, value in wish.options:
            yield command("set-option", "-w", "-t", f"@{window}", name, value)
        if wish.zoomed:
            yield command("resize-pane", "-Z", "-t", f"@{window}")

    def _start(self, wish: PaneWish) -> tuple[str, ...]:
        folder = ("-c", literal(f"{self.root}/{self.world.folders[wish.folder]}"))
        return folder if wish.arguments is None else (*folder, "--", *STAYS, *wish.arguments)

    def _finish(self, number: int, session: SessionWish, places: dict[tuple[int, int], int]) -> Iterator[str]:
        for name, value in session.environment:
            if value is None:
                yield command("set-environment", "-r", "-t", f"${number}:", name)
            else:
                yield command("set-environment", "-t", f"${number}:", name, value)
        for chosen in session.selected:
            window = places[number, chosen % len(session.windows)]
            yield command("select-window", "-t", f"${number}:@{window}")
        for name, value in session.options:
            yield command("set-option", "-t", f"${number}:", name, value)

    def _share(self, places: dict[tuple[int, int], int]) -> Iterator[str]:
        count = len(self.world.sessions)
        for source, position, target in self.world.links:
            source, target = source % count, target % count
            window = places[source, position % len(self.world.sessions[source].windows)]
            yield command("link-window", "-d", "-s", f"@{window}", "-t", f"${target}:{40 + window}")
        if self.world.grouped is not None:
            yield command("new-session", "-d", "-E", "-s", "mate", "-t", f"${self.world.grouped % count}:")
