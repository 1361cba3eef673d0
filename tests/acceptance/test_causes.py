"""From the injury to the verdict: what is seen, what it is called, by which evidence, and what is done."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.edges.tmux.reach import listener
from tests.acceptance.test_recovery import _stored_with, build, pids
from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box
from tests.group import memory_group

AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")
NOBODY = 65534


def facts(row: dict[str, Any]) -> str:
    """The evidence of a recovery or an explanation, as one text."""
    return "\n".join(f"{one['source']}: {one['fact']}" for one in row["evidence"])


def of_server(sidecar: SidecarBox) -> dict[str, Any]:
    """The newest verified recovery of the server itself."""

    def newest() -> dict[str, Any] | None:
        rows = sidecar.get("/api/v1/recoveries")["recoveries"]
        return next((row for row in rows if row["session"] == "" and row["state"] == "verified"), None)

    number = eventually(newest, "a verified recovery of the server")["id"]
    found: dict[str, Any] = sidecar.get(f"/api/v1/recoveries/{number}")["recovery"]
    return found


def refused(sidecar: SidecarBox, reason: str) -> dict[str, Any]:
    """Wait for a refusal with this reason."""

    def said() -> dict[str, Any] | None:
        lines = [line for line in sidecar.actions() if line["action"] == "refused"]
        return next((line for line in lines if line["reason"] == reason), None)

    found: dict[str, Any] = eventually(said, f"a refusal: {reason}")
    return found


def of(row: dict[str, Any]) -> tuple[str, str, str]:
    return row["failure"], row["cause"], row["strategy"]


def detail(sidecar: SidecarBox, row: dict[str, Any]) -> dict[str, Any]:
    """A recovery with its evidence."""
    found: dict[str, Any] = sidecar.get(f"/api/v1/recoveries/{row['id']}")["recovery"]
    return found


def front(tmux: TmuxBox, line: str, name: str = "web") -> int:
    """Type a line into a session's shell, and wait until it runs in front of it; its pid."""
    tmux.run("send-keys", "-t", f"={name}:", line, "Enter")
    shell = int(tmux.show(f"={name}:", "#{pane_pid}"))

    def leader() -> int:
        with open(f"/proc/{shell}/stat") as file:
            group = int(file.read().rpartition(")")[2].split()[5])
        return 0 if group in (shell, -1) else group

    return int(eventually(leader, f"`{line}` in front"))


def watched(sidecar: SidecarBox, pid: int) -> None:
    """Wait until the sidecar holds a pidfd on the process."""
    assert sidecar.process is not None
    folder = f"/proc/{sidecar.process.pid}/fdinfo"

    def held() -> bool:
        for name in os.listdir(folder):
            with contextlib.suppress(OSError), open(f"{folder}/{name}") as file:
                if f"Pid:\t{pid}\n" in file.read():
                    return True
        return False

    eventually(held, f"a pidfd on {pid}")


FATAL = [
    (signal.SIGKILL, "process_killed"),
    (signal.SIGSEGV, "process_crashed"),
    (signal.SIGABRT, "process_crashed"),
]


class TestCrashed:
    @pytest.mark.parametrize(
        ("number", "cause"),
        [
            (signal.SIGKILL, "server_killed"),
            (signal.SIGSEGV, "server_crashed"),
            (signal.SIGABRT, "server_crashed"),
        ],
    )
    def test_a_lost_server(
        self, tmux: TmuxBox, sidecar: SidecarBox, number: signal.Signals, cause: str
    ) -> None:
        build(tmux)
        sidecar.stored("web")
        server = tmux.server_pid()
        os.kill(server, number)
        row = detail(sidecar, sidecar.verified("web"))
        assert of(row) == ("crashed", cause, "restore_checkpoint")
        assert f"tmux server {server} was ended by {number.name}" in facts(row)

    @pytest.mark.parametrize(("number", "cause"), FATAL)
    def test_a_panes_process(
        self, tmux: TmuxBox, sidecar: SidecarBox, number: signal.Signals, cause: str
    ) -> None:
        build(tmux)
        sidecar.stored("web")
        pane, pid = next(iter(pids(tmux).items()))
        watched(sidecar, pid)
        os.kill(pid, number)
        row = detail(sidecar, sidecar.verified("web"))
        assert of(row) == ("crashed", cause, "respawn_pane")
        assert f"pane's process {pid} of {pane} was ended by {number.name}" in facts(row)

    @pytest.mark.parametrize(("number", "cause"), FATAL)
    def test_a_program_in_a_shell(
        self, tmux: TmuxBox, sidecar: SidecarBox, number: signal.Signals, cause: str
    ) -> None:
        tmux.run("new-session", "-d", "-s", "web", "bash --norc")
        pid = front(tmux, "sleep 4321")
        sidecar.stored("web")
        watched(sidecar, pid)
        os.kill(pid, number)
        row = detail(sidecar, sidecar.verified("web"))
        assert of(row) == ("crashed", cause, "resume_program")
        assert f"program {pid} of %0 was ended by {number.name}" in facts(row)

    def test_a_command_that_fails_by_itself(self, tmux: TmuxBox, sidecar: SidecarBox) -> None:
        flag = tmux.folder / "fail"
        command = f"while [ ! -e {flag} ]; do sleep 0.05; done; rm {flag}; exit 3"
        tmux.run("new-session", "-d", "-s", "web", command)
        sidecar.stored("web")
        eventually(lambda: tmux.panes("#{remain-on-exit}") == ["failed"], "an armed window")
        flag.write_text("")
        row = detail(sidecar, sidecar.verified("web"))
        assert of(row) == ("crashed", "command_failed", "respawn_pane")
        assert "exit status: a command ended by itself with 3" in facts(row)


def unkept(tmux: TmuxBox, *windows: str) -> None:
    """Their user wants these windows to go with their processes, although the sidecar had armed them."""
    for window in windows:
        eventually(lambda window=window: tmux.show(window, "#{remain-on-exit}") == "failed", "it is armed")
        tmux.run("set-option", "-w", "-t", window, "remain-on-exit", "off")


class TestWindows:
    def test_a_window_whose_processes_were_killed_comes_back(
        self, tmux: TmuxBox, sidecar: SidecarBox
    ) -> None:
        build(tmux)
        tmux.run("split-window", "-d", "-t", "=web:second", "sleep 5003")
        eventually(lambda: _stored_with(sidecar, "5003"), "a checkpoint of it")
        before = pids(tmux)
        panes = (line.split() for line in tmux.panes("#{window_name} #{pane_id} #{pane_pid}"))
        lost = {pane: int(pid) for window, pane, pid in panes if window == "second"}
        unkept(tmux, "=web:second")
        for pid in lost.values():
            watched(sidecar, pid)
        # Both at once, as one shortage of memory would.
        server = tmux.server_pid()
        os.kill(server, signal.SIGSTOP)
        for pid in lost.values():
            os.kill(pid, signal.SIGKILL)
        os.kill(server, signal.SIGCONT)
        row = detail(sidecar, sidecar.verified("web"))
        assert of(row) == ("crashed", "process_killed", "rebuild_window")
        assert "tmux: window 1 is gone, and no other session has it" in facts(row)
        after = pids(tmux)
        assert {pane: pid for pane, pid in before.items() if pane not in lost}.items() <= after.items()
        commands = tmux.panes("#{window_index} #{pane_current_command}")
        assert [line for line in commands if line.startswith("1 ")] == ["1 sleep", "1 sleep"]

    def test_what_people_do_with_windows_is_no_failure(self, tmux: TmuxBox, sidecar: SidecarBox) -> None:
        build(tmux)
        build(tmux, "api")
        sidecar.stored("web", "api")
        unkept(tmux, "=web:second", "=api:second", "=api:main")
        tmux.run("kill-window", "-t", "=web:second")
        tmux.run("move-window", "-d", "-s", "=api:second", "-t", "=web:5")
        tmux.run("break-pane", "-d", "-s", "=web:main.1")
        tmux.run("join-pane", "-d", "-s", "=web:5", "-t", "=web:main")
        tmux.run("link-window", "-d", "-s", "=api:main", "-t", "=web:9")
        tmux.run("swap-window", "-d", "-s", "=web:9", "-t", "=web:0")
        tmux.run("kill-pane", "-t", "=api:main.1")
        tmux.run("kill-session", "-t", "=api")
        eventually(lambda: "api" not in sidecar.sessions(), "api is let go")
        assert sidecar.get("/api/v1/incidents")["incidents"] == []


_EATER = """\
import os, sys, time
while not os.path.exists(sys.argv[1]):
    time.sleep(0.02)
grown = bytearray(10**9)
"""


class TestOutOfMemory:
    """In a group whose processes may hold only so much; it is there before the sidecar looks."""

    def test_a_program_that_the_kernel_ends_for_memory(self, tmux: TmuxBox) -> None:
        flag, program = tmux.folder / "now", tmux.folder / "eater.py"
        program.write_text(_EATER)
        with memory_group(64_000_000) as group:
            tmux.run("new-session", "-d", "-s", "web", "bash --norc")
            group.add(int(tmux.show("=web:", "#{pane_pid}")))
            with sidecar_box(tmux) as sidecar:
                sidecar.stored("web")
                watched(sidecar, front(tmux, f"{sys.executable} {program} {flag}"))
                flag.write_text("")
                row = detail(sidecar, sidecar.verified("web"))
            os.kill(tmux.server_pid(), signal.SIGKILL)
        assert of(row) == ("crashed", "out_of_memory", "resume_program")
        assert "was ended by SIGKILL" in facts(row)
        assert f"control group: {group.folder}: the kernel has just killed 1 for memory" in facts(row)

    def test_a_server_that_the_kernel_ends_for_memory(self, tmux: TmuxBox) -> None:
        build(tmux)
        build(tmux, "api")
        server = tmux.server_pid()
        large = tmux.folder / "large"
        large.write_bytes(b"x" * 200_000_000)
        with memory_group(100_000_000) as group:
            group.add(server)
            with sidecar_box(tmux) as sidecar:
                sidecar.stored("web", "api")
                watched(sidecar, server)
                tmux.run("load-buffer", str(large), check=False)
                rows = [detail(sidecar, sidecar.verified(name)) for name in ("web", "api")]
                incidents = sidecar.get("/api/v1/incidents")["incidents"]
        assert {of(row) for row in rows} == {("crashed", "out_of_memory", "restore_checkpoint")}
        for row in rows:
            assert f"tmux server {server} was ended by SIGKILL" in facts(row)
            assert f"control group: {group.folder}: the kernel has just killed 1 for memory" in facts(row)
        assert len({row["origin"] for row in incidents}) == 1


class TestDisconnected:
    @pytest.mark.parametrize(
        ("harm", "cause", "told"),
        [
            (lambda tmux: tmux.socket.unlink(), "socket_removed", "the socket is missing"),
            (
                lambda tmux: tmux.socket.parent.rename(tmux.folder / "away"),
                "socket_folder_removed",
                "inotify: the folder was removed",
            ),
            (lambda tmux: tmux.socket.parent.chmod(0o707), "socket_forbidden", "with mode 0707"),
            (
                lambda tmux: _scrap(tmux).rename(tmux.socket),
                "socket_stale",
                "connection: Connection refused",
            ),
            pytest.param(
                lambda tmux: os.chown(tmux.socket, NOBODY, NOBODY),
                "socket_forbidden",
                f"the socket is a socket of uid {NOBODY}",
                marks=AS_ROOT,
            ),
        ],
    )
    def test_a_living_server_is_reached_again_with_the_same_processes(
        self, tmux: TmuxBox, sidecar: SidecarBox, harm: Callable[[TmuxBox], object], cause: str, told: str
    ) -> None:
        build(tmux)
        sidecar.stored("web")
        server, before = tmux.server_pid(), pids(tmux)
        harm(tmux)
        row = of_server(sidecar)
        assert (row["failure"], row["cause"]) == ("disconnected", cause)
        assert row["strategy"] == "recreate_socket"
        assert told in facts(row)
        assert f"tmux server {server} of ours lives" in facts(row)
        assert (tmux.server_pid(), pids(tmux)) == (server, before)
        assert sidecar.recoveries("web") == []
        eventually(lambda: sidecar.sessions()["web"]["health"] == "healthy")

    def test_a_socket_that_a_dead_server_has_left_is_no_disconnection(
        self, tmux: TmuxBox, sidecar: SidecarBox
    ) -> None:
        build(tmux)
        sidecar.stored("web")
        tmux.lose()
        assert sidecar.verified("web")["cause"] == "server_killed"
        recovered = sidecar.get("/api/v1/recoveries")["recoveries"]
        assert [row["session"] for row in recovered] == ["web"]

    def test_a_path_that_another_server_has_taken_is_left_to_the_person(
        self, tmux: TmuxBox, sidecar: SidecarBox
    ) -> None:
        build(tmux)
        sidecar.stored("web")
        server, before = tmux.server_pid(), pids(tmux)
        with sidecar.looking_away():
            tmux.socket.unlink()
            tmux.run("new-session", "-d", "-s", "other", "sleep 1000")
        other = tmux.server_pid()
        line = refused(sidecar, "socket_taken")
        assert f"kill -USR1 {server}" in line["hint"]
        assert sidecar.recoveries("web") == []
        assert sidecar.sessions()["web"]["health"] == "disconnected"
        tmux.socket.rename(tmux.socket.with_name("box-2"))
        os.kill(server, signal.SIGUSR1)
        eventually(lambda: sidecar.sessions()["web"]["health"] == "healthy")
        assert (tmux.server_pid(), pids(tmux)) == (server, before)
        assert listener(tmux.socket.with_name("box-2")) == other
        os.kill(other, signal.SIGKILL)

    def test_the_end_of_our_waiting_client_is_no_incident(self, tmux: TmuxBox, sidecar: SidecarBox) -> None:
        build(tmux)
        sidecar.stored("web")

        def cut_off() -> bool:
            # Now and then it is one that asks something, and not the one that waits.
            if client := _client(sidecar):
                os.kill(client, signal.SIGKILL)
            return "connection_lost" in [line["action"] for line in sidecar.actions()]

        eventually(cut_off, "the end of the waiting client")
        eventually(lambda: "sidecar_connection_losses_total 0.0" not in sidecar.get("/metrics", raw=True))
        # Another one waits: what happens is seen at once, and not at the next tick.
        tmux.run("new-window", "-d", "-t", "=web:", "sleep 5005")
        eventually(lambda: sidecar.sessions()["web"]["windows"] == 3, "the new window is seen")
        assert sidecar.get("/api/v1/incidents")["incidents"] == []


def _scrap(tmux: TmuxBox) -> Path:
    """A file that is no socket."""
    file = tmux.folder / "scrap"
    file.write_text("?")
    return file


def _client(sidecar: SidecarBox) -> int:
    """A tmux client of the sidecar, as a rule the one that waits for the bell; 0 if there is none."""
    assert sidecar.process is not None
    pid = sidecar.process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = file.read().split()
    for child in children:
        with contextlib.suppress(OSError), open(f"/proc/{child}/cmdline") as file:
            if "source-file" in file.read():
                return int(child)
    return 0


@AS_ROOT
def test_a_server_of_another_user_is_left_alone(tmux: TmuxBox) -> None:
    tmux.folder.chmod(0o711)
    with sidecar_box(tmux) as sidecar:
        os.chown(tmux.socket.parent, NOBODY, NOBODY)
        subprocess.run(
            ["tmux", "-S", str(tmux.socket), "-f", "/dev/null", "new-session", "-d", "sleep 9999"],
            user=NOBODY, group=NOBODY, extra_groups=[], cwd="/", timeout=20, check=True,
            env={"PATH": os.environ["PATH"], "SHELL": "/bin/sh"},
        )  # fmt: skip
        theirs = listener(tmux.socket)
        try:
            line = refused(sidecar, "foreign_server")
            assert "socket of your own" in line["hint"]
            assert sidecar.sessions() == {}
            shown = subprocess.run(
                ["tmux", "-S", str(tmux.socket), "show-hooks", "-g"],
                capture_output=True, text=True, timeout=20, check=True,
            )  # fmt: skip
            assert "tmux-sidecar" not in shown.stdout
        finally:
            os.kill(theirs, signal.SIGKILL)
