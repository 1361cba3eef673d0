"""The service proves its checkpoints on a throw-away server, and leaves none behind."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sidecar.edges.tmux.server import find_server
from tests.box import SidecarBox, TmuxBox, eventually, rehearsing_box


@pytest.fixture
def sidecar(tmux: TmuxBox) -> Iterator[SidecarBox]:
    with rehearsing_box(tmux) as box:
        yield box


def restorable(sidecar: SidecarBox, name: str, wanted: bool) -> dict[str, object]:
    eventually(
        lambda: sidecar.sessions().get(name, {}).get("restorable") is wanted,
        f"a rehearsal of {name} that says {wanted}",
    )
    return sidecar.sessions()[name]


def lose_texts(sidecar: SidecarBox) -> None:
    connection = sqlite3.connect(sidecar.state / "sidecar.db", isolation_level=None)
    connection.execute("UPDATE scrollbacks SET packed = x'00'")
    connection.close()


def stage_processes(sidecar: SidecarBox) -> list[str]:
    """The stage's server, its clients, and what runs in its panes: they know its socket."""
    folder = str(sidecar.state / "rehearsal")
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            words = [*process.cmdline(), process.environ().get("TMUX", "")]
            if any(folder in word for word in words):
                found.append(f"{process.pid} {words}")
    return found


def test_a_session_is_proven_restorable_and_a_damaged_one_is_told(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "200", "-y", "50", "echo old text; exec sleep 5000")
    tmux.run("split-window", "-t", "=web:", "sleep 5001")
    before = tmux.panes("#{pane_id} #{pane_pid}")
    row = restorable(sidecar, "web", True)
    assert row["note"] == ""
    assert float(str(row["rehearsed"])) > 0
    assert 'sidecar_checkpoint_restorable{session="web"} 1.0' in sidecar.get("/metrics", raw=True)
    sidecar.stop()
    lose_texts(sidecar)
    forget(sidecar)
    sidecar.start()
    row = restorable(sidecar, "web", False)
    assert "cannot be restored: pane 0.0: scrollback is 'missing or damaged'" in str(row["note"])
    assert 'sidecar_checkpoint_restorable{session="web"} 0.0' in sidecar.get("/metrics", raw=True)
    shown = subprocess.run(
        [sys.executable, "-m", "sidecar", "status", "--state", str(sidecar.state)],
        capture_output=True, text=True, timeout=20, check=True, cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
    assert "cannot be restored" in shown.stdout
    failures = eventually(lambda: [one for one in sidecar.actions() if one["action"] == "rehearsal_failed"])
    assert failures[0]["differences"] == ["pane 0.0: scrollback"]
    assert [one["session"] for one in sidecar.actions() if one["action"] == "notified"] == ["web"]
    assert tmux.panes("#{pane_id} #{pane_pid}") == before
    assert sidecar.stop() == 0
    assert stage_processes(sidecar) == []
    assert not (sidecar.state / "rehearsal").exists()


def forget(sidecar: SidecarBox) -> None:
    """Let the next run rehearse what an earlier one has proven."""
    connection = sqlite3.connect(sidecar.state / "sidecar.db", isolation_level=None)
    connection.execute("DELETE FROM rehearsals")
    connection.close()


def test_kill_9_in_the_middle_leaves_nothing_after_the_next_start(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "while :; do date; sleep 1; done")
    folder = sidecar.state / "rehearsal"
    for _ in range(20):
        eventually(lambda: find_server(folder / "tmux"), "a rehearsal")
        sidecar.stop(signal.SIGKILL)
        if folder.exists():
            break
        sidecar.start()
    assert folder.exists(), "no rehearsal was ever caught in the middle"
    (tmux.folder / "config.yml").write_text("checkpoints: {rehearse: off}\n")
    sidecar.start()
    assert not folder.exists()
    eventually(lambda: not stage_processes(sidecar), "the end of all that was on the stage")


def test_switched_off_nothing_is_rehearsed(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 5000")
    restorable(sidecar, "web", True)
    sidecar.stop()
    (tmux.folder / "config.yml").write_text("checkpoints: {rehearse: off}\n")
    sidecar.start()
    # What an earlier run has learnt is still known.
    assert sidecar.sessions()["web"]["restorable"] is True
