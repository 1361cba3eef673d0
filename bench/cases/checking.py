"""Health checks: what two hundred of them cost, and how soon an API that is ill answers again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.line import Line, Plan, Sample, Unit
from bench.machine import Memory, cpu_seconds, memory
from bench.measure import be_still, wait_for
from tests.box import SidecarBox, TmuxBox, sidecar_box, tmux_box
from tests.probes.servers import unused_port

_SECONDS = 40.0
_SHARES = {"http": 80, "tcp": 60, "disk": 20, "memory": 10, "load": 10, "process": 10, "command": 10}
"""How many of each kind; two hundred in all."""
_INTERVAL = "5s"
_PATIENCE = 60.0
_MB = 1_000_000

_SERVER = """
import asyncio, sys
async def serve(reader, writer):
    try:
        while await reader.readuntil(b"\\r\\n\\r\\n"):
            writer.write(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok")
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", int(sys.argv[1]))
    print("ready", flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
_API = """
import http.server, os, sys, threading, time
mark = sys.argv[2]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503 if os.path.exists(mark + ".bad") else 200)
        self.end_headers()
    def log_message(self, *_):
        pass
for each in (".bad", ".deaf"):
    if os.path.exists(mark + each):
        os.unlink(mark + each)
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
while not os.path.exists(mark + ".deaf"):
    time.sleep(0.01)
server.shutdown()
server.server_close()
time.sleep(100_000)
"""


def checks(plan: Plan) -> list[Line]:
    """The service with them beside the same service without any."""
    with _server() as port:
        idle = [_share(()) for _ in range(plan.of(1))]
        busy = [_share(_two_hundred(port)) for _ in range(plan.of(1))]
    name = f"{sum(_SHARES.values())} checks every {_INTERVAL}"
    kinds = ", ".join(f"{count} {kind}" for kind, count in _SHARES.items())
    cost = Sample(tuple(max(with_them[0] - idle[0][0], 0.0) for with_them in busy))
    more = Sample(tuple(float(with_them[1].anonymous - idle[0][1].anonymous) for with_them in busy))
    return [
        Line(
            f"{name}: CPU beyond that of a service without", Unit.CORE, cost,
            Sample(tuple(share for share, _ in idle)), "< 3 %", 0.03,
            note=f"{kinds}; the commands' own time included",
        ),
        Line(f"{name}: anonymous memory beyond that of a service without", Unit.BYTES, more, None, "< 5 MB",
             5.0 * _MB, note=f"{busy[0][1].anonymous / _MB:.1f} MB in all"),
    ]  # fmt: skip


def api(plan: Plan) -> list[Line]:
    """From the first try that fails to the verdict that it answers again."""
    refused, bad = [], []
    with tmux_box() as tmux:
        mark, port = tmux.folder / "api", unused_port()
        program = tmux.folder / "api.py"
        program.write_text(_API)
        tmux.run("new-session", "-d", "-s", "api", f"{sys.executable} {program} {port} {mark}")
        url = f"http://127.0.0.1:{port}/"
        check = {
            "name": "api",
            "http": url,
            "interval": "3s",
            "timeout": "2s",
            "heal": {"respawn": "api:0.0"},
        }
        with _service(tmux, [check]) as sidecar:
            for number in range(plan.of(5)):
                refused.append(_healed(sidecar, mark.with_suffix(".deaf"), url, 2 * number + 1))
                bad.append(_healed(sidecar, mark.with_suffix(".bad"), url, 2 * number + 2))
    return [
        Line(f"an API that {how}: first failed try to answering again", Unit.SECONDS,
             Sample(tuple(took)), None, "< 5 s", 5.0, note=note)
        for how, took, note in (
            ("refuses", refused, "a refusal needs no repeat"),
            ("answers 503", bad, "after three in a row, a second apart"),
        )
    ]  # fmt: skip


def _two_hundred(port: int) -> list[dict[str, Any]]:
    asks: dict[str, Any] = {
        "http": f"http://127.0.0.1:{port}/", "tcp": f"127.0.0.1:{port}",
        "disk": {"path": "/", "free": "1B"}, "memory": {"above": "100%"},
        "load": {"above": 10_000}, "process": {"name": "tmux: server"}, "command": ["true"],
    }  # fmt: skip
    return [
        {"name": f"{kind}{number}", kind: asks[kind], "interval": _INTERVAL, "timeout": "2s"}
        for kind, count in _SHARES.items()
        for number in range(count)
    ]


def _share(wanted: Sequence[dict[str, Any]]) -> tuple[float, Memory]:
    """The share of a core that the service takes, and its memory after that."""
    with tmux_box() as tmux:
        tmux.run("new-session", "-d", "-s", "web", "sleep 100000")
        with _service(tmux, wanted) as sidecar:
            assert sidecar.process is not None
            pid = sidecar.process.pid
            wait_for(lambda: _asked(sidecar, len(wanted)), f"a first try of {len(wanted)} checks", _PATIENCE)
            began, before = time.monotonic(), cpu_seconds(pid)
            time.sleep(_SECONDS)
            return (cpu_seconds(pid) - before) / (time.monotonic() - began), memory(pid)


def _asked(sidecar: SidecarBox, count: int) -> bool:
    """Whether all of them have passed.

    Raises:
        RuntimeError: one fails, so that the figures would say nothing.
    """
    states: dict[str, dict[str, Any]] = {
        one["name"]: one for one in sidecar.get("/api/v1/checks")["checks"] if not one["built_in"]
    }
    bad = [one for one in states.values() if one["state"] in ("failing", "given_up")]
    if bad:
        raise RuntimeError(f"{bad[0]['name']} fails: {bad[0]['found']}")
    return sum(1 for one in states.values() if one["state"] == "passing") == count


def _healed(sidecar: SidecarBox, mark: Path, url: str, count: int) -> float:
    """Make the server ill once it passes. Returns how long the recovery of this number took, in seconds."""
    wait_for(lambda: _answers(url) and _asked(sidecar, 1), "an API that answers", _PATIENCE)
    mark.touch()
    row = sidecar.verified("api", count)
    return float(row["time_to_recovery"])


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1.0) as answer:
            return str(answer.status) == "200"
    except (urllib.error.URLError, OSError):
        return False


@contextmanager
def _service(tmux: TmuxBox, wanted: Sequence[dict[str, Any]]) -> Iterator[SidecarBox]:
    settings = tmux.folder / "bench.yml"
    enough = {"per_session": "10000 per 10m", "global": "10000 per 10m"}
    settings.write_text(
        json.dumps({
            "checks": list(wanted), "notify": [{"tmux": False}],
            "checkpoints": {"rehearse": "off"}, "recovery": {"budget": enough},
        })
    )  # fmt: skip
    with sidecar_box(tmux, "--config", str(settings)) as sidecar:
        assert sidecar.process is not None
        be_still(sidecar.process.pid)
        yield sidecar
        sidecar.stop(signal.SIGTERM)


@contextmanager
def _server() -> Iterator[int]:
    """Whoever is asked, in a process of its own."""
    port = unused_port()
    process = subprocess.Popen([sys.executable, "-c", _SERVER, str(port)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        yield port
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
