"""Which panes a rule of the configuration is about: by globs of names, or by indexes."""

from __future__ import annotations

from fnmatch import fnmatchcase


def points_at(aim: tuple[str, int | None], window: str, index: int, pane: int) -> bool:
    """Whether a rule's window and pane (``aim``) are about the pane of this index in that window.

    A window is named by a glob of names or by its index; an empty one is every window, and so is no
    pane every pane.
    """
    glob, number = aim
    wanted = not glob or glob == str(index) or fnmatchcase(window, glob)
    return wanted and number in (None, pane)
