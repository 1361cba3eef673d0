"""The fidelity report: what was compared after a restore, and what differs, as the API tells it."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box

HOSTILE = "#(touch pwned) $HOME 'x'"


def build(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "120", "-y", "40", "-e", "SECRET=hunter2", "sleep 1000")
    tmux.run("new-window", "-d", "-t", "=web:4", "sleep 1000")
    tmux.run("split-window", "-d", "-t", "=web:4", "sleep 1001")
    tmux.run("set-option", "-t", "=web:", "status-left", HOSTILE)
    tmux.run("set-hook", "-w", "-t", "=web:4", "pane-died", "display-message 'a b'")
    tmux.run("set-option", "-w", "-t", "=web:4", "synchronize-panes", "on")
    tmux.run("bind-key", "-T", "root", "F5", "display-message", HOSTILE)
    tmux.run("new-session", "-d", "-s", "twin", "-t", "=web")


def seen(tmux: TmuxBox) -> list[str]:
    shown = [tmux.run("show-options", "-H", "-t", f"={name}:") for name in ("web", "twin")]
    shown.append(tmux.run("show-options", "-H", "-w", "-t", "=web:4").replace("@sidecar_armed 1\n", ""))
    shown.append(tmux.run("list-keys", "-T", "root", "F5"))
    # Which of them comes back first is nobody's promise.
    shown.append(tmux.run("list-sessions", "-F", "#{session_name} #{session_group} #{session_group_size}"))
    return shown


def kill_server(tmux: TmuxBox) -> None:
    os.kill(tmux.server_pid(), signal.SIGKILL)


def test_what_was_compared_is_in_the_record(sidecar: SidecarBox, tmux: TmuxBox) -> None:
    build(tmux)
    eventually(lambda: all('"group":"web"' in newest_body(sidecar, name) for name in ("web", "twin")))
    before = seen(tmux)
    kill_server(tmux)
    numbers = [sidecar.verified(name)["id"] for name in ("web", "twin")]
    assert [line for text in seen(tmux) for line in text.splitlines() if not ours(line)] == [
        line for text in before for line in text.splitlines() if not ours(line)
    ]
    for number in numbers:
        recovery = sidecar.get(f"/api/v1/recoveries/{number}")["recovery"]
        compared = recovery["compared"]
        assert compared["window presence"] == 2
        assert compared["pane cwd"] == 3
        assert compared.get("session option", 0) == {"web": 2, "twin": 0}[recovery["session"]]
        assert compared["server binding"] > 200
        assert all(each["tolerated"] and each["note"] for each in recovery["differences"])
        assert "hunter2" not in str(recovery)
    assert not (tmux.folder / "pwned").exists()


def newest_body(sidecar: SidecarBox, session: str) -> str:
    question = "SELECT body FROM checkpoints WHERE session = ? ORDER BY id DESC LIMIT 1"
    with contextlib.closing(sqlite3.connect(f"file:{sidecar.state}/sidecar.db?mode=ro", uri=True)) as book:
        row = book.execute(question, (session,)).fetchone()
    return row[0] if row else ""


def ours(line: str) -> bool:
    return line.startswith(("@sidecar_", "remain-on-exit failed"))


def test_an_option_is_stored_though_nothing_else_has_changed(tmux: TmuxBox) -> None:
    config = tmux.folder / "config.yml"
    config.write_text("checkpoints: {interval: 1s}\n")
    with sidecar_box(tmux, "--config", str(config)) as sidecar:
        build(tmux)
        sidecar.stored("web", "twin")
        tmux.run(
            "set-environment", "-t", "=web:", "LATER", "1", ";", "set-option", "-t", "=web:", "@later", "1"
        )

        eventually(lambda: "@later" in newest_body(sidecar, "web"), "a checkpoint with the option")
        kill_server(tmux)
        sidecar.verified("web")
        assert tmux.run("show-options", "-v", "-t", "=web:", "@later") == "1"
        assert tmux.run("show-environment", "-t", "=web:", "LATER") == "LATER=1"
