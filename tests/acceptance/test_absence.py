"""What breaks while no sidecar watches is found at its next start, and goes the same way as ever.

Healed is what the evidence shows to be broken. How a program or a session ended that nobody saw go is
not known: it is held and offered, unless it is declared or wanted ``always``.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.box import SidecarBox, TmuxBox, eventually

PROGRAM = "sleep 5002"


@pytest.fixture
def world(tmux: TmuxBox, sidecar: SidecarBox) -> tuple[TmuxBox, SidecarBox]:
    """Two sessions that are stored, one of them with a second window, a shell and a program in it."""
    return prepare(tmux, sidecar)


def prepare(tmux: TmuxBox, sidecar: SidecarBox) -> tuple[TmuxBox, SidecarBox]:
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    tmux.run("new-session", "-d", "-s", "web", "-n", "main", "sleep 5001")
    tmux.run("split-window", "-d", "-t", "=web:main", "bash --norc --noprofile -i")
    tmux.run("new-window", "-d", "-t", "=web:", "-n", "other", "sleep 5003")
    tmux.run("send-keys", "-t", "=web:main.1", PROGRAM, "Enter")
    eventually(lambda: tmux.show("=web:main.1", "#{pane_current_command}") == "sleep", "the program")
    sidecar.stored("web", "keep")
    eventually(lambda: PROGRAM.split() in programs(sidecar, "web"), "the program, stored")
    eventually(lambda: armed(tmux), "failed panes that are kept")
    return tmux, sidecar


def programs(sidecar: SidecarBox, session: str) -> list[list[str]]:
    rows = sidecar.get(f"/api/v1/checkpoints?session={session}&good=true&limit=1")["checkpoints"]
    image = sidecar.get(f"/api/v1/checkpoints/{rows[0]['id']}")["checkpoint"]["image"]
    return [pane["program"] for window in image["windows"] for pane in window["panes"]]


def armed(tmux: TmuxBox) -> bool:
    return set(tmux.panes("#{remain-on-exit}")) == {"failed"}


def crash(sidecar: SidecarBox) -> None:
    assert sidecar.process is not None
    sidecar.process.kill()
    sidecar.process.wait()


def incident(sidecar: SidecarBox, session: str) -> dict[str, Any]:
    """The newest one of a session, once there is one."""
    rows: list[dict[str, Any]] = eventually(
        lambda: sidecar.get(f"/api/v1/incidents?session={session}")["incidents"], f"an incident of {session}"
    )
    return rows[0]


def pid_of(tmux: TmuxBox, target: str) -> int:
    return int(tmux.show(target, "#{pane_pid}"))


def end(tmux: TmuxBox, target: str) -> None:
    """kill -9 of a pane's process, which tmux has noticed."""
    os.kill(pid_of(tmux, target), signal.SIGKILL)
    # It is now and then told of a child only when it has another reason to look.
    eventually(
        lambda: tmux.run("run-shell", "-b", "true") == "" and tmux.show(target, "#{pane_dead}") == "1",
        "a dead pane",
    )


def test_a_pane_that_was_killed_comes_back(world: tuple[TmuxBox, SidecarBox]) -> None:
    tmux, sidecar = world
    sibling = pid_of(tmux, "=web:main.1")
    crash(sidecar)
    end(tmux, "=web:main.0")
    sidecar.start()
    row = sidecar.verified("web")
    assert (row["strategy"], row["cause"]) == ("respawn_pane", "process_killed")
    assert pid_of(tmux, "=web:main.1") == sibling


def test_a_window_whose_processes_were_killed_comes_back(world: tuple[TmuxBox, SidecarBox]) -> None:
    tmux, sidecar = world
    crash(sidecar)
    end(tmux, "=web:other.0")
    sidecar.start()
    row = sidecar.verified("web")
    assert (row["strategy"], row["cause"]) == ("respawn_pane", "process_killed")
    assert tmux.show("=web:other", "#{pane_dead}") == "0"


def test_a_program_that_went_is_held_and_offered_and_stays_stored(
    world: tuple[TmuxBox, SidecarBox],
) -> None:
    """Whether it was killed or ended by a person, nobody has seen."""
    tmux, sidecar = world
    shell = pid_of(tmux, "=web:main.1")
    crash(sidecar)
    tmux.run("send-keys", "-t", "=web:main.1", "C-c")
    eventually(lambda: tmux.show("=web:main.1", "#{pane_current_command}") == "bash", "an idle shell")
    sidecar.start()
    eventually(lambda: incident(sidecar, "web")["state"] == "held", "that it is held")
    found = incident(sidecar, "web")
    assert (found["unit"], found["reason"]) == ("program", "cause_unknown")
    assert "went unseen" in found["evidence"][0]["fact"]
    assert PROGRAM.split() in programs(sidecar, "web")
    assert sidecar.recoveries("web") == []
    assert sidecar.call("POST", "/recover", {"session": "web"})[0] == 202
    assert sidecar.verified("web")["strategy"] == "resume_program"
    eventually(lambda: PROGRAM in tmux.run("capture-pane", "-p", "-t", "=web:main.1"), "the line, offered")
    assert pid_of(tmux, "=web:main.1") == shell
    tmux.run("send-keys", "-t", "=web:main.1", "Enter")
    eventually(lambda: sidecar.sessions()["web"]["note"] == "", "nothing that waits any more")


def test_a_removed_socket_comes_back_and_nothing_else_is_touched(world: tuple[TmuxBox, SidecarBox]) -> None:
    tmux, sidecar = world
    before = tmux.panes("#{pane_id} #{pane_pid}")
    crash(sidecar)
    tmux.socket.unlink()
    sidecar.start()
    row = sidecar.verified("")
    assert row["strategy"] == "recreate_socket"
    assert tmux.panes("#{pane_id} #{pane_pid}") == before


def test_a_session_that_went_is_held_and_offered(world: tuple[TmuxBox, SidecarBox]) -> None:
    """A person may have closed it, and nobody saw: it does not come back by itself."""
    tmux, sidecar = world
    crash(sidecar)
    tmux.run("kill-session", "-t", "=web")
    sidecar.start()
    held = incident(sidecar, "web")
    assert (held["cause"], held["intent"]) == ("unknown", "unknown")
    eventually(lambda: incident(sidecar, "web")["state"] == "held", "that it is held")
    assert incident(sidecar, "web")["reason"] == "cause_unknown"
    assert tmux.sessions() == {"keep"}
    status, ticket = sidecar.call("POST", "/recover", {"session": "web"})
    assert status == 202
    assert sidecar.verified("web")["id"] == ticket["id"]
    assert tmux.sessions() == {"keep", "web"}


def test_a_server_that_went_is_held_and_offered(world: tuple[TmuxBox, SidecarBox]) -> None:
    """How it ended was nobody's to see: `kill-server` leaves the same traces as kill -9."""
    tmux, sidecar = world
    crash(sidecar)
    tmux.lose()
    sidecar.start()
    for name in ("web", "keep"):
        eventually(lambda name=name: incident(sidecar, name)["state"] == "held", f"that {name} is held")
    assert tmux.sessions() == set()
    assert sidecar.call("POST", "/recover", {"session": "web"})[0] == 202
    sidecar.verified("web")


LOSSES: dict[str, Callable[[TmuxBox], object]] = {
    "session": lambda tmux: tmux.run("kill-session", "-t", "=web"),
    "server": lambda tmux: tmux.lose(),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_what_is_wanted_always_comes_back(tmux: TmuxBox, loss: str) -> None:
    file = tmux.folder / "always.yml"
    file.write_text("sessions: {restore: always}\ncheckpoints: {rehearse: off}\n")
    box = SidecarBox(tmux, tmux.folder / "state", ("--config", str(file)))
    box.start()
    try:
        prepare(tmux, box)
        crash(box)
        LOSSES[loss](tmux)
        box.start()
        assert box.verified("web")["strategy"] == "restore_checkpoint"
        assert tmux.show("=web:main.0", "#{pane_start_command}").strip('"') == "sleep 5001"
    finally:
        box.stop()


def test_what_somebody_made_anew_meanwhile_is_theirs(world: tuple[TmuxBox, SidecarBox]) -> None:
    tmux, sidecar = world
    crash(sidecar)
    tmux.run("kill-session", "-t", "=web")
    tmux.run("new-session", "-d", "-s", "web", "sleep 7000")
    sidecar.start()
    eventually(lambda: sidecar.sessions().get("web", {}).get("health") == "healthy", "a healthy session")
    assert sidecar.recoveries("web") == []
    assert tmux.panes("#{session_name} #{pane_start_command}")[-1].endswith('sleep 7000"')


def test_a_sidecar_that_was_stopped_for_a_while_acts_on_the_present(
    world: tuple[TmuxBox, SidecarBox],
) -> None:
    """Stopped in front of a break that a person mends, and of one that nobody does."""
    tmux, sidecar = world
    with sidecar.looking_away():
        os.kill(pid_of(tmux, "=keep:"), signal.SIGKILL)
        eventually(lambda: tmux.show("=keep:", "#{pane_dead}") == "1", "a dead pane")
        tmux.run("respawn-pane", "-k", "-t", "=keep:", "sleep 8000")
        mended = pid_of(tmux, "=keep:")
        os.kill(pid_of(tmux, "=web:other"), signal.SIGKILL)
    assert sidecar.verified("web")["strategy"] == "respawn_pane"
    assert sidecar.recoveries("keep") == []
    assert pid_of(tmux, "=keep:") == mended


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_sidecar_that_ends_while_it_starts_starts_the_next_time(
    tmux: TmuxBox, tmp_path: Path, number: int
) -> None:
    """At whatever moment, and however often: the start after it is like any other."""
    tmux.run("new-session", "-d", "-s", "web", "sleep 5001")
    box = SidecarBox(tmux, tmux.folder / "state")
    box.start()
    box.stored("web")
    crash(box)
    end(tmux, "=web:")
    for moment in ("sidecar.lock", "sidecar.db-wal", "address", "started"):
        box.log.unlink(missing_ok=True)
        (box.state / "address").unlink(missing_ok=True)
        (box.state / "sidecar.lock").unlink(missing_ok=True)
        box.start(ready=False)
        eventually(lambda moment=moment: reached(box, moment), moment)
        assert box.process is not None
        box.process.send_signal(number)
        box.process.wait(20)
    box.start()
    try:
        eventually(lambda: tmux.show("=web:", "#{pane_dead}") == "0", "a living pane")
        eventually(lambda: box.sessions()["web"]["health"] == "healthy", "a healthy session")
        states = {row["state"] for row in box.recoveries("web")}
        assert "running" not in states
    finally:
        assert box.stop() == 0


def reached(box: SidecarBox, moment: str) -> bool:
    if moment == "started":
        return any(line["action"] == "started" for line in box.actions())
    return (box.state / moment).exists()
