"""Heartbeats with a running service and real programs: who is told, and what is left alone."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box
from tests.probes.servers import NameServer, unused_port

ANSWERING = """
import http.server, sys
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


def configure(tmux: TmuxBox, *rules: dict[str, Any]) -> tuple[str, str]:
    quick = {"interval": "1s", "retry_interval": "100ms", "timeout": "500ms", "grace": "0s"}
    file = tmux.folder / "config.yml"
    file.write_text(json.dumps({"heartbeats": [{**quick, **rule} for rule in rules]}))
    return "--config", str(file)


def held(sidecar: SidecarBox, session: str) -> dict[str, Any]:
    """The open incident of this session, once it is held."""

    def newest() -> dict[str, Any] | None:
        rows = sidecar.get(f"/api/v1/incidents?session={session}")["incidents"]
        return rows[0] if rows and rows[0]["state"] == "held" else None

    found: dict[str, Any] = eventually(newest, f"a held incident of {session}")
    return found


def over(sidecar: SidecarBox, session: str) -> None:
    rows = f"/api/v1/incidents?session={session}"
    eventually(lambda: sidecar.get(rows)["incidents"][0]["state"] == "dismissed", "its end")


def open_incidents(sidecar: SidecarBox) -> list[int]:
    return [row["id"] for row in sidecar.get("/api/v1/sessions")["incidents"]]


def start(tmux: TmuxBox, name: str, *argv: str) -> None:
    tmux.run("new-session", "-d", "-s", name, "-x", "200", "-y", "50", *argv)


@contextmanager
def name_server(server: NameServer) -> Iterator[str]:
    """A name server in a thread of its own."""
    ready, ended = threading.Event(), asyncio.Event()
    told: list[Any] = []

    async def serve() -> None:
        told.append(asyncio.get_running_loop())
        transport, _ = await told[0].create_datagram_endpoint(lambda: server, local_addr=("127.0.0.1", 0))
        told.append("{}:{}".format(*transport.get_extra_info("sockname")[:2]))
        ready.set()
        await ended.wait()
        transport.close()
        await asyncio.sleep(0)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield told[1]
    finally:
        told[0].call_soon_threadsafe(ended.set)
        thread.join()


def test_a_program_that_stops_answering_is_reported_and_not_touched(tmux: TmuxBox) -> None:
    port = unused_port()
    start(tmux, "api", sys.executable, "-c", ANSWERING, str(port))
    arguments = configure(tmux, {"session": "api", "name": "api", "http": f"http://127.0.0.1:{port}/"})
    with sidecar_box(tmux, *arguments) as sidecar:
        success = 'sidecar_probe_success{probe="http",rule="api"} 1.0'
        eventually(lambda: success in sidecar.get("/metrics", raw=True), "a good try")
        tmux.run("respawn-pane", "-k", "-t", "=api:", "sleep 1001")
        row = held(sidecar, "api")
        assert (row["cause"], row["failure"]) == ("heartbeat_missed", "frozen")
        facts = " ".join(fact["fact"] for fact in row["evidence"])
        assert "connection refused (refused, " in facts
        assert sidecar.recoveries("api") == []
        eventually(lambda: "lets nothing be done" in sidecar.sessions()["api"]["note"], "a note")
        assert sidecar.sessions()["api"]["health"] == "frozen"
        eventually(lambda: open_incidents(sidecar) == [row["id"]], "it in the status")
        tmux.run("respawn-pane", "-k", "-t", "=api:", f"{sys.executable} -c '{ANSWERING}' {port}")
        over(sidecar, "api")
        eventually(lambda: open_incidents(sidecar) == [], "nothing in the status")


HANGING = """
import http.server, os, sys, time
class Handler(http.server.SimpleHTTPRequestHandler):
    def do_GET(self):
        if os.path.exists(sys.argv[2]):
            os.unlink(sys.argv[2])
            time.sleep(1001)
        super().do_GET()
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""


@pytest.mark.parametrize("may", ["interrupt", "respawn"])
def test_a_program_that_hangs_is_started_again_where_the_rule_says_so(tmux: TmuxBox, may: str) -> None:
    port, mark = unused_port(), tmux.folder / "hang"
    start(tmux, "api", sys.executable, "-c", HANGING, str(port), str(mark))
    tmux.run("split-window", "-d", "-t", "=api:", "sleep 1001")
    rule = {"session": "api", "pane": 0, "http": f"http://127.0.0.1:{port}/", "may": [may]}
    with sidecar_box(tmux, *configure(tmux, rule)) as sidecar:
        success = 'sidecar_probe_success{probe="http",rule="heartbeats[0]"} 1.0'
        eventually(lambda: success in sidecar.get("/metrics", raw=True), "a good try")
        sidecar.stored("api")
        before = tmux.panes("#{pane_index} #{pane_pid}")
        mark.touch()
        row = sidecar.verified("api")
        assert row["cause"] == "heartbeat_missed"
        after = tmux.panes("#{pane_index} #{pane_pid}")
        assert after[1] == before[1]
        assert after[0] != before[0]
        eventually(lambda: sidecar.sessions()["api"]["health"] == "healthy", "health")
        assert len(sidecar.recoveries("api")) == 1


def test_a_command_that_hangs_floods_or_forks_harms_nothing(tmux: TmuxBox) -> None:
    start(tmux, "web", "sleep 1001")
    rules = [
        {"session": "web", "name": "hangs", "command": ["sleep", "1002"]},
        {"session": "web", "name": "floods", "command": ["yes"]},
        {"session": "web", "name": "forks", "command": ["sh", "-c", "sleep 1003 & sleep 1004 & true"]},
    ]
    with sidecar_box(tmux, *configure(tmux, *rules)) as sidecar:
        for fault in ("command_hung", "command_flooded"):
            series = f'sidecar_probe_faults_total{{fault="{fault}",probe="command"}} 0.0'
            eventually(lambda series=series: series not in sidecar.get("/metrics", raw=True), fault)
        fine = 'sidecar_probe_success{probe="command",rule="forks"} 1.0'
        eventually(lambda: fine in sidecar.get("/metrics", raw=True), "a good try")
        assert sidecar.sessions()["web"]["up"]
        assert held(sidecar, "web")["cause"] == "heartbeat_missed"


def test_a_name_server_that_stops_answering(tmux: TmuxBox) -> None:
    """Two sessions need it: one incident, one circuit, no restart; and all is well when it is back."""
    server = NameServer(0, ("10.0.0.1",))
    for name in ("web", "api"):
        start(tmux, name, "sleep 1001")
    with name_server(server) as address:
        dns = {"name": "db.example", "server": address}
        arguments = configure(
            tmux, *({"session": name, "dns": dns, "may": ["respawn"]} for name in ("web", "api"))
        )
        with sidecar_box(tmux, *arguments) as sidecar:
            before = tmux.panes("#{pane_pid}")
            eventually(lambda: server.asked > 20, "some tries")
            server.late = None
            name = f"dependency:{address}"
            row = held(sidecar, name)
            assert row["cause"] == "dependency_down"
            told = [fact["fact"] for fact in row["evidence"]]
            assert told[0] == f"api, web wait for {address}"
            assert "no answer from" in told[1]
            circuits = {one["name"]: one["state"] for one in sidecar.get("/api/v1/circuits")["circuits"]}
            assert circuits[name] != "closed"
            server.late = 0.0
            over(sidecar, name)
            assert tmux.panes("#{pane_pid}") == before
            assert sidecar.recoveries("web") + sidecar.recoveries("api") == []
            rows = sidecar.get("/api/v1/incidents")["incidents"]
            assert {one["session"] for one in rows} <= {name}
