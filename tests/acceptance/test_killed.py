"""kill -9 of the sidecar in the middle of a recovery, on a real tmux: the next one ends it, and once."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.box import PATIENCE, SidecarBox, TmuxBox, eventually

RESPAWN = "SELECT 1 FROM steps WHERE kind = 'respawn_pane' AND state = '{}'"
REBUILD = "SELECT 1 FROM steps WHERE kind = 'rebuild_session' AND state = '{}'"
TYPE = "SELECT 1 FROM steps WHERE kind = 'start_programs' AND state = '{}'"
RUNNING = "SELECT 1 FROM recoveries WHERE state = 'running'"
ENDED = "SELECT 1 FROM recoveries WHERE state <> 'running'"


def kill_when(sidecar: SidecarBox, *conditions: str) -> None:
    """As soon as the book says so. It may be past it by then: any moment will do."""
    process = sidecar.process
    assert process is not None
    deadline = time.monotonic() + PATIENCE
    with closing(sqlite3.connect(f"file:{sidecar.state / 'sidecar.db'}?mode=ro", uri=True)) as book:
        while not any(book.execute(one).fetchone() for one in conditions):
            assert time.monotonic() < deadline, conditions
    sidecar.stop(signal.SIGKILL)


def leaving_a_line(file: Path) -> str:
    """A program that says that it was started."""
    return f"sh -c 'echo started >> {file}; exec sleep 1000'"


def lines(file: Path) -> int:
    return len(file.read_text().splitlines()) if file.exists() else 0


def marks(tmux: TmuxBox) -> set[str]:
    return set("".join(tmux.panes("#{@sidecar_recovery}#{@sidecar_entered}#{@sidecar_respawned}")).split())


def ends_once(sidecar: SidecarBox, tmux: TmuxBox, started: Callable[[], bool]) -> None:
    sidecar.start()
    row = sidecar.verified("web")
    assert row["transaction_outcome"] == "committed"
    assert row["resumed"] <= 1
    assert [one["state"] for one in sidecar.recoveries("web")] == ["verified"]
    assert tmux.sessions() == {"web"}
    eventually(started, "what it starts")
    eventually(lambda: not marks(tmux), "no mark left")
    assert started()


@pytest.mark.parametrize(
    "conditions",
    [(RUNNING, ENDED), (RESPAWN.format("begun"), ENDED), (RESPAWN.format("done"),)],
    ids=["begun", "at it", "done"],
)
def test_a_pane_is_respawned_once(tmux: TmuxBox, sidecar: SidecarBox, conditions: tuple[str, ...]) -> None:
    file = tmux.folder / "started"
    tmux.run("new-session", "-d", "-s", "web", leaving_a_line(file))
    sidecar.stored("web")
    armed = "#{remain-on-exit}"
    eventually(lambda: "failed" in tmux.panes(armed), "armed windows")
    os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
    kill_when(sidecar, *conditions)
    ends_once(sidecar, tmux, lambda: lines(file) == 2)


@pytest.mark.parametrize(
    "conditions",
    [
        (RUNNING, ENDED),
        (REBUILD.format("begun"), ENDED),
        (REBUILD.format("done"),),
        (TYPE.format("begun"), ENDED),
        (TYPE.format("done"),),
        (ENDED,),
    ],
    ids=["begun", "building", "built", "typing", "typed", "ended"],
)
def test_a_session_is_built_once_and_its_programs_are_typed_once(
    tmux: TmuxBox, sidecar: SidecarBox, conditions: tuple[str, ...]
) -> None:
    own, typed = tmux.folder / "own", tmux.folder / "typed"
    tmux.run("new-session", "-d", "-s", "web", "bash --norc")
    tmux.run("set-option", "-p", "-t", "=web:", "@sidecar_resume", leaving_a_line(typed))
    tmux.run("send-keys", "-t", "=web:", "sleep 4321", "Enter")
    eventually(lambda: tmux.show("=web:", "#{pane_current_command}") == "sleep")
    tmux.run("new-window", "-d", "-t", "=web:", leaving_a_line(own))
    eventually(lambda: _stored_with(sidecar, "4321", "own"), "a checkpoint of it")
    os.kill(tmux.server_pid(), signal.SIGKILL)
    kill_when(sidecar, *conditions)
    ends_once(sidecar, tmux, lambda: (lines(own), lines(typed)) == (2, 1))


def _stored_with(sidecar: SidecarBox, *words: str) -> bool:
    with closing(sqlite3.connect(f"file:{sidecar.state / 'sidecar.db'}?mode=ro", uri=True)) as book:
        row = book.execute("SELECT body FROM checkpoints ORDER BY id DESC LIMIT 1").fetchone()
    return row is not None and all(word in row[0] for word in words)
