"""A stored session as one line of tmux commands. Pure: nothing is run or written here.

One line, because only within a line does tmux stop at the first error: when the name is taken,
nothing else may run, or it would run on somebody else's session. And tmux runs a line in one go,
so nobody sees half a session.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sidecar.edges.tmux.arming import arm_line
from sidecar.edges.tmux.text import command, in_one, literal, script, split_arguments
from sidecar.model.session import SavedPane, SavedWindow, SessionImage

_PRINT_THEN_RUN = '[ -r "$1" ] && cat -- "$1"; rm -f -- "$1"; shift; exec "$@"'
"""Shows the old text, removes its file, becomes the pane's program."""

_PLAIN_NAME = re.compile(r"(?!\$)[^:.\\\x00-\x1f\x7f-\U0010ffff]+")

LayoutCheck = Callable[[str, int], bool]
"""(layout, panes) -> whether tmux may be given it; garbage kills a 3.3a server."""


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What is to be built, and the means for it."""

    image: SessionImage
    """Every pane's folder has to exist: tmux would silently take another."""
    files: Mapping[str, str]
    """By a pane's place (see :func:`place`): the file that it prints and removes before it starts."""
    valid_layout: LayoutCheck
    nonce: str
    """A word that nobody else uses: it marks our own lines in the answer, and is the session's name
    while it is built, where the real one cannot be a target."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a rebuild came."""

    session_id: str
    """Of the session that is ours; empty if it was not even begun."""
    finished: bool


def place(window: SavedWindow, pane: SavedPane) -> str:
    """The key of a pane within its session."""
    return f"{window.index}.{pane.index}"


def rebuild_script(blueprint: Blueprint) -> bytes:
    """The whole rebuild as one line; :func:`read_progress` reads what it prints."""
    return script(in_one(*_Drawing(blueprint).commands()))


def read_progress(output: bytes, nonce: str) -> Progress:
    """How far the line came. A new server's configuration may print, and fail, in the same answer."""
    begun = re.search(rb"^" + nonce.encode() + rb" (\$\d+)$", output, re.MULTILINE)
    finished = re.search(rb"^" + nonce.encode() + rb" built$", output, re.MULTILINE)
    return Progress(begun[1].decode() if begun else "", finished is not None)


def _targetable(name: str) -> bool:
    """Whether ``=name:`` is sure to be this session.

    ``=$1:`` is the one whose *id* is ``$1``; colons and dots end a name; and tmux encodes what it
    does not think printable, by tables of its own.
    """
    return _PLAIN_NAME.fullmatch(name) is not None


class _Drawing:
    """Turns one blueprint into commands."""

    def __init__(self, blueprint: Blueprint) -> None:
        self._image = blueprint.image
        self._files = blueprint.files
        self._valid_layout = blueprint.valid_layout
        self._nonce = blueprint.nonce
        self._name = self._image.name if _targetable(self._image.name) else blueprint.nonce
        self._session = f"={self._name}:"
        self._removed = [key for key, value in self._image.environment if value is None]

    def commands(self) -> Iterator[str]:
        first, *others = self._image.windows
        yield from self._new_session(first)
        yield from self._furnish(first)
        for window in others:
            yield self._new_window(window)
            yield from self._furnish(window)
        yield from self._focus()
        if self._name != self._image.name:
            yield command("rename-session", "-t", self._session, "--", literal(self._image.name))
        yield command("display-message", "-p", f"{self._nonce} built")

    def _target(self, window: SavedWindow) -> str:
        return f"{self._session}{window.index}"

    def _new_session(self, window: SavedWindow) -> Iterator[str]:
        image, pane = self._image, window.panes[0]
        kept = [f"{key}={value}" for key, value in image.environment if value is not None]
        # -E: what our client's own environment holds is none of the session's business.
        yield command(
            "new-session", "-d", "-E", "-P", "-F", f"{self._nonce} #{{session_id}}",
            "-s", literal(self._name),
            "-n", literal(window.name), "-x", str(image.width), "-y", str(image.height),
            "-c", literal(pane.cwd), *(word for pair in kept for word in ("-e", pair)),
            *self._start(window, pane),
        )  # fmt: skip
        for key in self._removed:
            yield command("set-environment", "-r", "-t", self._session, key)
        # base-index may be anything here, and moving a window to where it is would be an error.
        yield command(
            "if-shell", "-F", "-t", self._session, f"#{{!=:#{{window_index}},{window.index}}}",
            command("move-window", "-s", self._session, "-t", self._target(window)),
        )  # fmt: skip

    def _new_window(self, window: SavedWindow) -> str:
        pane = window.panes[0]
        return command(
            "new-window", "-d", "-t", self._target(window), "-n", literal(window.name),
            "-c", literal(pane.cwd), *self._start(window, pane),
        )  # fmt: skip

    def _furnish(self, window: SavedWindow) -> Iterator[str]:
        """Everything about a window whose first pane is there."""
        target = self._target(window)
        yield arm_line(target)
        yield from self._mark_pane(window, window.panes[0])
        for pane in window.panes[1:]:
            # The new pane is the active one, which is the one that is marked, and split next.
            # Tiling in between leaves room for it.
            yield command("split-window", "-t", target, "-c", literal(pane.cwd), *self._start(window, pane))
            yield command("select-layout", "-t", target, "tiled")
            yield from self._mark_pane(window, pane)
        if window.automatic_rename:
            yield from _rename_automatically(target)
        if self._valid_layout(window.layout, len(window.panes)):
            yield command("select-layout", "-t", target, window.layout)
        back = len(window.panes) - 1 - _active_position(window.panes)
        if back:
            yield command("select-pane", "-t", f"{target}.-{back}")
        if window.zoomed:
            yield command("resize-pane", "-Z", "-t", target)

    def _mark_pane(self, window: SavedWindow, pane: SavedPane) -> Iterator[str]:
        target = self._target(window)
        yield command("select-pane", "-t", target, "-T", literal(pane.title))
        if self._wrapper(window, pane):
            yield command("set-option", "-p", "-t", target, "@sidecar_start", f"={pane.start_command}")
        if pane.resume:
            yield command("set-option", "-p", "-t", target, "@sidecar_resume", pane.resume)

    def _focus(self) -> Iterator[str]:
        """The last window first, so that it is the last one again when the active one is selected."""
        for window in sorted(self._image.windows, key=lambda window: window.active):
            if window.last or window.active:
                yield command("select-window", "-t", self._target(window))

    def _start(self, window: SavedWindow, pane: SavedPane) -> tuple[str, ...]:
        arguments = split_arguments(pane.start_command)
        wrapper = self._wrapper(window, pane)
        if wrapper:
            return ("--", *wrapper, *self._program(arguments))
        return ("--", *arguments) if arguments else ()

    def _wrapper(self, window: SavedWindow, pane: SavedPane) -> tuple[str, ...]:
        """Words before the program, which becomes the same process in the end."""
        file = self._files.get(place(window, pane))
        show = () if file is None else ("/bin/sh", "-c", _PRINT_THEN_RUN, "sidecar", file)
        return (*self._shed(window, pane), *show)

    def _shed(self, window: SavedWindow, pane: SavedPane) -> tuple[str, ...]:
        """The session's first pane starts before variables can be marked as removed: it drops them itself."""
        if window is not self._image.windows[0] or pane is not window.panes[0]:
            return ()
        inherited = {key for key, _ in self._image.origin.environment}
        names = [word for key in self._removed if key in inherited for word in ("-u", key)]
        return ("/usr/bin/env", *names) if names else ()

    def _program(self, arguments: tuple[str, ...]) -> tuple[str, ...]:
        """What tmux itself would have run, as an argument vector."""
        shell = self._image.default_shell or "/bin/sh"
        if len(arguments) > 1:
            return arguments
        if arguments:
            return (shell, "-c", arguments[0])
        if self._image.default_command:
            return (shell, "-c", self._image.default_command)
        return (shell, "-l")


def _rename_automatically(target: str) -> Iterator[str]:
    """Naming the window has switched it off there; the user's own setting comes first."""
    yield command("set-option", "-w", "-u", "-t", target, "automatic-rename")
    yield command(
        "if-shell", "-F", "-t", target, "#{!=:#{automatic-rename},1}",
        command("set-option", "-w", "-t", target, "automatic-rename", "on"),
    )  # fmt: skip


def _active_position(panes: Sequence[SavedPane]) -> int:
    return next((position for position, pane in enumerate(panes) if pane.active), 0)
