"""What a rebuilt pane is started with: its own command, after its old text and in its turn. Pure."""

from __future__ import annotations

from sidecar.edges.tmux.text import split_arguments
from sidecar.model.session import SavedPane, SessionImage

_PRINT_THEN_RUN = '[ -r "$1" ] && cat -- "$1"; rm -f -- "$1"; shift; exec "$@"'
"""Shows the old text, removes its file, becomes the pane's program."""


_WAIT_THEN_RUN = 'sleep "$1"; shift; exec "$@"'
"""Waits for its turn, becomes the pane's program."""


def start_words(
    image: SessionImage, pane: SavedPane, file: str | None, delay: float = 0.0
) -> tuple[str, ...]:
    """The words after the options of a command that makes a pane; none for the default shell.

    ``file`` holds the old text, which the pane prints and removes before its program starts;
    ``delay`` is how many seconds that waits.
    """
    arguments = split_arguments(pane.start_command)
    wrapper: tuple[str, ...] = ()
    if file is not None:
        wrapper = ("/bin/sh", "-c", _PRINT_THEN_RUN, "sidecar", file)
    if delay:
        wrapper = (*wrapper, "/bin/sh", "-c", _WAIT_THEN_RUN, "sidecar", f"{delay:.1f}")
    if wrapper:
        return ("--", *wrapper, *_program(image, arguments))
    return ("--", *arguments) if arguments else ()


def _program(image: SessionImage, arguments: tuple[str, ...]) -> tuple[str, ...]:
    """What tmux itself would have run, as an argument vector."""
    shell = image.default_shell or "/bin/sh"
    if len(arguments) > 1:
        return arguments
    if arguments:
        return (shell, "-c", arguments[0])
    # Where a default command was in force, tmux tells it as the pane's own.
    return (shell, "-l")
