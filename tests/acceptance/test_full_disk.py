"""A full disk under the database delays a recovery, is named, and loses nothing."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import SidecarBox, TmuxBox, eventually


@pytest.fixture
def small_disk(tmux: TmuxBox) -> Iterator[Path]:
    """A disk of a few megabytes, of our own."""
    folder = tmux.folder / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False, timeout=20).returncode:
        pytest.skip("a disk of our own cannot be mounted here: that takes root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=20)


@pytest.fixture
def sidecar(tmux: TmuxBox, small_disk: Path) -> Iterator[SidecarBox]:
    box = SidecarBox(tmux, small_disk / "state")
    box.log = tmux.folder / "sidecar.log"
    box.start()
    try:
        yield box
    finally:
        box.stop()


def test_a_full_disk_delays_and_loses_nothing(tmux: TmuxBox, sidecar: SidecarBox, small_disk: Path) -> None:
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    tmux.run("new-session", "-d", "-s", "web", "sleep 5001")
    sidecar.stored("web", "keep")
    filler = small_disk / "filler"
    fill(filler)
    os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
    said = eventually(lambda: told(sidecar, "full"), "that it is full")
    assert "Free some space" in said[0]["hint"]
    numbers = itertools.count(1)
    # What is still left of the log's last page may take a few small rows.
    status, answer = eventually(lambda: refused(sidecar, next(numbers)), "an alert that is not taken")
    assert (status, "full" in answer["detail"]) == (503, True)
    assert tmux.show("=web:", "#{pane_dead}") == "1"
    filler.unlink()
    sidecar.verified("web")
    assert refused(sidecar, next(numbers)) is None
    assert tmux.sessions() == {"keep", "web"}


def fill(file: Path) -> None:
    """Take all the room that there is."""
    with file.open("wb", buffering=0) as disk, contextlib.suppress(OSError):
        while disk.write(bytes(1 << 12)):
            pass


def told(sidecar: SidecarBox, word: str) -> list[dict[str, str]]:
    return [line for line in sidecar.actions() if word in line.get("error", "")]


def refused(sidecar: SidecarBox, number: int) -> tuple[int, dict[str, str]] | None:
    """The answer to a fresh alert; None if it was taken."""
    alert = {
        "status": "firing", "labels": {"session": "web"}, "startsAt": "2026-01-01T00:00:00Z",
        "fingerprint": str(number),
    }  # fmt: skip
    status, answer = sidecar.call("POST", "/alerts", {"version": "4", "alerts": [alert]})
    return None if status == 202 else (status, answer)
