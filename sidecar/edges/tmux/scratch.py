"""Private files with old scrollback, each printed and removed by the pane that is built for it."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path

from sidecar.edges.aside import private_folder
from sidecar.edges.tmux.furnish import place
from sidecar.errors import DiskFull
from sidecar.model.printable import printable
from sidecar.model.session import SessionImage

_ABANDONED = 600.0
"""Seconds. A pane reads its file at once, but its machine may be slow."""


class Scratch:
    """A folder (mode 0700) of such files (mode 0600). Every method blocks: call it in a thread."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, image: SessionImage, texts: Mapping[str, bytes]) -> dict[str, str]:
        """A file for each pane whose text is there, by the pane's place.

        Raises:
            DiskFull: they cannot all be written; none of them is left.
        """
        files: dict[str, str] = {}
        try:
            self._write_all(image, texts, files)
        except OSError as error:
            remove(files.values())
            raise DiskFull(
                f"old scrollback cannot be written to {self._folder}: {error.strerror}",
                hint="Free some space, or files, on the disk that holds the state folder.",
            ) from error
        return files

    def _write_all(self, image: SessionImage, texts: Mapping[str, bytes], files: dict[str, str]) -> None:
        # A folder that cannot be made matters only if there is something to put into it.
        with contextlib.suppress(OSError):
            private_folder(self._folder)
        batch = secrets.token_hex(8)
        for window in image.windows:
            for pane in window.panes:
                if pane.scrollback in texts:
                    path = self._folder / f"{batch}-{place(window, pane)}"
                    files[place(window, pane)] = str(path)
                    _write_private(path, printable(texts[pane.scrollback]))

    def sweep(self, now: float) -> None:
        """Remove what no pane came for. ``now`` is wall seconds."""
        if self._folder.is_dir():
            remove(path for path in self._folder.iterdir() if now - _modified(path) > _ABANDONED)


def remove(paths: Iterable[str | Path]) -> None:
    """Remove those of the files that are still there."""
    for path in paths:
        Path(path).unlink(missing_ok=True)


def _write_private(path: Path, text: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text)


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return float("inf")
