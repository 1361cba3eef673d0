"""What does not go on although it is there: the smallest, gentlest cure, and nothing healthy touched."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar.edges import process
from sidecar.edges.stopped import writable
from sidecar.model.running import Running
from tests.acceptance.test_recovery import build, pids
from tests.box import PATIENCE, SidecarBox, TmuxBox, eventually, sidecar_box


@pytest.fixture
def hasty(tmux: TmuxBox) -> Iterator[SidecarBox]:
    """A sidecar that does not wait long for an answer."""
    file = tmux.folder / "config.yml"
    file.write_text("tmux: {timeout: 500ms}\n")
    with sidecar_box(tmux, "--config", str(file)) as box:
        yield box


def incident(sidecar: SidecarBox, cause: str) -> dict[str, Any]:
    """The newest incident of this cause."""

    def newest() -> dict[str, Any] | None:
        rows = sidecar.get("/api/v1/incidents")["incidents"]
        return next((row for row in rows if row["cause"] == cause), None)

    found: dict[str, Any] = eventually(newest, f"an incident with cause {cause}")
    return found


def healed(sidecar: SidecarBox, cause: str) -> dict[str, Any]:
    """The newest verified recovery from this cause."""

    def newest() -> dict[str, Any] | None:
        rows = sidecar.get("/api/v1/recoveries")["recoveries"]
        return next((row for row in rows if (row["cause"], row["state"]) == (cause, "verified")), None)

    found: dict[str, Any] = eventually(newest, f"a verified recovery from {cause}")
    return found


def facts(sidecar: SidecarBox, cause: str) -> str:
    return " | ".join(fact["fact"] for fact in incident(sidecar, cause)["evidence"])


def test_stopped_server_goes_on_with_all_its_processes(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    build(tmux, "api")
    sidecar.stored("web", "api")
    before, server = pids(tmux), tmux.server_pid()
    os.kill(server, signal.SIGSTOP)
    row = healed(sidecar, "server_suspended")
    assert row["strategy"] == "continue_process"
    assert f"tmux server {server} was stopped by a signal (state T)" in facts(sidecar, "server_suspended")
    # How fast it really is, `make bench` measures; here others use the machine, too.
    assert row["time_to_recovery"] < 10.0
    assert pids(tmux) == before
    rows = sidecar.get("/api/v1/recoveries")["recoveries"]
    assert len([one for one in rows if one["cause"] == "server_suspended"]) == 1
    eventually(lambda: {one["health"] for one in sidecar.sessions().values()} == {"healthy"})


def test_a_server_that_was_stopped_before_we_came_goes_on_too(tmux: TmuxBox) -> None:
    build(tmux)
    before = pids(tmux)
    os.kill(tmux.server_pid(), signal.SIGSTOP)
    with sidecar_box(tmux) as sidecar:
        healed(sidecar, "server_suspended")
        assert pids(tmux) == before


def test_a_server_that_waits_for_nothing_we_know_is_told_and_left_alone(
    tmux: TmuxBox, hasty: SidecarBox
) -> None:
    build(tmux)
    hasty.stored("web")
    before = pids(tmux)
    with waits_for_a_pipe(tmux):
        assert "sleeps (state S)" in facts(hasty, "server_unresponsive")
        refused = eventually(lambda: [row for row in hasty.actions() if row["action"] == "refused"])
        assert {row["reason"] for row in refused} == {"no_cure"}
        assert {one["health"] for one in hasty.sessions().values()} == {"unknown"}
    eventually(lambda: incident(hasty, "server_unresponsive")["state"] == "dismissed")
    assert pids(tmux) == before
    rows = hasty.get("/api/v1/recoveries")["recoveries"]
    assert [row for row in rows if row["failure"] == "frozen"] == []


def test_a_server_in_the_kernel_is_waited_for(tmux: TmuxBox, hasty: SidecarBox) -> None:
    build(tmux)
    hasty.stored("web")
    before = pids(tmux)
    with frozen_cgroup(tmux):
        assert "cannot be signalled (state D)" in facts(hasty, "server_blocked")
    eventually(lambda: incident(hasty, "server_blocked")["state"] == "dismissed")
    assert pids(tmux) == before


def test_a_stopped_terminal_that_holds_up_the_server_goes_on(tmux: TmuxBox, hasty: SidecarBox) -> None:
    build(tmux)
    hasty.stored("web")
    before = pids(tmux)
    with a_full_terminal(tmux) as reader:
        assert healed(hasty, "client_wedged")["strategy"] == "continue_process"
        told = facts(hasty, "client_wedged")
        assert "it takes no more, and the server would wait for it" in told
        assert f"reader of that terminal {reader.pid} `" in told
        assert pids(tmux).items() >= before.items()


def stopped(pid: int) -> bool:
    found = process.state(pid)
    return found is not None and found.running is Running.STOPPED


@contextmanager
def waits_for_a_pipe(tmux: TmuxBox) -> Iterator[None]:
    """The server opens a pipe that nobody writes to."""
    pipe = tmux.folder / "pipe"
    os.mkfifo(pipe)
    tmux.run("set-hook", "-g", "session-renamed", f"source-file {pipe}")
    # Its answer waits, too.
    rename = ["tmux", "-L", tmux.name, "rename-session", "-t", "=web", "w"]
    asked = subprocess.Popen(rename, env=tmux.environment)
    try:
        yield
    finally:
        os.close(os.open(pipe, os.O_WRONLY))
        asked.wait(PATIENCE)


@contextmanager
def frozen_cgroup(tmux: TmuxBox) -> Iterator[None]:
    """The server, and nothing else, in a cgroup that is frozen."""
    home = Path("/sys/fs/cgroup/freezer")
    folder = home / tmux.folder.name
    server = str(tmux.server_pid())
    try:
        folder.mkdir()
        (folder / "cgroup.procs").write_text(server)
    except OSError as error:
        pytest.skip(f"no freezer of cgroup v1 here: {error}")
    try:
        (folder / "freezer.state").write_text("FROZEN")
        yield
    finally:
        (folder / "freezer.state").write_text("THAWED")
        (home / "cgroup.procs").write_text(server)
        folder.rmdir()


@contextmanager
def a_full_terminal(tmux: TmuxBox) -> Iterator[subprocess.Popen[bytes]]:
    """A client has gone, its terminal is full and nobody reads it: the process that should was stopped.

    A tmux command that runs in the terminal of another client makes it one that the server waits for.
    """
    program = Path(__file__).with_name("terminal.py")
    command = [sys.executable, str(program), tmux.name]
    reader = subprocess.Popen(command, env=tmux.environment | {"TERM": "xterm"}, stdout=subprocess.PIPE)
    assert reader.stdout is not None
    try:
        client = int(reader.stdout.readline())
        tmux.run("new-window", "-t", "=web:", "yes and no and yes")
        eventually(lambda: stopped(reader.pid), "the reader's stop")
        eventually(lambda: not writable(f"/proc/{client}/fd/0"), "a full terminal")
        os.kill(client, signal.SIGKILL)
        yield reader
    finally:
        reader.kill()
        reader.wait()
        reader.stdout.close()


def test_program_that_was_stopped_in_its_wrapper_goes_on_and_a_job_does_not(
    tmux: TmuxBox, sidecar: SidecarBox
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "200", "-y", "50", "sh -c 'sleep 4321; true'")
    tmux.run("split-window", "-t", "=web:", "bash --norc")
    tmux.run("send-keys", "-t", "=web:", "sleep 4322", "Enter")
    eventually(lambda: tmux.show("=web:", "#{pane_current_command}") == "sleep")
    tmux.run("send-keys", "-t", "=web:", "C-z")
    eventually(lambda: tmux.show("=web:", "#{pane_current_command}") == "bash")
    sidecar.stored("web")
    before = pids(tmux)
    [victim], [job] = pids_of(tmux, "sleep 4321"), pids_of(tmux, "sleep 4322")
    os.kill(victim, signal.SIGSTOP)
    row = healed(sidecar, "process_suspended")
    assert (row["strategy"], row["session"]) == ("continue_process", "web")
    assert f"process {victim} `sleep 4321` in %0 was stopped" in facts(sidecar, "process_suspended")
    assert row["time_to_recovery"] < 10.0
    assert (stopped(victim), stopped(job)) == (False, True)
    assert pids(tmux) == before


def pids_of(tmux: TmuxBox, command: str) -> list[int]:
    """Of those that have started on this server: others run tests on this machine too."""
    everyone = map(int, filter(str.isdigit, os.listdir("/proc")))
    found = [pid for pid in everyone if process.command_line(pid) == command]
    ours = f"TMUX={tmux.socket},".encode()
    return [pid for pid in found if ours in Path(f"/proc/{pid}/environ").read_bytes()]


def test_terminal_stopped_by_ctrl_s_goes_on_where_the_rule_says_so(tmux: TmuxBox) -> None:
    file = tmux.folder / "config.yml"
    file.write_text("sessions: {overrides: {web: {unblock_terminal: 1s}}}\n")
    for name in ("web", "api"):
        tmux.run("new-session", "-d", "-s", name, "-x", "200", "-y", "50", "bash --norc")
        eventually(lambda name=name: "bash" in tmux.run("capture-pane", "-p", "-t", f"={name}:"))
    with sidecar_box(tmux, "--config", str(file)) as sidecar:
        sidecar.stored("web", "api")
        before = pids(tmux)
        terminals = {name: tmux.show(f"={name}:", "#{pane_tty}") for name in ("web", "api")}
        for name, terminal in terminals.items():
            tmux.run("send-keys", "-t", f"={name}:", "C-s")
            eventually(lambda terminal=terminal: not writable(terminal), "a stopped terminal")
        row = healed(sidecar, "terminal_stopped")
        assert (row["strategy"], row["session"]) == ("unblock_terminal", "web")
        pane = tmux.show("=web:", "#{pane_id}")
        assert f"the terminal of {pane} takes no output" in facts(sidecar, "terminal_stopped")
        assert writable(terminals["web"])
        assert not writable(terminals["api"]), "nobody has asked for it"
        assert pids(tmux) == before
