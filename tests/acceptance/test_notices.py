"""People are told by a running service, also of what happened before it was killed."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from tests.box import TmuxBox, eventually, sidecar_box


class Room(ThreadingHTTPServer):
    """A chat room: keeps what is said, or refuses it for the moment."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.closed = False
        self.refused = 0
        self.said: list[dict[str, Any]] = []


class _Door(BaseHTTPRequestHandler):
    server: Room

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.closed:
            self.server.refused += 1
        else:
            self.server.said.append(body)
        self.send_response(503 if self.server.closed else 200)
        self.end_headers()

    def log_message(self, *anything: object) -> None:
        pass


@pytest.fixture
def room() -> Iterator[Room]:
    server = Room()
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_recovery_is_told_also_after_the_sidecar_was_killed(tmux: TmuxBox, room: Room) -> None:
    config = tmux.folder / "config.yml"
    config.write_text(f"notify: [{{webhook: 'http://127.0.0.1:{room.server_port}/room'}}]\n")
    tmux.run("new-session", "-d", "-s", "web", "-x", "80", "-y", "24", "sleep 5001")
    room.closed = True
    with sidecar_box(tmux, "--config", str(config)) as sidecar:
        sidecar.stored("web")
        os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
        row = sidecar.verified("web")
        eventually(lambda: room.refused, "the first attempt")
        sidecar.stop(signal.SIGKILL)
        room.closed = False
        sidecar.start()
        [said] = eventually(lambda: room.said, "the notice")
        assert "web is back by respawn_pane" in said["text"]
        assert said["notices"][0]["trace"] == row["trace"]
        assert 'sidecar_notifications_total{channel="webhook",outcome="delivered"} 1.0' in sidecar.get(
            "/metrics", raw=True
        )
