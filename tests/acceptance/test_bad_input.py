"""What is hostile or broken is named in one sentence, runs nothing and loses nothing."""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box

HOSTILE = [
    "a b;\"$(x)'é",
    "#(touch pwned)",
    "#{pid}",
    "x\\y",
    "a#[z]",
    "##(touch pwned)",
    "%1",
    "$1",
    "~x",
    "=w",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_come_back_to_the_letter_and_run_nothing(
    tmux: TmuxBox, sidecar: SidecarBox, name: str
) -> None:
    folder = tmux.folder / name.replace("/", "_")
    folder.mkdir()
    # Doubling is tmux's own escape; in a run before `[` it must not be used.
    safe = name if "#[" in name else name.replace("#", "##")
    path = str(folder) if "#[" in name else str(folder).replace("#", "##")
    # In one go: the first checkpoint must not find a session without its title.
    tmux.run(
        "new-session", "-d", "-s", safe, "-n", safe, "-c", path, "-x", "100", "-y", "30", "sleep 5000",
        ";", "select-pane", "-T", safe,
    )  # fmt: skip
    fields = "#{session_name}|#{window_name}|#{pane_title}|#{pane_current_path}"
    # tmux tells no folder while the process is just being started.
    eventually(lambda: str(folder) in tmux.panes(fields)[0], "the folder")
    before = tmux.panes(fields)
    eventually(lambda: str(folder) in sidecar.stored_folders(), "a checkpoint with the folder")
    (known,) = sidecar.sessions()
    os.kill(tmux.server_pid(), signal.SIGKILL)
    sidecar_rows = eventually(
        lambda: [r for r in sidecar.get("/api/v1/recoveries")["recoveries"] if r["state"] == "verified"],
        "a verified recovery",
    )
    assert sidecar_rows[0]["session"] == known
    assert tmux.panes(fields) == before
    assert not list(tmux.folder.rglob("pwned"))
    assert not (Path(__file__).parent.parent.parent / "pwned").exists()


def test_a_folder_that_is_gone_is_named_and_does_not_stop_the_recovery(
    tmux: TmuxBox, sidecar: SidecarBox
) -> None:
    folder = tmux.folder / "work" / "deep"
    folder.mkdir(parents=True)
    tmux.run("new-session", "-d", "-s", "web", "-c", str(folder), "sleep 5000")
    eventually(lambda: str(folder) in sidecar.stored_folders(), "a checkpoint with the folder")
    server = tmux.server_pid()
    folder.rmdir()
    os.kill(server, signal.SIGKILL)
    row = sidecar.verified("web")
    assert [d["wanted"] for d in row["differences"] if d["field"] == "cwd"] == [str(folder)]
    assert tmux.show("=web:", "#{pane_current_path}") == str(folder.parent)


def test_a_program_that_is_gone_fails_the_verdict_with_its_name(tmux: TmuxBox) -> None:
    config = tmux.folder / "config.yml"
    config.write_text("recovery: {budget: {per_session: 2 per 10m}}\n")
    program = tmux.folder / "program"
    program.write_text("#!/bin/sh\nsleep 5000\n")
    program.chmod(0o755)
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    tmux.run("new-session", "-d", "-s", "web", shlex.quote(str(program)))
    with sidecar_box(tmux, "--config", str(config)) as sidecar:
        sidecar.stored("web", "keep")
        program.unlink()
        os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
        failed = eventually(
            lambda: [r for r in sidecar.recoveries("web") if r["state"] == "failed"], "a failure"
        )
        assert "dead" in failed[-1]["verdict"]
        eventually(lambda: sidecar.sessions()["web"]["health"] == "given_up", "given up")
        assert tmux.sessions() == {"keep", "web"}


def ask(sidecar: SidecarBox, sql: str) -> list[tuple[object, ...]]:
    """Ask the database, or change it, behind the sidecar's back."""
    with contextlib.closing(sqlite3.connect(sidecar.state / "sidecar.db", isolation_level=None)) as database:
        return database.execute(sql).fetchall()


def test_scrollback_that_is_damaged_comes_back_as_far_as_it_is_good(
    tmux: TmuxBox, sidecar: SidecarBox
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "80", "-y", "20", "seq 1 700; exec sleep 5000")
    eventually(lambda: "700" in tmux.run("capture-pane", "-p", "-t", "=web:"), "the text")
    # A change of structure is stored at once.
    tmux.run("split-window", "-d", "-t", "=web:", "exec sleep 5001")
    eventually(
        lambda: ask(sidecar, "SELECT 1 FROM scrollbacks WHERE size BETWEEN 900 AND 999"), "a sealed piece"
    )
    ask(sidecar, "UPDATE scrollbacks SET packed = x'00' WHERE size BETWEEN 900 AND 999")
    os.kill(tmux.server_pid(), signal.SIGKILL)
    row = sidecar.verified("web")
    (told,) = [d for d in row["differences"] if d["field"] == "scrollback"]
    assert (told["found"], told["tolerated"]) == ("without 256 lines", True)
    text = eventually(
        lambda: "700" in (shown := tmux.run("capture-pane", "-p", "-S", "-", "-t", "=web:.0")) and shown,
        "the old text",
    )
    assert "-- sidecar: 256 lines are missing here" in text
    assert "sidecar_checkpoint_corruptions_total 1.0" in sidecar.get("/metrics", raw=True)
    assert ask(sidecar, "SELECT 1 FROM audit WHERE action = 'scrollback_damaged'")


def test_a_garbage_database_is_set_aside_and_kept(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    sidecar.stop()
    garbage = b"this is not a database" * 500
    for path in sidecar.state.glob("sidecar.db*"):
        path.unlink()
    (sidecar.state / "sidecar.db").write_bytes(garbage)
    sidecar.start()
    (aside,) = sidecar.state.glob("sidecar.db.damaged-*")
    assert aside.read_bytes() == garbage
    assert [line for line in sidecar.actions() if line["action"] == "database_set_aside"]


def test_a_locked_database_delays_and_loses_nothing(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    tmux.run("new-session", "-d", "-s", "web", "sleep 5000")
    sidecar.stored("web", "keep")
    other = sqlite3.connect(sidecar.state / "sidecar.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        body = {"version": "4", "alerts": [{"status": "firing", "labels": {"session": "web"},
                "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "f"}]}  # fmt: skip
        status, answer = sidecar.call("POST", "/alerts", body)
        assert status == 503
        assert "locked" in answer["detail"]
        os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
        eventually(
            lambda: [line for line in sidecar.actions() if "locked" in line.get("error", "")], "said so"
        )
        other.execute("ROLLBACK")
    finally:
        other.close()
    sidecar.verified("web")
    assert sidecar.call("POST", "/alerts", body)[0] == 202
