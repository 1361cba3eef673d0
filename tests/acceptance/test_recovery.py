"""The main job on a real tmux: what is broken comes back, what is healthy is not touched."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from contextlib import closing

import pytest

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box


def build(tmux: TmuxBox, name: str = "web") -> None:
    """Two windows, three panes: a shell, a command, and a command in a window of its own."""
    tmux.run("new-session", "-d", "-s", name, "-x", "200", "-y", "50", "-n", "main")
    tmux.run("split-window", "-t", f"={name}:main", "sleep 5001")
    tmux.run("new-window", "-d", "-t", f"={name}:", "-n", "second", "sleep 5002")


def shape(tmux: TmuxBox) -> list[str]:
    """All that a person would call the session's form."""
    return tmux.panes(
        "#{session_name} #{window_index} #{window_name} #{pane_index} #{window_active} #{pane_active} "
        "#{window_zoomed_flag} #{pane_width}x#{pane_height} #{pane_current_path} #{pane_current_command}"
    )


def pids(tmux: TmuxBox) -> dict[str, int]:
    return {line.split()[0]: int(line.split()[1]) for line in tmux.panes("#{pane_id} #{pane_pid}")}


def test_killed_pane_process_is_respawned_where_it_was(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    sidecar.stored("web")
    before, form = pids(tmux), shape(tmux)
    victim = next(
        line.split()[0] for line in tmux.panes("#{pane_id} #{pane_start_command}") if "5001" in line
    )
    os.kill(before[victim], signal.SIGKILL)
    row = sidecar.verified("web")
    assert (row["strategy"], row["cause"]) == ("respawn_pane", "process_killed")
    after = pids(tmux)
    assert after[victim] != before[victim]
    assert {k: v for k, v in after.items() if k != victim} == {k: v for k, v in before.items() if k != victim}
    assert shape(tmux) == form


def test_killed_server_comes_back_with_all_sessions(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    build(tmux, "api")
    tmux.run("resize-pane", "-Z", "-t", "=api:main")
    sidecar.stored("web", "api")
    eventually(lambda: sidecar.sessions()["api"]["health"] == "healthy")
    form, server = shape(tmux), tmux.server_pid()
    os.kill(server, signal.SIGKILL)
    rows = [sidecar.verified("web"), sidecar.verified("api")]
    assert {row["cause"] for row in rows} == {"server_killed"}
    assert {row["strategy"] for row in rows} == {"restore_checkpoint"}
    assert tmux.server_pid() != server
    assert sorted(shape(tmux)) == sorted(form)


def test_what_a_person_closes_stays_closed_and_comes_back_on_request(
    tmux: TmuxBox, sidecar: SidecarBox
) -> None:
    build(tmux)
    build(tmux, "api")
    sidecar.stored("web", "api")
    tmux.run("kill-session", "-t", "=web")
    eventually(lambda: "web" not in sidecar.sessions(), "the session is let go")
    assert sidecar.recoveries("web") == []
    assert tmux.sessions() == {"api"}
    status, body = sidecar.call("POST", "/recover", {"session": "web"})
    assert status == 202, body
    assert sidecar.verified("web")["asker"] == "operator"
    assert tmux.sessions() == {"api", "web"}


def test_exit_of_a_shell_closes_its_pane(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    sidecar.stored("web")
    armed = "#{window_index} #{remain-on-exit}"
    eventually(lambda: "0 failed" in tmux.panes(armed), "armed windows")
    tmux.run("send-keys", "-t", "=web:main.0", "exit 3", "Enter")
    eventually(lambda: len(tmux.panes("#{pane_id}")) == 2, "the pane is closed")
    assert sidecar.recoveries("web") == []


def test_killed_program_in_a_shell_is_typed_and_held(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "200", "-y", "50", "bash --norc")
    tmux.run("send-keys", "-t", "=web:", "sleep 4321", "Enter")
    command = "#{pane_current_command}"
    eventually(lambda: tmux.show("=web:", command) == "sleep")
    eventually(lambda: sidecar.get("/api/v1/sessions")["sessions"], "adopted")
    leader = eventually(lambda: _child_of(int(tmux.show("=web:", "#{pane_pid}"))))
    eventually(lambda: str(leader) in _watched(sidecar), "the program is watched")
    os.kill(leader, signal.SIGKILL)
    row = sidecar.verified("web")
    assert (row["strategy"], row["cause"]) == ("resume_program", "process_killed")
    screen = eventually(
        lambda: [s for s in [tmux.run("capture-pane", "-p", "-t", "=web:")] if s.count("4321") > 1]
    )
    assert screen[0].rstrip().endswith("sleep 4321")
    assert tmux.show("=web:", command) == "bash"


def test_a_held_line_that_nobody_entered_is_held_again(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "200", "-y", "50", "bash --norc")
    tmux.run("send-keys", "-t", "=web:", "sleep 4321", "Enter")
    eventually(lambda: tmux.show("=web:", "#{pane_current_command}") == "sleep")
    eventually(lambda: _stored_with(sidecar, "4321"), "a checkpoint of it")
    for number in (1, 2):
        os.kill(tmux.server_pid(), signal.SIGKILL)
        row = sidecar.verified("web", number)
        held = [one["note"] for one in row["differences"] if one["field"] == "program"]
        assert held
        assert "`sleep 4321` waits to be entered" in held[0]
        eventually(lambda: sidecar.sessions()["web"]["health"] == "healthy")


def test_removed_socket_is_made_again_and_no_process_is_lost(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    sidecar.stored("web")
    before = pids(tmux)
    tmux.socket.unlink()
    eventually(tmux.socket.exists, "the socket")
    eventually(
        lambda: [r for r in sidecar.get("/api/v1/recoveries")["recoveries"] if r["state"] == "verified"]
    )
    assert pids(tmux) == before


def test_stopping_leaves_every_session_and_nothing_of_ours(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    sidecar.stored("web")
    eventually(lambda: "failed" in tmux.panes("#{remain-on-exit}"))
    before = pids(tmux)
    assert sidecar.stop() == 0
    assert pids(tmux) == before
    assert "900" not in tmux.run("show-hooks", "-g")
    assert set(tmux.panes("#{remain-on-exit}#{@sidecar_armed}")) == {"off"}
    assert not [line for line in sidecar.actions() if line["action"] == "task_failed"]


def test_a_rebuilt_server_outlives_a_killed_sidecar(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    sidecar.stored("web")
    os.kill(tmux.server_pid(), signal.SIGKILL)
    sidecar.verified("web")
    server = tmux.server_pid()
    sidecar.stop(signal.SIGKILL)
    assert tmux.server_pid() == server
    assert tmux.sessions() == {"web"}


def test_stopping_leaves_nothing_of_ours_in_what_was_rebuilt_either(
    tmux: TmuxBox, sidecar: SidecarBox
) -> None:
    build(tmux)
    sidecar.stored("web")
    os.kill(tmux.server_pid(), signal.SIGKILL)
    sidecar.verified("web")
    eventually(lambda: "failed1" in tmux.panes("#{remain-on-exit}#{@sidecar_armed}"), "armed windows")
    assert sidecar.stop() == 0
    assert set(tmux.panes("#{remain-on-exit}#{@sidecar_armed}")) == {"off"}
    assert "900" not in tmux.run("show-hooks", "-g")


def test_what_vanished_while_nobody_watched_is_held_until_asked(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    build(tmux, "api")
    sidecar.stored("web", "api")
    sidecar.stop()
    tmux.run("kill-session", "-t", "=web")
    sidecar.start()
    held = eventually(lambda: sidecar.sessions()["web"]["note"], "a note")
    assert "could not be learnt" in held
    assert tmux.sessions() == {"api"}
    status, body = sidecar.call("POST", "/recover", {"session": "web", "dry_run": True})
    assert (status, body["strategy"]) == (200, "restore_checkpoint")
    assert tmux.sessions() == {"api"}
    assert sidecar.call("POST", "/recover", {"session": "web"})[0] == 202
    sidecar.verified("web")


def test_a_session_that_keeps_failing_is_given_up(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    tmux.run("new-session", "-d", "-s", "web", "sleep 5003")
    sidecar.stored("web")
    for number in range(1, 6):
        os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
        sidecar.verified("web", number)
    os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
    eventually(lambda: sidecar.sessions()["web"]["health"] == "given_up", "given up")
    assert len(sidecar.recoveries("web")) == 5
    assert sidecar.call("POST", "/recover", {"session": "web"})[0] == 202
    sidecar.verified("web", 6)


@pytest.mark.parametrize("wiped", [False, True], ids=["untouched", "wiped"])
def test_two_sidecars_do_not_share_a_server(tmux: TmuxBox, sidecar: SidecarBox, wiped: bool) -> None:
    if wiped:
        build(tmux)
        sidecar.stored("web")
        shutil.rmtree(tmux.socket.parent)
        eventually(tmux.socket.exists, "the socket again")
    second = SidecarBox(tmux, tmux.folder / "other")
    second.start(ready=False)
    assert second.process is not None
    assert second.process.wait(20) == 1
    assert sidecar.process is not None
    assert f"pid {sidecar.process.pid}" in second.log.read_text()


def test_observe_mode_does_nothing(tmux: TmuxBox) -> None:
    build(tmux)
    with sidecar_box(tmux, "--observe") as sidecar:
        sidecar.stored("web")
        server = tmux.server_pid()
        os.kill(server, signal.SIGKILL)
        note = eventually(lambda: sidecar.sessions()["web"]["note"], "a note")
        assert "observe mode: restore_checkpoint would have been done" in note
        assert tmux.server_pid() == 0


def _stored_with(sidecar: SidecarBox, word: str) -> bool:
    """Whether the newest checkpoint of all has this word."""
    with closing(sqlite3.connect(f"file:{sidecar.state / 'sidecar.db'}?mode=ro", uri=True)) as db:
        newest = db.execute("SELECT body FROM checkpoints ORDER BY id DESC LIMIT 1").fetchone()
    return newest is not None and word in newest[0]


def _child_of(pid: int) -> int:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = file.read().split()
    return int(children[0]) if children else 0


def _watched(sidecar: SidecarBox) -> set[str]:
    """Pids that the sidecar holds a pidfd on."""
    assert sidecar.process is not None
    folder = f"/proc/{sidecar.process.pid}/fdinfo"
    found = set()
    for name in os.listdir(folder):
        try:
            with open(f"{folder}/{name}") as file:
                found |= {line.split()[1] for line in file if line.startswith("Pid:")}
        except OSError:
            continue
    return found
