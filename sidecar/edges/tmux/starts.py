"""Panes of a stored session that start another command than the stored one, or later."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sidecar.edges.tmux.text import join_arguments
from sidecar.model.plan import Start
from sidecar.model.session import SavedWindow, SessionImage


def with_commands(image: SessionImage, starts: Iterable[Start]) -> SessionImage:
    """The image with the commands that take the place of stored ones."""
    commands = {(start.window, start.pane): start.command for start in starts if start.command}
    if not commands:
        return image
    return replace(image, windows=tuple(_window(window, commands) for window in image.windows))


def delays(starts: Iterable[Start]) -> dict[str, float]:
    """Seconds to wait, by a pane's place as :func:`sidecar.edges.tmux.rebuild.place` writes it."""
    return {f"{start.window}.{start.pane}": start.delay for start in starts if start.delay > 0}


def _window(window: SavedWindow, commands: Mapping[tuple[int, int], Sequence[str]]) -> SavedWindow:
    panes = (
        replace(pane, start_command=join_arguments(commands[window.index, pane.index]))
        if (window.index, pane.index) in commands
        else pane
        for pane in window.panes
    )
    return replace(window, panes=tuple(panes))
