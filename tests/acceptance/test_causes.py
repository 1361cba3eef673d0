"""From the injury to the verdict: what is seen, what it is called, by which evidence, and what is done."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

from sidecar.edges.tmux.reach import listener
from tests.acceptance.test_recovery import build, pids
from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box

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
                lambda tmux: (tmux.socket.unlink(), tmux.socket.write_text("?")),
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
        os.kill(server, signal.SIGSTOP)
        tmux.socket.unlink()
        tmux.run("new-session", "-d", "-s", "other", "sleep 1000")
        os.kill(server, signal.SIGCONT)
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
        # To SIGTERM a client answers as to a ring.
        for number in (signal.SIGTERM, signal.SIGKILL):
            client = eventually(lambda: _waiting_client(sidecar), "our client")
            os.kill(client, number)
            eventually(lambda client=client: _waiting_client(sidecar) not in (0, client), "another client")
        eventually(lambda: "sidecar_connection_losses_total 1.0" in sidecar.get("/metrics", raw=True))
        assert [line["action"] for line in sidecar.actions()].count("connection_lost") == 1
        assert sidecar.get("/api/v1/incidents")["incidents"] == []


def _waiting_client(sidecar: SidecarBox) -> int:
    """The tmux client that waits for the bell."""
    assert sidecar.process is not None
    pid = sidecar.process.pid
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        children = file.read().split()
    for child in children:
        with open(f"/proc/{child}/cmdline") as file:
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
