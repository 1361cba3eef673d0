"""A stored session as a few lines of tmux commands. Pure: nothing is run or written here.

Lines, because only within a line does tmux stop at the first error: when the name is taken,
nothing else may run, or it would run on somebody else's session. And tmux runs a line in one go.
A large session takes several lines, so that tmux comes to breathe in between; until the last of
them it has a name that nobody else uses, and is marked as none of our care.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count

from sidecar.edges.tmux import marks
from sidecar.edges.tmux.furnish import Furnisher, LayoutCheck, Step, first_pane
from sidecar.edges.tmux.neighbours import Neighbours
from sidecar.edges.tmux.options import by_itself, is_hook, set_lines
from sidecar.edges.tmux.text import command, in_one, literal, script
from sidecar.model.session import SavedWindow, SessionImage

LARGEST_LINE = 64
"""Panes that one line makes; tmux 3.3a has crashed over 750."""
MANUAL_SIZES = command("set-option", "-gw", "window-size", "manual")
_OTHER_SIZES = command("set-option", "-gw", "window-size", "latest")
_BUILT = "@sidecar_built"
_BUILDING = "@sidecar_building"
_PLAIN_NAME = re.compile(r"[^$:.\\\x00-\x1f\x7f-\U0010ffff]+")
_BEFORE_PANES = frozenset({"default-shell", "history-limit"})
"""Session options that a pane takes over when it is made."""
_PLACEHOLDER = ("--", "/bin/sleep", "60")
"""A window that the session begins with, and that is gone again before the line ends."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What is to be built, and the means for it."""

    image: SessionImage
    """Every pane's folder has to exist: tmux would silently take another."""
    files: Mapping[str, str]
    """By a pane's place: the file that it prints and removes before it starts."""
    valid_layout: LayoutCheck
    nonce: str
    """A word that nobody else uses: it marks our own lines in the answer, and is the session's name
    while it is built, where the real one cannot be a target or not yet be given."""
    neighbours: Neighbours = field(default_factory=Neighbours)
    delays: Mapping[str, float] = field(default_factory=dict)
    """By a pane's place: seconds that its program waits for its turn to start."""
    mark: str = ""
    """The mark of the recovery that builds it: see :mod:`sidecar.edges.tmux.marks`."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one line of a rebuild came."""

    id: str
    """Of the session, the window or the pane that is ours; empty if the line did not begin it."""
    finished: bool


def needs_neighbours(image: SessionImage) -> bool:
    """Whether building it may depend on what else is in the server."""
    sizes = dict(image.origin.settings.window).get("window-size", "manual")
    shares = image.group or any(window.link for window in image.windows)
    return bool(shares) or sizes == "manual" or is_large(image)


def rebuild_scripts(blueprint: Blueprint) -> tuple[bytes, ...]:
    """The whole rebuild, a line each, to be run in order; :func:`read_progress` reads what each prints."""
    drawing = _Drawing(blueprint)
    ended = command("display-message", "-p", f"{blueprint.nonce} ended")
    before, after = ((_OTHER_SIZES,), (MANUAL_SIZES,)) if blueprint.neighbours.manual_sizes else ((), ())
    return tuple(script(in_one(*before, *line, *after, ended)) for line in _lines(drawing.steps()))


def late_scripts(blueprint: Blueprint, session_id: str) -> tuple[bytes, ...]:
    """What a session that stands still needs, a line each: its group, then its hooks.

    tmux tells its hooks of a change only after the line that has made it: set any earlier, they would
    run for our own building. The session that has the id is ours only in the life of its server.
    """
    target = f"{session_id}:"
    drawing = _Drawing(blueprint, target)
    parts = [list(part) for part in (drawing.group(), drawing.hooks())]
    lines = [part for part in parts if part]
    if lines:
        lines[-1].append(command("set-option", "-u", "-t", target, _BUILT))
        lines[-1].extend(marks.whole(marks.SESSION, target, blueprint.mark))
    ended = command("display-message", "-p", f"{blueprint.nonce} ended")
    ours = f"#{{==:#{{{_BUILT}}},{blueprint.nonce}}}"
    return tuple(
        script(command("if-shell", "-F", "-t", target, ours, in_one(*line, ended))) for line in lines
    )


def window_scripts(blueprint: Blueprint, session_id: str) -> tuple[bytes, bytes]:
    """The image's one window into a living session, as one line; its index has to be free.

    And, for when it stands, its hooks: set any earlier, they would run for our own building.
    """
    (window,) = blueprint.image.windows
    furnisher = Furnisher(
        blueprint.image, f"{session_id}:", blueprint.files, blueprint.valid_layout, blueprint.delays
    )
    first, *others = (step.line for step in furnisher.window(window))
    target, nonce = furnisher.target(window), blueprint.nonce
    begun = command("display-message", "-p", "-t", target, f"{nonce} #{{window_id}}")
    ended = command("display-message", "-p", f"{nonce} ended")
    marked = marks.begun(marks.WINDOW, target, blueprint.mark)
    whole = tuple(marks.whole(marks.WINDOW, target, blueprint.mark))
    hooks = tuple(furnisher.hooks(window))
    line = in_one(first, begun, *marked, *others, *(() if hooks else whole), ended)
    return script(line), script(*hooks, *whole) if hooks else b""


def read_progress(output: bytes, nonce: str) -> Progress:
    """How far a line came. A new server's configuration may print, and fail, in the same answer."""
    begun = re.search(rb"^" + nonce.encode() + rb" ([$@%]\d+)$", output, re.MULTILINE)
    ended = re.search(rb"^" + nonce.encode() + rb" ended$", output, re.MULTILINE)
    return Progress(begun[1].decode() if begun else "", ended is not None)


def _lines(steps: Iterator[Step]) -> Iterator[list[str]]:
    line: list[str] = []
    panes = 0
    for step in steps:
        if step.makes_pane and panes == LARGEST_LINE:
            yield line
            line, panes = [], 0
        line.append(step.line)
        panes += step.makes_pane
    yield line


def is_large(image: SessionImage) -> bool:
    """Whether it takes more than one line."""
    return image.pane_count > LARGEST_LINE


def targetable(name: str) -> bool:
    """Whether ``=name:`` is sure to be this session.

    ``=$1:`` is the one whose *id* is ``$1``; colons and dots end a name; and tmux encodes dollars, and
    what it does not think printable by tables of its own.
    """
    return _PLAIN_NAME.fullmatch(name) is not None


class _Drawing:
    """Turns one blueprint into commands."""

    def __init__(self, blueprint: Blueprint, session: str = "") -> None:
        """``session`` is the target of a session that stands already."""
        self._image = image = blueprint.image
        self._nonce = blueprint.nonce
        self._mark = blueprint.mark
        self._neighbours = blueprint.neighbours
        self._large = is_large(image)
        plain = targetable(image.name) and not self._large
        self._name = image.name if plain else blueprint.nonce
        self._session = session or f"={self._name}:"
        self._furnisher = Furnisher(
            image, self._session, blueprint.files, blueprint.valid_layout, blueprint.delays
        )
        self._first, *self._others = _in_building_order(image.windows)
        self._linked: dict[str, SavedWindow] = {}
        """Windows that are built and may be linked here once more, by the link's word."""

    def steps(self) -> Iterator[Step]:
        member = self._neighbours.member(self._image.group)
        yield from self._join(member) if member else self._build()
        yield from map(Step, self._session_options())
        if self._name != self._image.name:
            yield Step(command("rename-session", "-t", self._session, "--", literal(self._image.name)))

    def group(self) -> Iterator[str]:
        """A group takes its name from the session that is joined first, so ours has that name for a moment.

        Where another session has it, the next one of the group to come back finds no group.
        """
        name, helper = self._image.group, f"{self._nonce}-group"
        if not name or self._neighbours.member(name) or name in self._neighbours.names:
            return
        renamed = self._image.name != name
        if renamed:
            yield command("rename-session", "-t", self._session, "--", literal(name))
        yield command("new-session", "-d", "-E", "-t", self._session, "-s", helper)
        yield command("kill-session", "-t", f"={helper}:")
        if renamed:
            yield command("rename-session", "-t", self._session, "--", literal(self._image.name))

    def hooks(self) -> Iterator[str]:
        """Of the session, and of all in it that does not belong to others as well.

        One that this tmux does not know is named by the verdict, and spoils no other.
        """
        own = tuple(filter(is_hook, self._image.options or ()))
        yield from map(by_itself, set_lines(("-t", self._session), own))
        if self._neighbours.member(self._image.group):
            return
        for window in self._image.windows:
            if not (window.link and self._neighbours.shared(window.link)):
                yield from map(by_itself, self._furnisher.hooks(window))

    def _join(self, member: str) -> Iterator[Step]:
        """The windows are the group's and come with it; it may have other ones by now."""
        yield Step(self._new_session(("-t", member), ()))
        yield from map(Step, self._settle())
        for window in sorted(self._image.windows, key=lambda window: window.active):
            if window.last or window.active:
                yield Step(by_itself(self._select(window)))

    def _build(self) -> Iterator[Step]:
        if self._needs_placeholder():
            yield from self._build_beside_placeholder()
        else:
            yield from self._build_at_once()
        for window in self._others:
            yield from self._window(window)
        for window in self._image.windows:
            # The first one is current, and is the last one if there is one.
            if window.active and window is not self._first:
                yield Step(self._select(window))

    def _build_at_once(self) -> Iterator[Step]:
        window = self._first
        start = self._furnisher.start(window, window.panes[first_pane(window)])
        yield Step(self._new_session(("-n", literal(window.name)), start), makes_pane=True)
        yield Step(self._move_first(window.index))
        yield from map(Step, self._settle())
        yield from self._furnisher.furnish(window)
        self._linked[window.link] = window

    def _build_beside_placeholder(self) -> Iterator[Step]:
        spare = next(index for index in count() if all(w.index != index for w in self._image.windows))
        yield Step(self._new_session(("-n", self._nonce), _PLACEHOLDER), makes_pane=True)
        yield Step(self._move_first(spare))
        yield from map(Step, self._settle())
        yield from self._window(self._first)
        yield Step(self._select(self._first))
        # Killing it would give the other windows new numbers, where the user likes that.
        yield Step(command("unlink-window", "-k", "-t", f"{self._session}{spare}"))

    def _needs_placeholder(self) -> bool:
        """Whether something has to be in order before the first pane starts."""
        image, start = self._image, self._first.panes[first_pane(self._first)]
        inherited = {key for key, _ in image.origin.environment}
        return (
            bool(self._first.link and self._neighbours.shared(self._first.link))
            or (bool(image.path) and image.path != start.cwd)
            or any(value is None and key in inherited for key, value in image.environment)
            or any(name in _BEFORE_PANES for name, _ in image.options or ())
            or self._has_default_command()
        )

    def _has_default_command(self) -> bool:
        """Whether new panes run something else than a shell, which those of before tell by themselves."""
        return bool(self._image.default_command) or "default-command" in dict(self._image.options or ())

    def _window(self, window: SavedWindow) -> Iterator[Step]:
        here = self._linked.get(window.link) if window.link else None
        shared = self._neighbours.shared(window.link) if window.link else ""
        source = f"{self._session}{here.index}" if here else shared
        if source:
            target = self._furnisher.target(window)
            yield Step(command("link-window", "-d", "-s", source, "-t", target))
            return
        yield from self._furnisher.window(window)
        self._linked[window.link] = window

    def _new_session(self, words: tuple[str, ...], start: tuple[str, ...]) -> str:
        image = self._image
        kept = [f"{key}={value}" for key, value in image.environment if value is not None]
        folder = image.path or self._first.panes[first_pane(self._first)].cwd
        # -E: what our client's own environment holds is none of the session's business.
        return command(
            "new-session", "-d", "-E", "-P", "-F", f"{self._nonce} #{{session_id}}",
            "-s", literal(self._name), "-x", str(image.width), "-y", str(image.height),
            "-c", literal(folder), *(word for pair in kept for word in ("-e", pair)), *words, *start,
        )  # fmt: skip

    def _move_first(self, index: int) -> str:
        # base-index may be anything here, and moving a window to where it is would be an error.
        return command(
            "if-shell", "-F", "-t", self._session, f"#{{!=:#{{window_index}},{index}}}",
            command("move-window", "-s", self._session, "-t", f"{self._session}{index}"),
        )  # fmt: skip

    def _settle(self) -> Iterator[str]:
        """What a session has to have before its panes start."""
        yield from marks.begun(marks.SESSION, self._session, self._mark)
        yield command(
            "if-shell", "-F", "-t", self._session,
            "#{&&:#{!=:#{destroy-unattached},0},#{!=:#{destroy-unattached},off}}",
            command("set-option", "-t", self._session, "destroy-unattached", "off"),
        )  # fmt: skip
        if self._large:
            yield command("set-option", "-t", self._session, _BUILDING, self._nonce)
            yield command("set-option", "-t", self._session, "@sidecar", "off")
        for key, value in self._image.environment:
            if value is None:
                yield command("set-environment", "-r", "-t", self._session, key)
        if self._has_default_command():
            yield command("set-option", "-t", self._session, "default-command", "")
        early = (pair for pair in self._image.options or () if pair[0] in _BEFORE_PANES)
        yield from set_lines(("-t", self._session), tuple(early))

    def _session_options(self) -> Iterator[str]:
        options = self._image.options
        if any(True for part in (self.group(), self.hooks()) for _ in part):
            yield command("set-option", "-t", self._session, _BUILT, self._nonce)
        else:
            yield from marks.whole(marks.SESSION, self._session, self._mark)
        if self._large:
            yield command("set-option", "-u", "-t", self._session, _BUILDING)
            yield command("set-option", "-u", "-t", self._session, "@sidecar")
        if self._has_default_command():
            yield command("set-option", "-u", "-t", self._session, "default-command")
        if options is None:
            return
        if "default-size" not in dict(options):
            # A size that was asked for is kept as an option.
            yield command("set-option", "-u", "-t", self._session, "default-size")
        yield from set_lines(("-t", self._session), tuple(filter(_may_be_set_late, options)))

    def _select(self, window: SavedWindow) -> str:
        return command("select-window", "-t", self._furnisher.target(window))


def _in_building_order(windows: tuple[SavedWindow, ...]) -> list[SavedWindow]:
    """The last window first, or else the active one: nothing else is ever selected on the way."""
    last = [window for window in windows if window.last and not window.active]
    active = [window for window in windows if window.active]
    first = (last or active or windows)[0]
    return [first, *(window for window in windows if window is not first)]


def _may_be_set_late(pair: tuple[str, str | None]) -> bool:
    name, value = pair
    if is_hook(pair):
        return False
    # Nobody is attached yet: it would end the session at once.
    return name not in _BEFORE_PANES and not (name == "destroy-unattached" and value != "off")
