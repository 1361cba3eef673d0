"""A stuck Python program, from the missed heartbeat to the stacks in its incident."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from tests.box import TmuxBox, eventually, sidecar_box
from tests.command import service
from tests.probes.servers import unused_port

STUCK = """
import faulthandler, http.server, os, signal, sys, threading

faulthandler.register(signal.SIGUSR1, all_threads=True)
signal.signal(signal.SIGINT, signal.SIG_IGN)
lock = threading.Lock()

def takes_the_lock_twice():
    with lock:
        with lock:
            pass

class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if os.path.exists(sys.argv[2]):
            os.unlink(sys.argv[2])
            takes_the_lock_twice()
        self.send_response(200)
        self.end_headers()

    def log_message(self, *words):
        pass

http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.parametrize("allowed", [True, False], ids=["respawned", "reported"])
def test_the_stacks_of_a_stuck_program_are_kept_before_it_is_ended(tmux: TmuxBox, allowed: bool) -> None:
    port, mark, program = unused_port(), tmux.folder / "hang", tmux.folder / "api.py"
    program.write_text(STUCK)
    rule: dict[str, Any] = {
        "session": "api", "http": f"http://127.0.0.1:{port}/", "stack_signal": "USR1",
        "interval": "1s", "retry_interval": "100ms", "timeout": "500ms", "grace": "0s",
    }  # fmt: skip
    if allowed:
        rule["may"] = ["respawn"]
    file = tmux.folder / "config.yml"
    file.write_text(json.dumps({"heartbeats": [rule]}))
    command = (sys.executable, str(program), str(port), str(mark))
    tmux.run("new-session", "-d", "-s", "api", "-x", "200", "-y", "50", *command)
    pid = int(tmux.show("=api:", "#{pane_pid}"))
    with sidecar_box(tmux, "--config", str(file)) as sidecar:
        success = 'sidecar_probe_success{probe="http",rule="heartbeats[0]"} 1.0'
        eventually(lambda: success in sidecar.get("/metrics", raw=True), "a good try")
        sidecar.stored("api")
        mark.touch()
        if allowed:
            sidecar.verified("api")
        eventually(lambda: sidecar.get("/api/v1/incidents")["incidents"], "an incident")
        seen = eventually(lambda: sidecar.get("/api/v1/incidents/1")["diagnostics"], "what was seen")
        (pane,) = seen["panes"]
        assert (pane["pid"], pane["ending"]) == (pid, None)
        (process,) = pane["tree"]["processes"]
        assert (process["pid"], process["python"]) == (pid, True)
        assert process["waits_in"].startswith("futex")
        assert process["stack"]
        (stack,) = pane["stacks"]
        calls = [call.partition(" ")[0] for thread in stack["threads"] for call in thread["calls"]]
        assert calls[0] == "takes_the_lock_twice"
        assert calls[1].endswith("do_GET")
        assert any("in takes_the_lock_twice" in line for line in pane["tail"]["lines"])
        assert seen["missing"] == []
        told = service.run(sidecar.state, "incidents", "show", "1").output
        assert f"{pid} in the kernel: futex" in told
        assert "        takes_the_lock_twice (api.py:" in told
        assert "takes_the_lock_twice" not in sidecar.log.read_text()
        assert (int(tmux.show("=api:", "#{pane_pid}")) == pid) is not allowed
