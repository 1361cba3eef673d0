"""A session as a workspace file declares it: what it has to be before anybody has changed it.

Unlike a checkpoint it names layouts instead of sizes, leaves indexes to tmux where the file does, and
has command lines that are typed instead of programs that ran.
"""

from __future__ import annotations

from dataclasses import dataclass

Pairs = tuple[tuple[str, str], ...]
"""Names and values, in the order of the file."""


NAMED_LAYOUTS = ("even-horizontal", "even-vertical", "main-horizontal", "main-vertical", "tiled")
"""The layouts that every tmux makes by itself."""


@dataclass(frozen=True, slots=True)
class Command:
    """One line that is typed into a pane."""

    text: str
    enter: bool = True
    """False: it is typed and waits for a person."""
    sleep_before: float = 0.0
    """Seconds."""
    sleep_after: float = 0.0
    """Seconds."""


@dataclass(frozen=True, slots=True)
class DeclaredPane:
    """A pane of a declared window."""

    cwd: str
    """A full path; the folder may not exist."""
    shell: str = ""
    """The command that the pane is started as; empty for the session's shell."""
    title: str = ""
    environment: Pairs = ()
    commands: tuple[Command, ...] = ()
    focus: bool = False


@dataclass(frozen=True, slots=True)
class DeclaredWindow:
    """A window of a declared session."""

    panes: tuple[DeclaredPane, ...]
    name: str = ""
    """Empty: the window names itself after what runs in it."""
    index: int | None = None
    """None: the lowest that is free."""
    layout: str = ""
    """A name that tmux knows, a layout string, or empty: panes on top of each other."""
    options: Pairs = ()
    options_after: Pairs = ()
    """Set once the command lines have been typed."""
    focus: bool = False

    @property
    def active_pane(self) -> int:
        """The position of the pane that is active: the last one with the focus, or else the last."""
        positions = [position for position, pane in enumerate(self.panes) if pane.focus]
        return positions[-1] if positions else len(self.panes) - 1


@dataclass(frozen=True, slots=True)
class Beside:
    """Where in a living window a pane is put back."""

    window: str
    """The window's id."""
    pane: str
    """The id of the pane that it comes after, or before."""
    before: bool = False
    layout: str = ""
    """Given to the window afterwards, if it then has exactly ``panes``; empty leaves the layout."""
    panes: int = 0
    zoomed: bool = False
    """A person has zoomed a pane of it, which it stays."""
    sideways: bool = False
    """The two stand side by side, and not one above the other."""


@dataclass(frozen=True, slots=True)
class Workspace:
    """A declared session."""

    name: str
    windows: tuple[DeclaredWindow, ...]
    cwd: str = "/"
    """A full path."""
    environment: Pairs = ()
    options: Pairs = ()
    global_options: Pairs = ()
    before_script: tuple[str, ...] = ()
    """The program and its arguments to be run before the session is first created."""
    file: str = ""
    """Where it is declared."""
    line: int = 0

    @property
    def active_window(self) -> DeclaredWindow:
        """The window that is shown: the last one with the focus, or else the first."""
        return next((window for window in reversed(self.windows) if window.focus), self.windows[0])

    @property
    def pane_count(self) -> int:
        return sum(len(window.panes) for window in self.windows)

    @property
    def commands(self) -> tuple[Command, ...]:
        """Every line that is typed, in order."""
        return tuple(line for window in self.windows for pane in window.panes for line in pane.commands)

    @property
    def pauses(self) -> bool:
        """Whether anything waits before or after it is typed."""
        return any(command.sleep_before or command.sleep_after for command in self.commands)

    @property
    def needs_furnishing(self) -> bool:
        """Whether there is something to do once the session stands."""
        return bool(self.commands) or any(window.options_after for window in self.windows)

    @property
    def folders(self) -> frozenset[str]:
        """Every folder that a pane starts in."""
        return frozenset(pane.cwd for window in self.windows for pane in window.panes)

    def describe(self) -> str:
        """One line for people. Command lines may hold secrets and are only counted."""
        lines = len(self.commands)
        return f"{self.file}: windows {len(self.windows)}, panes {self.pane_count}, lines to type {lines}"
