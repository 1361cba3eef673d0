"""Health checks with a running service, a real server in a real pane, and what heals it."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box
from tests.command import service
from tests.probes.servers import unused_port

API = """
import http.server, os, sys, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.exists(sys.argv[2] + ".bad") else 200)
        self.end_headers()
    def log_message(self, *_):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
while not os.path.exists(sys.argv[2] + ".deaf"):
    time.sleep(0.01)
server.shutdown()
server.server_close()
os.unlink(sys.argv[2] + ".deaf")
time.sleep(1001)
"""


def configure(tmux: TmuxBox, *checks: dict[str, Any]) -> tuple[str, str]:
    file = tmux.folder / "config.yml"
    file.write_text(json.dumps({"checks": list(checks)}))
    return "--config", str(file)


def listed(sidecar: SidecarBox) -> dict[str, dict[str, Any]]:
    return {one["name"]: one for one in sidecar.get("/api/v1/checks")["checks"]}


def passes(sidecar: SidecarBox, name: str) -> None:
    eventually(lambda: listed(sidecar).get(name, {}).get("state") == "passing", f"{name} passes")


class Api:
    """The server in the pane ``api:0.0``, and how it is made ill."""

    def __init__(self, tmux: TmuxBox) -> None:
        self.port, self.mark = unused_port(), tmux.folder / "api"
        program = tmux.folder / "api.py"
        program.write_text(API)
        self.command = f"{sys.executable} {program} {self.port} {self.mark}"
        self.url = f"http://127.0.0.1:{self.port}/health"

    def fall_ill(self, how: str) -> Path:
        mark = self.mark.with_suffix(f".{how}")
        mark.touch()
        return mark


@pytest.mark.parametrize("way", ["respawn", "restart"])
def test_an_api_that_refuses_is_healed_within_five_seconds(tmux: TmuxBox, way: str) -> None:
    api = Api(tmux)
    tmux.run("new-session", "-d", "-s", "api", "-x", "200", "-y", "50", api.command)
    tmux.run("split-window", "-d", "-t", "=api:", "sleep 1001")
    # As a user would leave it, but for the time until the first try that fails.
    check = {"name": "api", "http": api.url, "interval": "2s", "timeout": "1s", "heal": {way: "api:0.0"}}
    with sidecar_box(tmux, *configure(tmux, check)) as sidecar:
        passes(sidecar, "api")
        sidecar.stored("api")
        before = tmux.panes("#{pane_index} #{pane_pid}")
        api.fall_ill("deaf")
        row = sidecar.verified("api")
        assert (row["failure"], row["cause"], row["strategy"]) == ("unhealthy", "check_failed", "heal_check")
        assert row["time_to_recovery"] < 5.0
        after = tmux.panes("#{pane_index} #{pane_pid}")
        assert (after[0] != before[0], after[1]) == (True, before[1])
        passes(sidecar, "api")
        assert 'sidecar_heals_total{check="api",outcome="verified"} 1.0' in sidecar.get("/metrics", raw=True)
        assert len(sidecar.recoveries("api")) == 1


def test_an_api_in_a_shell_that_answers_5xx_is_ended_and_entered_again(tmux: TmuxBox) -> None:
    api = Api(tmux)
    tmux.run("new-session", "-d", "-s", "api", "-x", "200", "-y", "50", "bash --norc")
    eventually(lambda: "bash" in tmux.run("capture-pane", "-p", "-t", "=api:"), "a prompt")
    tmux.run("send-keys", "-t", "=api:", api.command, "Enter")
    check = {
        "name": "api", "http": api.url, "interval": "2s", "retry_interval": "500ms", "timeout": "400ms",
        "heal": {"restart": "api:0.0"},
    }  # fmt: skip
    with sidecar_box(tmux, *configure(tmux, check)) as sidecar:
        passes(sidecar, "api")
        sidecar.stored("api")
        [shell] = tmux.panes("#{pane_pid}")
        bad = api.fall_ill("bad")
        eventually(lambda: sidecar.recoveries("api"), "a heal")
        bad.unlink()
        row = sidecar.verified("api")
        assert row["time_to_recovery"] < 5.0
        assert tmux.panes("#{pane_pid}") == [shell]
        passes(sidecar, "api")


def test_a_respawn_ends_what_runs_in_the_shell_and_the_shell(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "api", "-x", "200", "-y", "50", "bash --norc")
    eventually(lambda: "bash" in tmux.run("capture-pane", "-p", "-t", "=api:"), "a prompt")
    tmux.run("send-keys", "-t", "=api:", "sleep 1007", "Enter")
    eventually(lambda: tmux.panes("#{pane_current_command}") == ["sleep"], "the program")
    good = tmux.folder / "good"
    check = {
        "name": "file", "command": ["test", "-e", str(good)], "interval": "2s", "retry_interval": "200ms",
        "timeout": "1s", "heal": {"respawn": "api:0.0"},
    }  # fmt: skip
    good.touch()
    with sidecar_box(tmux, *configure(tmux, check)) as sidecar:
        passes(sidecar, "file")
        sidecar.stored("api")
        before = tmux.panes("#{pane_pid}")
        good.unlink()
        eventually(lambda: tmux.panes("#{pane_pid}") != before, "another shell")
        good.touch()
        sidecar.verified("api")
        assert tmux.panes("#{pane_current_command} #{pane_dead}") == ["bash 0"]


def test_heals_that_do_not_help_call_a_person_and_end_when_it_passes(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1001")
    port, done = unused_port(), tmux.folder / "done"
    check = {
        "name": "db", "tcp": f"127.0.0.1:{port}", "interval": "1s", "timeout": "500ms", "tries": 1,
        "heal": {"command": ["sh", "-c", f"echo once >> {done}"]},
    }  # fmt: skip
    with sidecar_box(tmux, *configure(tmux, check)) as sidecar:
        eventually(lambda: listed(sidecar)["db"]["state"] == "given_up", "given up", 40.0)
        assert done.read_text() == "once\n"
        words = "1 given_up"
        eventually(lambda: words in service.run(sidecar.state, "status").output, words)
        assert "(db)" in service.run(sidecar.state, "status").output
        assert "1 of 1 in vain" in service.run(sidecar.state, "checks").output
        told = service.run(sidecar.state, "explain", "check:db").output
        assert "by itself: nothing (heals_in_vain)" in told
        assert "on request: heal_check" in told
        failed = service.run(sidecar.state, "checks", "run", "db")
        assert failed.exit_code == 1
        assert "connection refused" in failed.output
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(("127.0.0.1", port))
            listener.listen()
            passes(sidecar, "db")
            rows = "/api/v1/incidents?session=check:db"
            eventually(lambda: sidecar.get(rows)["incidents"][0]["state"] == "dismissed", "its end")


def test_the_defaults_are_there_without_configuration(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1001")
    with sidecar_box(tmux) as sidecar:
        wanted = {"memory", "disk", "sidecar", "store", "loop", "programs:web"}
        eventually(lambda: wanted <= listed(sidecar).keys(), "the defaults")
        for name in ("sidecar", "store", "loop", "programs:web"):
            passes(sidecar, name)
        found = listed(sidecar)
        assert all(found[name]["built_in"] for name in wanted)
        assert found["memory"]["heal"] == ["drop the sidecar's own caches"]
        assert service.run(sidecar.state, "checks", "run", "store").exit_code == 0
