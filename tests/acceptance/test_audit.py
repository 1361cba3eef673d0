"""The audit trail of a real service: a row for each thing done, who asked for it, one trace for all of it."""

from __future__ import annotations

import json
import os
import signal
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from chaos.checker import check
from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


@pytest.fixture
def sidecar(tmux: TmuxBox) -> Iterator[SidecarBox]:
    (tmux.folder / "config.yml").write_text("checkpoints: {interval: 1m}\n")
    with sidecar_box(tmux, "--config", str(tmux.folder / "config.yml")) as box:
        tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
        tmux.run("new-session", "-d", "-s", "web", "sleep 5001")
        box.stored("web", "keep")
        yield box


def scrape(sidecar: SidecarBox, accept: str) -> str:
    request = urllib.request.Request(sidecar.url("/metrics"), headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.headers["Content-Type"].startswith(accept.partition(";")[0])
        return str(answer.read().decode())


def exemplars(page: str, name: str) -> set[str]:
    return {
        sample.exemplar.labels["trace_id"]
        for family in text_string_to_metric_families(page)
        if family.name == name
        for sample in family.samples
        if sample.exemplar is not None
    }


def records(sidecar: SidecarBox, action: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = sidecar.get(f"/api/v1/audit?action={action}")["records"]
    return rows


def test_one_trace_from_the_log_to_the_exemplar(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
    recovery = sidecar.verified("web")
    trace = recovery["trace"]
    assert sidecar.get(f"/api/v1/incidents/{recovery['incident']}")["incident"]["trace"] == trace
    story = [row for row in sidecar.get("/api/v1/audit?session=web")["records"] if row["trace"]]
    assert {row["trace"] for row in story} == {trace}
    assert [row["action"] for row in reversed(story)][:3] == [
        "incident_opened", "incident_moved", "recovery_begun",
    ]  # fmt: skip
    lines = [line["action"] for line in sidecar.actions() if line.get("trace") == trace]
    assert {"incident_opened", "recovery_begun", "recovery_ended"} <= set(lines)
    page = scrape(sidecar, OPENMETRICS)
    assert trace in exemplars(page, "sidecar_recovery_duration_seconds")
    assert trace in exemplars(page, "sidecar_time_to_recovery_seconds")
    assert trace not in scrape(sidecar, "text/plain")


def test_a_decision_tells_what_it_rests_on(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
    recovery = sidecar.verified("web")
    (begun,) = records(sidecar, "recovery_begun")
    told = begun["detail"]
    assert (begun["actor"], begun["reason"]) == ("watcher", "respawn_pane")
    assert (told["recovery"], told["cause"], told["failure"]) == (recovery["id"], "process_killed", "crashed")
    assert told["evidence"]
    assert "by" not in told


def test_an_operator_is_named_once_for_each_thing_done(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    by = {"scope": "admin", "address": "127.0.0.1"}
    assert sidecar.call("POST", "/api/v1/sessions/keep/release", {})[0] == 200
    assert sidecar.call("POST", "/api/v1/sessions/keep/adopt", {})[0] == 200
    assert sidecar.call("POST", "/recover", {"session": "web"})[0] == 409
    assert sidecar.call("POST", "/api/v1/checkpoints", {"session": "web"})[0] < 300
    released, adopted = records(sidecar, "session_released"), records(sidecar, "session_adopted")
    (refused,) = records(sidecar, "refused")
    assert [row["detail"]["before"] for row in (*released, adopted[0])] == ["live", "released"]
    assert (refused["reason"], refused["session"]) == ("healthy", "web")
    for row in (*released, adopted[0], refused):
        assert row["actor"] == "operator"
        assert row["detail"]["by"].items() >= by.items()


def test_an_alert_is_named_by_its_fingerprint(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    alert = {
        "status": "firing", "labels": {"alertname": "ApiDown", "session": "web"},
        "startsAt": "2026-01-01T00:00:00Z", "fingerprint": "f1",
    }  # fmt: skip
    assert sidecar.call("POST", "/alerts", {"version": "4", "alerts": [alert]})[0] == 202
    (settled,) = eventually(lambda: records(sidecar, "alert_settled"), "a settled alert")
    assert (settled["actor"], settled["reason"]) == ("alert", "healthy")
    assert settled["detail"]["by"] == {"fingerprint": "f1", "alertname": "ApiDown"}


def test_a_changed_configuration_tells_its_keys(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    file = tmux.folder / "config.yml"
    file.write_text("resume: [{match: x, command: 'x --token s3cr3t'}]\n")
    assert sidecar.call("POST", "/-/reload", {})[0] == 200
    file.write_text("checkpoints: {interval: 1 fortnight}\n")
    assert sidecar.process is not None
    sidecar.process.send_signal(signal.SIGHUP)
    (refused,) = eventually(lambda: records(sidecar, "config_refused"), "a refused reload")
    (reloaded,) = records(sidecar, "config_reloaded")
    assert reloaded["detail"]["before"]["checkpoints.interval"] == 60.0
    assert reloaded["detail"]["after"]["checkpoints.interval"] == 15.0
    assert "s3cr3t" not in json.dumps(sidecar.get("/api/v1/audit"))
    assert refused["detail"]["by"] == {"signal": "SIGHUP"}
    (fault,) = refused["detail"]["faults"]
    assert (fault["line"], fault["key"]) == (1, "checkpoints.interval")


def test_a_start_and_an_end_stand_in_the_trail_and_the_log(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    sidecar.stop()
    heads = [line["head"] for line in sidecar.actions() if line["action"] == "audit_head"]
    sidecar.start()
    assert [row["detail"]["pid"] for row in records(sidecar, "stopped")] == [
        records(sidecar, "started")[1]["detail"]["pid"]
    ]
    rows = {row["id"]: row for row in sidecar.get("/api/v1/audit?limit=500")["records"]}
    assert heads
    for head in heads:
        number, _, digest = head.partition(":")
        assert rows[int(number)]["hash"] == digest


COUNTED = ("failures", "findings", "recoveries", "refusals", "audit_records")


def counters(sidecar: SidecarBox) -> dict[str, float]:
    page = scrape(sidecar, "text/plain")
    lines = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
    return {
        series: float(value)
        for series, _, value in lines
        if series.partition("{")[0] in {f"sidecar_{name}_total" for name in COUNTED} and float(value)
    }


def test_counters_go_on_across_a_restart(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)
    sidecar.verified("web")
    # Until the lease is given back, whoever asks joins.
    eventually(lambda: sidecar.call("POST", "/recover", {"session": "web"})[0] == 409, "a refusal")
    before = counters(sidecar)
    assert {series.partition("{")[0] for series in before} == {f"sidecar_{name}_total" for name in COUNTED}
    sidecar.stop(signal.SIGKILL)
    sidecar.start()
    after = counters(sidecar)
    assert after.pop("sidecar_audit_records_total") > before.pop("sidecar_audit_records_total")
    assert after == before
    # Whatever is recorded between the two readings makes them differ once.
    eventually(
        lambda: not check(sidecar.state, None, scrape(sidecar, "text/plain")),
        "counters that equal their rows",
    )
