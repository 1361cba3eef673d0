"""Small disks of our own, and what fills them."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.box import SidecarBox, TmuxBox


@contextmanager
def own_disk(folder: Path, options: str) -> Iterator[Path]:
    """A disk mounted at a new folder; ``options`` are those of a tmpfs."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("a disk of our own cannot be mounted here: that takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=20)


@contextmanager
def sidecar_on(disk: Path, tmux: TmuxBox, *arguments: str) -> Iterator[SidecarBox]:
    """A sidecar whose state lies on this disk, and its log elsewhere."""
    box = SidecarBox(tmux, disk / "state", arguments)
    box.log = tmux.folder / "sidecar.log"
    box.start()
    try:
        yield box
    finally:
        box.stop()
    box.check()


def fill(file: Path) -> None:
    """Take all the room that there is."""
    with file.open("ab", buffering=0) as disk, contextlib.suppress(OSError):
        while disk.write(bytes(1 << 12)):
            pass


def fill_up_to(file: Path, disk: Path, left: int) -> None:
    """Take all the room but so many bytes."""
    with file.open("ab", buffering=0) as taken:
        while (facts := os.statvfs(disk)).f_bavail * facts.f_frsize > left:
            taken.write(bytes(1 << 16))
