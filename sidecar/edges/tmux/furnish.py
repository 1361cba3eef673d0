"""One stored window as tmux commands: its panes, its layout, its options. Pure.

Panes are made around the one that has to be the last or the active one in the end, none of them
selected on the way, so that nothing but the stored selections is left behind. They are named by
number: other ways to name them depend on what is current.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from sidecar.edges.tmux.arming import arm_line
from sidecar.edges.tmux.options import is_hook, set_lines
from sidecar.edges.tmux.starting import start_words
from sidecar.edges.tmux.text import command, literal
from sidecar.model.session import Options, SavedPane, SavedWindow, SessionImage

_SIZE = re.compile(r"[0-9a-f]{4},(\d+)x(\d+),")

LayoutCheck = Callable[[str, int], bool]
"""(layout, panes) -> whether tmux may be given it; garbage kills a 3.3a server."""


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a rebuild."""

    line: str
    makes_pane: bool = False


def place(window: SavedWindow, pane: SavedPane) -> str:
    """The key of a pane within its session."""
    return f"{window.index}.{pane.index}"


def first_pane(window: SavedWindow) -> int:
    """The position of the pane that is made first: the last one if there is one, else the active one."""
    last = [position for position, pane in enumerate(window.panes) if pane.last and not pane.active]
    active = [position for position, pane in enumerate(window.panes) if pane.active]
    return (last or active or [0])[0]


@dataclass(frozen=True, slots=True)
class Furnisher:
    """Turns the windows of one session into commands."""

    image: SessionImage
    session: str
    """The target of the session that is being built, which ends in a colon."""
    files: Mapping[str, str]
    """By a pane's place: the file that it prints and removes before it starts."""
    valid_layout: LayoutCheck
    delays: Mapping[str, float] = field(default_factory=dict)
    """By a pane's place: seconds that its program waits for its turn to start."""

    def target(self, window: SavedWindow) -> str:
        return f"{self.session}{window.index}"

    def start(self, window: SavedWindow, pane: SavedPane) -> tuple[str, ...]:
        """The words that start a pane's program."""
        key = place(window, pane)
        return start_words(self.image, pane, self.files.get(key), self.delays.get(key, 0.0))

    def window(self, window: SavedWindow) -> Iterator[Step]:
        """The whole window."""
        pane = window.panes[first_pane(window)]
        words = ("-n", literal(window.name), "-c", literal(pane.cwd), *self.start(window, pane))
        yield Step(command("new-window", "-d", "-t", self.target(window), *words), makes_pane=True)
        yield from self.furnish(window)

    def furnish(self, window: SavedWindow) -> Iterator[Step]:
        """Everything about a window whose first pane is there."""
        target, many = self.target(window), len(window.panes) > 1
        if many:
            yield Step(command("set-option", "-w", "-t", target, "pane-base-index", "0"))
        yield from self._size(window)
        yield from self._panes(window)
        if self.valid_layout(window.layout, len(window.panes)):
            yield Step(command("select-layout", "-t", target, window.layout))
        yield from self._select(window)
        for position, pane in enumerate(window.panes):
            yield from self.furnish_pane(window, pane, f"{target}.{position}" if many else target)
        if window.zoomed:
            yield Step(command("resize-pane", "-Z", "-t", target))
        yield from self._options(window)

    def hooks(self, window: SavedWindow) -> Iterator[str]:
        """The hooks of a window that stands, and of its panes."""
        target, base = self.target(window), dict(window.options).get("pane-base-index")
        yield from set_lines(("-w", "-t", target), tuple(filter(is_hook, window.options)))
        of_panes = [tuple(filter(is_hook, pane.options)) for pane in window.panes]
        if not any(of_panes):
            return
        yield command("set-option", "-w", "-t", target, "pane-base-index", "0")
        for position, hooks in enumerate(of_panes):
            yield from set_lines(("-p", "-t", f"{target}.{position}"), hooks)
        if base is None:
            yield _unset(target, "pane-base-index").line
        else:
            yield command("set-option", "-w", "-t", target, "pane-base-index", base)

    def _size(self, window: SavedWindow) -> Iterator[Step]:
        """Room for its panes, where it is not of the session's size."""
        size = _SIZE.match(window.layout)
        manual = ("window-size", "manual") in window.options
        if size and (manual or (int(size[1]), int(size[2])) != (self.image.width, self.image.height)):
            target = self.target(window)
            yield Step(command("resize-window", "-t", target, "-x", size[1], "-y", size[2]))
            if not manual:
                # Resizing has made it so.
                yield _unset(target, "window-size")

    def _panes(self, window: SavedWindow) -> Iterator[Step]:
        target, first, last = self.target(window), first_pane(window), len(window.panes) - 1
        before = ((position, ("-b",), position) for position in range(first))
        after = ((position, (), position - 1) for position in range(first + 1, last + 1))
        flags: tuple[str, ...]
        for number, (position, flags, neighbour) in enumerate((*before, *after), start=1):
            pane = window.panes[position]
            words = ("-c", literal(pane.cwd), *self.start(window, pane))
            line = command("split-window", "-d", *flags, "-t", f"{target}.{neighbour}", *words)
            yield Step(line, makes_pane=True)
            # Tiling in between leaves room for the next.
            if number < last or not self.valid_layout(window.layout, len(window.panes)):
                yield Step(command("select-layout", "-t", target, "tiled"))

    def _select(self, window: SavedWindow) -> Iterator[Step]:
        active = next((position for position, pane in enumerate(window.panes) if pane.active), 0)
        if active != first_pane(window):
            yield Step(command("select-pane", "-t", f"{self.target(window)}.{active}"))

    def furnish_pane(self, window: SavedWindow, pane: SavedPane, target: str) -> Iterator[Step]:
        """Everything about a pane that is there, but its hooks."""
        yield Step(command("select-pane", "-t", target, "-T", literal(pane.title)))
        if place(window, pane) in self.files or place(window, pane) in self.delays:
            line = command("set-option", "-p", "-t", target, "@sidecar_start", f"={pane.start_command}")
            yield Step(line)
        if pane.resume and self.image.options is None:
            yield Step(command("set-option", "-p", "-t", target, "@sidecar_resume", pane.resume))
        yield from map(Step, set_lines(("-p", "-t", target), _but_hooks(pane.options)))

    def _options(self, window: SavedWindow) -> Iterator[Step]:
        target, names = self.target(window), {name for name, _ in window.options}
        if len(window.panes) > 1 and "pane-base-index" not in names:
            yield _unset(target, "pane-base-index")
        yield from map(Step, set_lines(("-w", "-t", target), _but_hooks(window.options)))
        # Naming the window has switched it off there.
        known = self.image.options is not None
        if "automatic-rename" not in names and (known or window.automatic_rename):
            yield from _rename_as_before(target, window.automatic_rename)
        if window.link:
            line = command("set-option", "-w", "-t", target, "@sidecar_link", window.link)
            yield Step(line)
        yield Step(arm_line(target))


def _but_hooks(options: Options) -> Options:
    return tuple(pair for pair in options if not is_hook(pair))


def _rename_as_before(target: str, automatic: bool) -> Iterator[Step]:
    """The user's own setting comes first, if it comes to the same."""
    yield _unset(target, "automatic-rename")
    yield Step(
        command(
            "if-shell", "-F", "-t", target, f"#{{!=:#{{automatic-rename}},{int(automatic)}}}",
            command("set-option", "-w", "-t", target, "automatic-rename", "on" if automatic else "off"),
        )
    )  # fmt: skip


def _unset(target: str, name: str) -> Step:
    return Step(command("set-option", "-w", "-u", "-t", target, name))
