"""A real Prometheus scrapes the sidecar; a real Alertmanager sets a recovery going."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.box import SidecarBox, TmuxBox, eventually, rehearsing_box

TOOLS = Path(__file__).parent.parent.parent / ".tools" / "usr" / "bin"

QUERIES = (
    "up == 1",
    "sidecar_build_info == 1",
    "sidecar_tmux_server_up == 1",
    'sidecar_session_up{session="web"} == 1',
    'sidecar_session_health{session="web", state="healthy"} == 1',
    'sidecar_session_windows{session="web"} == 1',
    'sidecar_session_panes{session="web"} == 1',
    'sidecar_session_dead_panes{session="web"} == 0',
    'sidecar_session_processes{session="web"} >= 1',
    'sidecar_session_memory_bytes{session="web"} > 0',
    'sidecar_session_cpu_seconds_total{session="web"} >= 0',
    'sidecar_session_last_activity_timestamp_seconds{session="web"} > 0',
    'sidecar_failures_total{session="web", failure="crashed"} == 1',
    'sidecar_findings_total{cause="process_killed"} == 1',
    'sidecar_recoveries_total{strategy="respawn_pane", outcome="verified"} == 1',
    'sidecar_recovery_duration_seconds_count{strategy="respawn_pane"} == 1',
    'sidecar_time_to_recovery_seconds_count{failure="crashed"} == 1',
    "sidecar_recoveries_in_progress == 0",
    'sidecar_refusals_total{reason="given_up"} == 0',
    'sidecar_circuit_calls_total{circuit="respawn_pane", outcome="success"} == 1',
    'sidecar_checkpoints{session="web"} >= 1',
    'sidecar_checkpoint_bytes{session="web"} > 0',
    'sidecar_checkpoint_last_success_timestamp_seconds{session="web"} > 0',
    "sidecar_checkpoint_duration_seconds_count >= 1",
    'sidecar_checkpoint_failures_total{reason="empty"} == 0',
    "sidecar_checkpoint_corruptions_total == 0",
    'sidecar_checkpoint_restorable{session="web"} == 1',
    'sidecar_rehearsals_total{outcome="passed"} >= 1',
    "sidecar_rehearsal_duration_seconds_count >= 1",
    'sidecar_rehearsals_held_off_total{reason="recovery_running"} >= 0',
    'sidecar_alerts_received_total{status="firing"} == 0',
    'sidecar_alerts_skipped_total{reason="duplicate"} == 0',
    "sidecar_alerts_pending == 0",
    "sidecar_store_size_bytes > 0",
    "sidecar_store_write_duration_seconds_count > 0",
    "sidecar_audit_records_total > 0",
    "sidecar_event_loop_lag_seconds_count > 0",
    "sidecar_sessions_dropped == 0",
    'sidecar_http_requests_total{route="/metrics", status="200"} >= 1',
)


@contextmanager
def server(folder: Path, *arguments: str) -> Iterator[str]:
    """Run a server that was told to listen on any port; its address."""
    with (folder / f"{Path(arguments[0]).name}.log").open("w") as log:
        process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd=folder)
        try:
            yield eventually(lambda: listens(process), "a listening server")
        finally:
            process.terminate()
            process.wait(20)


def listens(process: subprocess.Popen[bytes]) -> str:
    """Where; empty while it does not."""
    assert process.poll() is None, f"it has ended with {process.returncode}"
    found = psutil.Process(process.pid).net_connections("tcp4")
    return next(
        (f"http://{ip}:{port}" for ip, port in (each.laddr for each in found if each.status == "LISTEN")), ""
    )


def ask(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.loads(answer.read() or b"null")
    except (OSError, urllib.error.URLError, ValueError):
        return None


@pytest.fixture
def rehearsing(tmux: TmuxBox) -> Iterator[SidecarBox]:
    with rehearsing_box(tmux) as box:
        yield box


def test_prometheus_answers_a_query_for_each_metric(tmux: TmuxBox, rehearsing: SidecarBox) -> None:
    sidecar = rehearsing
    tmux.run("new-session", "-d", "-s", "web", "sleep 5000")
    sidecar.stored("web")
    os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
    sidecar.verified("web")
    address = (sidecar.state / "address").read_text().strip()
    config = tmux.folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        f"scrape_configs: [{{job_name: sidecar, static_configs: [{{targets: ['{address}']}}]}}]\n"
    )
    arguments = (
        str(TOOLS / "prometheus"), f"--config.file={config}", "--web.listen-address=127.0.0.1:0",
        f"--storage.tsdb.path={tmux.folder / 'data'}",
    )  # fmt: skip
    with server(tmux.folder, *arguments) as prometheus:
        for query in QUERIES:
            url = f"{prometheus}/api/v1/query?query={urllib.parse.quote(query)}"
            eventually(
                lambda url=url: ((ask(url) or {}).get("data") or {}).get("result"),
                f"an answer to {query}",
                30,
            )


def test_alertmanager_sets_a_verified_recovery_going(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    """What vanished while nobody watched is held; the alert says that it is wanted."""
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    tmux.run("new-session", "-d", "-s", "web", "sleep 5001")
    sidecar.stored("web", "keep")
    sidecar.stop()
    tmux.run("kill-session", "-t", "=web")
    sidecar.start()
    eventually(lambda: sidecar.sessions()["web"]["note"], "held")
    config = tmux.folder / "alertmanager.yml"
    config.write_text(
        "route: {receiver: sidecar, group_by: ['...'], group_wait: 0s}\n"
        "receivers:\n"
        "- name: sidecar\n"
        "  webhook_configs:\n"
        f"  - url: {sidecar.url('/alerts')}\n"
        "    http_config: {authorization: {credentials_file: " + str(sidecar.state / "token") + "}}\n"
    )
    arguments = (
        str(TOOLS / "prometheus-alertmanager"), f"--config.file={config}",
        "--web.listen-address=127.0.0.1:0", f"--storage.path={tmux.folder / 'alerts'}",
        "--cluster.listen-address=",
    )  # fmt: skip
    with server(tmux.folder, *arguments) as url:
        eventually(lambda: ask(f"{url}/api/v2/status"), "alertmanager")
        words = ("alert", "add", "alertname=SessionDown", "session=web", "failure=crashed")
        subprocess.run([TOOLS / "amtool", f"--alertmanager.url={url}", *words], check=True, timeout=20)
        row = sidecar.verified("web")
    assert (row["asker"], row["strategy"]) == ("alert", "restore_checkpoint")
    assert tmux.sessions() == {"keep", "web"}
    assert 'sidecar_alerts_received_total{status="firing"} 1.0' in sidecar.get("/metrics", raw=True)
