"""Working folders: which exist, and where a process is. Blocks: call it in a thread."""

from __future__ import annotations

import os
from dataclasses import replace

from sidecar.model.session import SessionImage
from sidecar.model.workspace import DeclaredPane, DeclaredWindow, Workspace


def existing(path: str) -> str:
    """The folder, or its nearest parent that exists: tmux would silently take its client's own."""
    folder = path if path.startswith("/") else "/"
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder


def with_existing(image: SessionImage) -> SessionImage:
    """The image with every folder replaced by :func:`existing`; a pane's by the home where none is known."""
    home = dict(image.origin.environment).get("HOME", "/")
    windows = tuple(
        replace(window, panes=tuple(replace(pane, cwd=existing(pane.cwd or home)) for pane in window.panes))
        for window in image.windows
    )
    return replace(image, windows=windows, path=existing(image.path) if image.path else "")


def declared_existing(workspace: Workspace) -> Workspace:
    """The workspace with every folder replaced by :func:`existing`."""
    windows = tuple(map(window_existing, workspace.windows))
    return replace(workspace, cwd=existing(workspace.cwd), windows=windows)


def window_existing(window: DeclaredWindow) -> DeclaredWindow:
    """The same for one window."""
    return replace(window, panes=tuple(map(pane_existing, window.panes)))


def pane_existing(pane: DeclaredPane) -> DeclaredPane:
    """The same for one pane."""
    return replace(pane, cwd=existing(pane.cwd))


def of_process(pid: int) -> str:
    """Where a process works; the root if that cannot be read."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return "/"
