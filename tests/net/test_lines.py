"""A service, a server, and a line between them that loses, delays or is cut, in network namespaces."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box
from tests.net.namespaces import FAR, Line, inside, lacking, netem_lacking, netem_line, relayed_line

LINES = [
    pytest.param(relayed_line, marks=pytest.mark.skipif(bool(lacking()), reason=lacking()), id="relay"),
    pytest.param(
        netem_line, marks=pytest.mark.skipif(bool(netem_lacking()), reason=netem_lacking()), id="netem"
    ),
]
Made = Callable[[], AbstractContextManager[Line]]


@contextmanager
def watched(tmux: TmuxBox, line: Line) -> Iterator[SidecarBox]:
    """A session whose rule may restart it, and what it asks at the other end of the line."""
    tmux.run("new-session", "-d", "-s", "web", "-x", "200", "-y", "50", "sleep 1001")
    rule = {
        "session": "web", "name": "far", "http": f"http://{FAR}:8000/", "interval": "1600ms",
        "retry_interval": "100ms", "timeout": "1500ms", "slow": "500ms", "grace": "0s", "may": ["respawn"],
    }  # fmt: skip
    file = tmux.folder / "config.yml"
    file.write_text(json.dumps({"heartbeats": [rule]}))
    server = subprocess.Popen(
        line.on_far(
            sys.executable, "-m", "http.server", "8000", "--bind", FAR, "--directory", str(tmux.folder)
        ),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    try:
        assert server.stdout is not None
        assert "Serving" in server.stdout.readline()
        with inside(line.near), sidecar_box(tmux, "--config", str(file)) as sidecar:
            before = tmux.panes("#{pane_pid}")
            yield sidecar
            assert sidecar.recoveries("web") == []
            assert tmux.panes("#{pane_pid}") == before
    finally:
        server.send_signal(signal.SIGKILL)
        server.communicate()


def told(sidecar: SidecarBox) -> list[str]:
    """What the weather was said to be, one after the other."""
    return [line["now"] for line in sidecar.actions() if line["action"] == "probe_changed"]


def incidents(sidecar: SidecarBox) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sidecar.get("/api/v1/incidents?session=web")["incidents"]
    return rows


def value(sidecar: SidecarBox, series: str) -> float:
    page = sidecar.get("/metrics", raw=True)
    return next(float(line.split()[-1]) for line in page.splitlines() if line.startswith(series))


@pytest.mark.parametrize("made", LINES)
def test_thirty_percent_loss_is_told_as_loss_and_nothing_is_restarted(tmux: TmuxBox, made: Made) -> None:
    with made() as line:
        line.set(loss=0.3)
        with watched(tmux, line) as sidecar:
            eventually(lambda: "loss" in told(sidecar), "word of packet loss")
            ratio = 'sidecar_probe_loss_ratio{probe="http",rule="far"}'
            eventually(lambda: value(sidecar, ratio) > 0.1, "the ratio")
            eventually(lambda: _tries(sidecar) >= 20, "twenty tries")
            assert "failing" not in told(sidecar)
            assert {row["cause"] for row in incidents(sidecar)} <= {"network_outage"}


@pytest.mark.parametrize("made", LINES)
def test_a_line_that_is_cut_is_told_as_an_outage(tmux: TmuxBox, made: Made) -> None:
    with made() as line:
        line.set()
        with watched(tmux, line) as sidecar:
            eventually(lambda: _tries(sidecar) >= 3, "some tries")
            line.set(loss=1.0)
            eventually(lambda: "outage" in told(sidecar), "word of an outage")
            [row] = eventually(lambda: incidents(sidecar), "an incident")
            assert row["cause"] == "network_outage"
            eventually(lambda: incidents(sidecar)[0]["state"] == "held", "that it is held")
            line.set()
            eventually(lambda: incidents(sidecar)[0]["state"] == "dismissed", "its end")


@pytest.mark.parametrize("made", LINES)
def test_delay_is_told_as_slowness(tmux: TmuxBox, made: Made) -> None:
    with made() as line:
        line.set(delay=0.2)
        with watched(tmux, line) as sidecar:
            eventually(lambda: told(sidecar) == ["slow"], "word of slowness")
            eventually(lambda: _tries(sidecar) >= 4, "some tries")
            assert told(sidecar) == ["slow"]
            assert incidents(sidecar) == []


def _tries(sidecar: SidecarBox) -> float:
    return value(sidecar, 'sidecar_probe_duration_seconds_count{probe="http"}')
