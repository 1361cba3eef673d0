"""A machine that is short of memory or of processor, in small: a real OOM kill, and a real hog."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box

GROUPS = Path("/sys/fs/cgroup")
EATER = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.02)
eaten = [bytearray(1 << 20) for _ in range(256)]
"""
HOG = "timeout 5 sh -c 'while :; do :; done'"


@pytest.fixture
def group() -> Iterator[Path]:
    """A memory group of our own, with a small limit."""
    old = (GROUPS / "memory").is_dir()
    folder = (GROUPS / "memory" if old else GROUPS) / f"sidecar-strain-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        pytest.skip(f"no control group can be made here: {error}")
    try:
        try:
            (folder / ("memory.limit_in_bytes" if old else "memory.max")).write_text(str(96 << 20))
        except OSError as error:
            pytest.skip(f"control groups have no memory limits here: {error}")
        yield folder
    finally:
        for pid in (folder / "cgroup.procs").read_text().split():
            (folder.parent / "cgroup.procs").write_text(pid)
        folder.rmdir()


def test_who_dies_of_memory_comes_back_once_and_then_waits(tmux: TmuxBox, group: Path) -> None:
    """Its neighbour in the same group is never touched."""
    script, food = tmux.folder / "eater.py", tmux.folder / "food"
    script.write_text(EATER)
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    (group / "cgroup.procs").write_text(str(tmux.server_pid()))
    tmux.run("new-session", "-d", "-s", "web", f"exec {sys.executable} {script} {food}")
    neighbour = tmux.show("=keep:", "#{pane_pid}")
    with sidecar_box(tmux) as sidecar:
        sidecar.stored("web", "keep")
        food.touch()
        row = sidecar.verified("web")
        assert row["cause"] == "out_of_memory"
        held = eventually(lambda: waiting(sidecar), "a wait")
        assert "web has died of a lack of memory" in held["sentence"]
        food.unlink()
        # A process that dies before it could be held at all may have shown nothing but its signal.
        count = len(sidecar.recoveries("web"))
        assert count <= 3
        assert sidecar.call("POST", "/recover", {"session": "web"})[0] == 202
        sidecar.verified("web", count + 1)
        assert tmux.show("=keep:", "#{pane_pid}") == neighbour


def waiting(sidecar: SidecarBox) -> dict[str, Any] | None:
    rows = sidecar.get("/api/v1/incidents?session=web")["incidents"]
    return next((row for row in rows if row["reason"] == "memory_short"), None)


def test_a_hog_in_a_pane_is_no_failure_and_a_break_beside_it_is_healed(tmux: TmuxBox) -> None:
    """Two processors' worth of work for a few seconds: looks may be late, and nothing is called frozen."""
    tmux.run("new-session", "-d", "-s", "web", "sleep 5001")
    tmux.run("new-session", "-d", "-s", "busy", HOG)
    tmux.run("split-window", "-d", "-t", "=busy:", HOG)
    with sidecar_box(tmux) as sidecar:
        sidecar.stored("web")
        os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
        assert sidecar.verified("web")["strategy"] == "respawn_pane"
        found = {row["failure"] for row in sidecar.get("/api/v1/incidents")["incidents"]}
        assert "frozen" not in found
        assert "disconnected" not in found
