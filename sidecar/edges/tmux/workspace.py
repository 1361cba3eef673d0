"""A declared session as one line of tmux commands. Pure: nothing is run or written here.

The order is tmuxp's: the session's options and environment come before its first window, so that they
hold there too. For that a window of our own is there first, and goes again. Every window is made at an
index that nobody else has, and moved to its place when all are there.
"""

from __future__ import annotations

from collections.abc import Iterator

from sidecar.edges.tmux import marks
from sidecar.edges.tmux.arming import arm_line
from sidecar.edges.tmux.rebuild import targetable
from sidecar.edges.tmux.text import command, in_one, literal, script
from sidecar.model.workspace import Beside, DeclaredPane, DeclaredWindow, Pairs, Workspace

_WIDTH, _HEIGHT = "200", "50"
"""Until a client attaches; a session's own default-size comes first."""
_FIRST = 20_000
"""Where windows are made; no file may ask for an index as high."""
_HALVED = 4
"""As many panes as tmux's smallest usual window takes when each is half of the one before."""


def workspace_script(workspace: Workspace, nonce: str, mark: str = "") -> bytes:
    """The whole session as one line; :func:`sidecar.edges.tmux.rebuild.read_progress` reads what it prints.

    Every pane's folder has to exist. ``nonce`` is a word that nobody else uses, ``mark`` that of the
    recovery: see :mod:`sidecar.edges.tmux.marks`.
    """
    return script(in_one(*_Drawing(workspace, nonce, mark).commands()))


def window_script(session_id: str, index: int, window: DeclaredWindow, nonce: str) -> bytes:
    """One window into a living session, as one line; the index has to be free."""
    target = f"{session_id}:{index}"
    first, *others = _window(target, window)
    begun = command("display-message", "-p", "-t", target, f"{nonce} #{{window_id}}")
    ended = command("display-message", "-p", f"{nonce} ended")
    return script(in_one(first, begun, *others, ended))


def pane_script(beside: Beside, pane: DeclaredPane, nonce: str) -> bytes:
    """One pane beside a living one, as one line, and the layout if there are then so many panes.

    It is not selected, and a window that is zoomed stays so.
    """
    flags = ("-d", "-b") if beside.before else ("-d",)
    told = ("-P", "-F", f"{nonce} #{{pane_id}}")
    lines = [command("split-window", *flags, *told, "-t", beside.pane, *_start(pane))]
    if beside.layout:
        lines.append(arrange_line(beside.window, beside.layout, beside.panes))
    if beside.zoomed:
        lines.append(command("resize-pane", "-Z", "-t", beside.window))
    return script(in_one(*lines, command("display-message", "-p", f"{nonce} ended")))


def arrange_line(window: str, layout: str, panes: int) -> str:
    """Give a window a layout, only while it has exactly so many panes."""
    arrange = command("select-layout", "-t", window, layout)
    return command("if-shell", "-F", "-t", window, f"#{{==:#{{window_panes}},{panes}}}", arrange)


def option_lines(window: str, options: Pairs) -> Iterator[str]:
    """Options of one window."""
    for name, value in options:
        yield command("set-option", "-w", "-t", window, name, value)


class _Drawing:
    """Turns one workspace into commands."""

    def __init__(self, workspace: Workspace, nonce: str, mark: str) -> None:
        self._workspace = workspace
        self._nonce = nonce
        self._mark = mark
        self._name = workspace.name if targetable(workspace.name) else nonce
        self._session = f"={self._name}:"

    def commands(self) -> Iterator[str]:
        yield from self._session_alone()
        for position, window in enumerate(self._workspace.windows):
            yield from _window(self._target(position), window)
        yield from self._places()
        yield from marks.whole(marks.SESSION, self._session, self._mark)
        if self._name != self._workspace.name:
            yield command("rename-session", "-t", self._session, "--", literal(self._workspace.name))
        yield command("display-message", "-p", f"{self._nonce} ended")

    def _target(self, position: int) -> str:
        return f"{self._session}{_FIRST + 1 + position}"

    def _session_alone(self) -> Iterator[str]:
        workspace, session = self._workspace, self._session
        # -E: what our client's own environment holds is none of the session's business.
        yield command(
            "new-session", "-d", "-E", "-P", "-F", f"{self._nonce} #{{session_id}}",
            "-s", literal(self._name), "-x", _WIDTH, "-y", _HEIGHT, "-c", literal(workspace.cwd), "--", "cat",
        )  # fmt: skip
        yield from marks.begun(marks.SESSION, session, self._mark)
        for name, value in workspace.options:
            yield command("set-option", "-t", session, name, value)
        for name, value in workspace.global_options:
            yield command("set-option", "-g", name, value)
        for name, value in workspace.environment:
            yield command("set-environment", "-t", session, name, value)
        yield command("move-window", "-s", session, "-t", f"{session}{_FIRST}")

    def _places(self) -> Iterator[str]:
        """Each window to its place; the one that is shown is selected by that. Then ours goes.

        Unlinked, since killing a window may renumber the others.
        """
        shown = self._workspace.active_window
        for position, window in enumerate(self._workspace.windows):
            place = "" if window.index is None else str(window.index)
            quiet = () if window is shown else ("-d",)
            yield command(
                "move-window", *quiet, "-s", self._target(position), "-t", f"{self._session}{place}"
            )
        yield command("unlink-window", "-k", "-t", f"{self._session}{_FIRST}")


def _window(target: str, window: DeclaredWindow) -> Iterator[str]:
    first, *others = window.panes
    name = ("-n", literal(window.name)) if window.name else ()
    yield command("new-window", "-d", "-t", target, *name, *_start(first))
    yield from option_lines(target, window.options)
    yield arm_line(target)
    yield from _title(target, first)
    for pane in others:
        # The new pane is the active one, which is split next.
        yield command("split-window", "-v", "-t", target, *_start(pane))
        if window.layout or len(window.panes) > _HALVED:
            # Leaves room for the next one.
            yield command("select-layout", "-t", target, "tiled" if window.layout else "even-vertical")
        yield from _title(target, pane)
    if window.layout:
        yield command("select-layout", "-t", target, window.layout)
    back = len(window.panes) - 1 - window.active_pane
    if back:
        yield command("select-pane", "-t", f"{target}.-{back}")


def _start(pane: DeclaredPane) -> tuple[str, ...]:
    """Where and as what a pane starts."""
    environment = tuple(word for name, value in pane.environment for word in ("-e", f"{name}={value}"))
    return ("-c", literal(pane.cwd), *environment, *(("--", pane.shell) if pane.shell else ()))


def _title(target: str, pane: DeclaredPane) -> Iterator[str]:
    if pane.title:
        yield command("select-pane", "-t", target, "-T", literal(pane.title))
