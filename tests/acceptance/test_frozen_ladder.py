"""A program that runs and does not answer: interrupted, then ended, and then a person is called."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from tests.box import TmuxBox, eventually, sidecar_box
from tests.probes.servers import unused_port

DEAF = """
import http.server, os, signal, sys, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if os.path.exists(sys.argv[2]):
            if sys.argv[3] == "once":
                os.unlink(sys.argv[2])
            time.sleep(1001)
        super().do_GET()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
PATIENCE = 90.0
"""Seconds: an interrupted program has ten to end, and each verdict as many."""


def configure(tmux: TmuxBox, port: int) -> tuple[str, str]:
    rule = {
        "session": "api", "pane": 0, "http": f"http://127.0.0.1:{port}/", "may": ["interrupt", "respawn"],
        "interval": "1s", "retry_interval": "100ms", "timeout": "500ms", "grace": "0s",
    }  # fmt: skip
    file = tmux.folder / "config.yml"
    budget = {"per_session": "2 per 10m"}
    file.write_text(json.dumps({"heartbeats": [rule], "recovery": {"budget": budget}}))
    return "--config", str(file)


@pytest.mark.parametrize("hangs", ["once", "always"])
def test_the_ladder_is_climbed_and_then_a_person_is_called(tmux: TmuxBox, hangs: str) -> None:
    port, mark = unused_port(), tmux.folder / "hang"
    program = (sys.executable, "-c", DEAF, str(port), str(mark), hangs)
    tmux.run("new-session", "-d", "-s", "api", "-x", "200", "-y", "50", *program)
    tmux.run("split-window", "-d", "-t", "=api:", "sleep 1001")
    with sidecar_box(tmux, *configure(tmux, port)) as sidecar:
        success = 'sidecar_probe_success{probe="http",rule="heartbeats[0]"} 1.0'
        eventually(lambda: success in sidecar.get("/metrics", raw=True), "a good try")
        sidecar.stored("api")
        before = tmux.panes("#{pane_index} #{pane_id} #{pane_pid}")
        mark.touch()
        ended = "verified" if hangs == "once" else "failed"
        wanted = [("interrupt_program", "failed"), ("respawn_pane", ended)]

        def climbed() -> bool:
            rows = sidecar.recoveries("api")[::-1]
            return [(row["strategy"], row["state"]) for row in rows] == wanted

        eventually(climbed, "both rungs", PATIENCE)
        after = tmux.panes("#{pane_index} #{pane_id} #{pane_pid}")
        assert after[1] == before[1]
        assert after[0].split()[:2] == before[0].split()[:2]
        assert after[0] != before[0]
        assert not Path(f"/proc/{before[0].split()[2]}").exists()
        if hangs == "once":
            eventually(lambda: sidecar.sessions()["api"]["health"] == "healthy", "health")
            return
        eventually(lambda: sidecar.sessions()["api"]["health"] == "given_up", "given up", PATIENCE)
        calls = [line["text"] for line in sidecar.actions() if line["action"] == "notified"]
        assert any("given up" in text for text in calls), calls
        assert len(sidecar.recoveries("api")) == 2
