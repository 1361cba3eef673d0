"""Working folders: which exist, and where a process is. Blocks: call it in a thread."""

from __future__ import annotations

import os
from dataclasses import replace

from sidecar.edges.folders import Folders
from sidecar.model.session import SessionImage
from sidecar.model.workspace import DeclaredPane, DeclaredWindow, Workspace


def existing(path: str, there: Folders) -> str:
    """The folder, or its nearest parent that exists: tmux would silently take its client's own."""
    folder = path if path.startswith("/") else "/"
    while folder != "/" and not there.real((folder,)):
        folder = os.path.dirname(folder)
    return folder


def with_existing(image: SessionImage, there: Folders) -> SessionImage:
    """The image with every folder replaced by :func:`existing`; a pane's by the home where none is known."""
    home = dict(image.origin.environment).get("HOME", "/")
    windows = tuple(
        replace(
            window, panes=tuple(replace(pane, cwd=existing(pane.cwd or home, there)) for pane in window.panes)
        )
        for window in image.windows
    )
    return replace(image, windows=windows, path=existing(image.path, there) if image.path else "")


def declared_existing(workspace: Workspace, there: Folders) -> Workspace:
    """The workspace with every folder replaced by :func:`existing`."""
    windows = tuple(window_existing(window, there) for window in workspace.windows)
    return replace(workspace, cwd=existing(workspace.cwd, there), windows=windows)


def window_existing(window: DeclaredWindow, there: Folders) -> DeclaredWindow:
    """The same for one window."""
    return replace(window, panes=tuple(pane_existing(pane, there) for pane in window.panes))


def pane_existing(pane: DeclaredPane, there: Folders) -> DeclaredPane:
    """The same for one pane."""
    return replace(pane, cwd=existing(pane.cwd, there))


def of_process(pid: int) -> str:
    """Where a process works; the root if that cannot be read."""
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return "/"
