"""What Prometheus gets to see, and that the reference in docs/ says the same."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from sidecar.edges.metrics import RECOVERY_BUCKETS, SERIES_CAP, Metrics
from sidecar.model.incident import Cause, FailureKind
from sidecar.model.plan import Outcome, RefusalReason, StepKind, Strategy
from sidecar.model.policy import BreakerState, Circuit
from sidecar.model.probe import ProbeFault, ProbeKind
from sidecar.model.record import HoldBackReason, HoldOffReason, RehearsalOutcome, SkipReason
from sidecar.model.session import Health
from sidecar.model.status import SessionStatus, Status
from sidecar.model.supervise import ProgramState, ProgramStatus

ROOT = Path(__file__).parent.parent.parent
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
UGLY = ("a b;\"$(x)'é", "new\nline", "back\\slash\\n", "tab\there", "{}=,#", "\udcff", "", "日本")


def session(name: str, **more: Any) -> SessionStatus:
    return SessionStatus(name, Health.HEALTHY, True, False, **more)


def promtool() -> str:
    found = shutil.which("promtool") or next((str(path) for path in ROOT.glob(".tools/**/promtool")), None)
    if found is None:
        pytest.skip("promtool is not here: `make tools` unpacks it")
    return found


class Page:
    """Metrics over a picture that a test may replace, and the page read back."""

    def __init__(self, *sessions: SessionStatus) -> None:
        self.status = Status(sessions=sessions, tmux_version="3.3a")
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, lambda: self.status, version="1.2", python="3.11")

    def text(self, accept: str = "") -> str:
        return self.metrics.render(accept)[0].decode()

    def value(self, name: str, **labels: str) -> float | None:
        return figure(self.text(), name, **labels)

    def sessions(self, name: str) -> set[str]:
        shown = (dict(labels) for found, labels in samples(self.text()) if found == f"sidecar_{name}")
        return {labels["session"] for labels in shown}


def figure(text: str, name: str, **labels: str) -> float | None:
    """One value of a page."""
    return samples(text).get((f"sidecar_{name}", frozenset(labels.items())))


@lru_cache(maxsize=1)
def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in read_text(text)
        for sample in family.samples
    }


def used() -> Page:
    """A page on which every metric has a sample."""
    page = Page(*(session(name, panes=2, restorable=True, restarted={"job": 1}) for name in UGLY))
    one = page.metrics
    one.failure("tab\there", FailureKind.CRASHED)
    one.finding(Cause.PROCESS_KILLED)
    one.recovery(FailureKind.CRASHED, Strategy.RESPAWN_PANE, Outcome.VERIFIED, 0.04, 0.06)
    one.recovery(FailureKind.CRASHED, Strategy.RESPAWN_PANE, Outcome.FAILED, 2.0, None)
    one.refusal(RefusalReason.GIVEN_UP)
    one.retry(StepKind.SAVE)
    one.circuit_call(Strategy.RESPAWN_PANE, "success")
    one.probes.probed("api", ProbeKind.HTTP, ProbeFault.REFUSED, 0.01, 0.0)
    one.probes.heartbeats({"api": 1})
    one.checks.probing({("api", "http")})
    one.checks.probed("api", "http", "refused", 0.01, 0.0)
    one.checks.stands("api", passing=False)
    one.checks.healed("api", Outcome.VERIFIED)
    one.circuit_moved(Strategy.RESPAWN_PANE, Circuit.OPEN)
    one.checkpoint(0.02)
    one.checkpoint_failed(HoldBackReason.EMPTY)
    one.checkpoint_corrupt(2)
    one.checkpoint_restored(0.3)
    one.rehearsed(RehearsalOutcome.PASSED, 0.1)
    one.rehearsals_held_off(HoldOffReason.CPU_PRESSURE)
    one.alert_received("firing")
    one.alert_skipped(SkipReason.DUPLICATE)
    one.notified("tmux", "delivered")
    one.task_restarted("watch")
    one.loop_lag(0.001)
    one.written(0.002)
    one.audited(3)
    one.request("GET", "/metrics", 200, 0.01)
    return page


def test_every_call_is_counted() -> None:
    page = used()
    wanted: dict[tuple[str, *tuple[tuple[str, str], ...]], float] = {
        ("failures_total", ("session", "tab\there"), ("failure", "crashed")): 1,
        ("findings_total", ("cause", "process_killed")): 1,
        (
            "recoveries_total",
            ("failure", "crashed"),
            ("strategy", "respawn_pane"),
            ("outcome", "verified"),
        ): 1,
        ("recovery_duration_seconds_count", ("strategy", "respawn_pane")): 2,
        ("recovery_duration_seconds_bucket", ("strategy", "respawn_pane"), ("le", "0.05")): 1,
        ("time_to_recovery_seconds_count", ("failure", "crashed")): 1,
        ("refusals_total", ("reason", "given_up")): 1,
        ("retries_total", ("operation", "save")): 1,
        ("circuit_calls_total", ("circuit", "respawn_pane"), ("outcome", "success")): 1,
        ("circuit_transitions_total", ("circuit", "respawn_pane"), ("to", "open")): 1,
        ("checkpoint_duration_seconds_count",): 1,
        ("checkpoint_failures_total", ("reason", "empty")): 1,
        ("checkpoint_corruptions_total",): 2,
        ("checkpoint_restore_duration_seconds_count",): 1,
        ("rehearsals_total", ("outcome", "passed")): 1,
        ("rehearsal_duration_seconds_count",): 1,
        ("rehearsals_held_off_total", ("reason", "cpu_pressure")): 1,
        ("alerts_received_total", ("status", "firing")): 1,
        ("alerts_skipped_total", ("reason", "duplicate")): 1,
        ("notifications_total", ("channel", "tmux"), ("outcome", "delivered")): 1,
        ("tasks_restarted_total", ("task", "watch")): 1,
        ("event_loop_lag_seconds_count",): 1,
        ("store_write_duration_seconds_count",): 1,
        ("audit_records_total",): 3,
        ("http_requests_total", ("method", "GET"), ("route", "/metrics"), ("status", "200")): 1,
        ("http_request_duration_seconds_count", ("method", "GET"), ("route", "/metrics")): 1,
        ("build_info", ("version", "1.2"), ("python", "3.11"), ("tmux", "3.3a")): 1,
    }
    text = page.text()
    found = {(name, *labels): figure(text, name, **dict(labels)) for name, *labels in wanted}
    assert found == wanted


def test_the_picture_is_shown_as_it_is_now() -> None:
    page = Page(session("web", windows=3, panes=7, memory_bytes=5, cpu_seconds=1.5, last_checkpoint=9.0))
    assert page.value("tmux_server_up") == 0
    assert page.value("session_panes", session="web") == 7
    assert page.value("session_cpu_seconds_total", session="web") == 1.5
    assert page.value("checkpoint_last_success_timestamp_seconds", session="web") == 9
    page.status = Status(server_up=True, sessions=(session("api"),), alerts_pending=2, store_bytes=4)
    assert page.value("tmux_server_up") == 1
    assert page.sessions("session_panes") == {"api"}
    assert (page.value("alerts_pending"), page.value("store_size_bytes")) == (2, 4)


def test_nothing_is_said_about_a_checkpoint_that_was_not_rehearsed() -> None:
    page = Page(session("good", restorable=True), session("bad", restorable=False), session("new"))
    assert page.sessions("checkpoint_restorable") == {"good", "bad"}
    assert page.value("checkpoint_restorable", session="good") == 1
    assert page.value("checkpoint_restorable", session="bad") == 0


@pytest.mark.parametrize("health", Health)
def test_exactly_one_state_of_health_is_one(health: Health) -> None:
    page = Page(SessionStatus("web", health, True, False))
    states = {state: page.value("session_health", session="web", state=state) for state in Health}
    assert states == {state: float(state is health) for state in Health}


@pytest.mark.parametrize("state", Circuit)
def test_exactly_one_state_of_a_circuit_is_one(state: Circuit) -> None:
    page = Page(session("web"))
    names = ("respawn_pane", "custom:web", "dependency:localhost:80")
    page.status = replace(page.status, circuits={name: BreakerState(state) for name in names})
    for circuit in names:
        shown = {one: page.value("circuit_state", circuit=circuit, state=one) for one in Circuit}
        assert shown == {one: float(one is state) for one in Circuit}
    assert page.value("circuit_state", circuit="restore_checkpoint", state="closed") == 1


def test_circuits_of_sessions_without_series_have_none() -> None:
    page = Page(session("web"))
    for name in ("web", "gone"):
        page.metrics.circuit_call(f"respawn_pane:{name}", "failure")
        page.metrics.circuit_moved(f"respawn_pane:{name}", Circuit.OPEN)
    circuits = {f"respawn_pane:{name}": BreakerState(Circuit.OPEN) for name in ("web", "gone")}
    page.status = replace(page.status, circuits=circuits)
    assert page.value("circuit_calls_total", circuit="respawn_pane:web", outcome="failure") == 1
    assert page.value("circuit_transitions_total", circuit="respawn_pane:web", to="open") == 1
    assert "respawn_pane:gone" not in page.text()
    page.metrics.forget_session("web")
    assert page.value("circuit_calls_total", circuit="respawn_pane:web", outcome="failure") == 0


def test_known_labels_start_at_zero() -> None:
    page = Page(session("web"))
    known: Iterable[tuple[str, str, Iterable[str]]] = (
        ("findings_total", "cause", Cause),
        ("refusals_total", "reason", RefusalReason),
        ("retries_total", "operation", StepKind),
        ("alerts_skipped_total", "reason", SkipReason),
        ("alerts_received_total", "status", ("firing", "resolved")),
        ("checkpoint_failures_total", "reason", (*HoldBackReason, "TmuxUnknown", "StoreUnavailable")),
        ("rehearsals_total", "outcome", RehearsalOutcome),
        ("rehearsals_held_off_total", "reason", HoldOffReason),
        ("recovery_duration_seconds_count", "strategy", Strategy),
        ("time_to_recovery_seconds_count", "failure", FailureKind),
    )
    text = page.text()
    for name, label, words in known:
        shown = {word: figure(text, name, **{label: word}) for word in words}
        assert shown == dict.fromkeys(words, 0), name
    assert page.value("failures_total", session="web", failure="frozen") == 0
    assert page.value("failures_total", session="", failure="disconnected") == 0
    for outcome in Outcome:
        labels = {"failure": "crashed", "strategy": "restore_checkpoint", "outcome": outcome}
        assert page.value("recoveries_total", **labels) == 0


def test_the_buckets_are_those_that_dashboards_rely_on() -> None:
    bounds = {
        float(sample.labels["le"])
        for family in read_text(Page().text())
        if family.name in ("sidecar_time_to_recovery_seconds", "sidecar_recovery_duration_seconds")
        for sample in family.samples
        if sample.name.endswith("_bucket")
    }
    assert bounds == {*RECOVERY_BUCKETS, float("inf")}
    assert RECOVERY_BUCKETS == (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


def test_sessions_beyond_the_cap_are_counted_and_not_shown() -> None:
    page = Page(*(session(f"s{number}") for number in range(SERIES_CAP + 3)))
    page.metrics.failure("s202", FailureKind.CRASHED)
    assert page.value("sessions_dropped") == 3
    for name in ("session_up", "session_health", "session_cpu_seconds_total"):
        assert len(page.sessions(name)) == SERIES_CAP
    assert page.sessions("failures_total") - page.sessions("session_up") == {""}


def test_a_session_that_is_gone_is_not_shown_and_its_counts_go_on() -> None:
    page = Page(session("web"), session("api"))
    page.metrics.failure("web", FailureKind.CRASHED)
    page.metrics.forget_session("never seen")
    page.status = Status(sessions=(session("api"),))
    assert 'session="web"' not in page.text()
    page.status = Status(sessions=(session("web"),))
    assert page.value("failures_total", session="web", failure="crashed") == 1


def test_counters_go_on_where_the_rows_stand() -> None:
    page = Page(session("web"))
    page.metrics.audited(2)
    page.metrics.seed(
        {
            "failures": {("web", "crashed"): 3, ("gone", "crashed"): 1},
            "findings": {("process_killed",): 4, ("a word of a later release",): 9},
            "refusals": {("healthy",): 5},
            "recoveries": {("crashed", "respawn_pane", "verified"): 6},
            "audit_records": {(): 70},
        }
    )
    page.metrics.audited(1)
    page.metrics.finding(Cause.PROCESS_KILLED)
    assert page.value("failures_total", session="web", failure="crashed") == 3
    assert page.value("findings_total", cause="process_killed") == 5
    assert page.value("refusals_total", reason="healthy") == 5
    assert page.value("refusals_total", reason="stale") == 0
    labels = {"failure": "crashed", "strategy": "respawn_pane", "outcome": "verified"}
    assert page.value("recoveries_total", **labels) == 6
    assert page.value("audit_records_total") == 71
    assert "a word of a later release" not in page.text()


# Other control characters end a line for the client's own parser, though not for Prometheus.
NAMES = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], include_characters="\n\t"))


@settings(max_examples=30, deadline=None)
@given(st.lists(NAMES, max_size=4, unique=True))
def test_any_session_name_can_be_read_back(names: list[str]) -> None:
    page = Page(*(session(name) for name in names))
    assert page.sessions("session_up") == set(names)


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        (OPENMETRICS, "application/openmetrics-text"),
        (f"{OPENMETRICS},text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "application/openmetrics-text"),
        ("application/openmetrics-text; version=abc", "text/plain"),
        ("text/plain; version=1.x.0", "text/plain"),
        (";;;=,", "text/plain"),
    ],
)
def test_the_format_follows_the_accept_header(accept: str, kind: str) -> None:
    page = used()
    body, content_type = page.metrics.render(accept)
    assert content_type.startswith(kind)
    assert body.endswith(b"# EOF\n") == (kind == "application/openmetrics-text")


def test_both_formats_hold_the_same_metrics() -> None:
    page = used()
    names = {family.name for family in read_text(page.text())}
    families = read_openmetrics(page.text(OPENMETRICS))  # type: ignore[no-untyped-call]
    assert {family.name for family in families} >= {
        name for name in names if name not in ("sidecar_build_info", "python_info")
    }
    assert "_created" not in page.text() + page.text(OPENMETRICS)


def test_promtool_has_nothing_to_say() -> None:
    lint = subprocess.run(
        [promtool(), "check", "metrics"],
        input=used().text(),
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")


ROW = re.compile(r"^\| `(sidecar_\w+)` \| (\w+) \| ([\w, ]*) ?\| (.+?) \| `(.+)` \|$", re.MULTILINE)


def documented() -> list[tuple[str, str, frozenset[str], str]]:
    """Name, type, labels and example of every row in the reference."""
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    rows = [
        (name, kind, frozenset(word.strip() for word in labels.split(",") if word.strip()), example)
        for name, kind, labels, _, example in ROW.findall(page)
    ]
    assert len(rows) == page.count("\n| `"), "a row that does not read like the others"
    return rows


def exposed() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels of every metric of ours, as Prometheus sees them."""
    found = {}
    for family in read_text(used().text()):
        name = family.name + ("_total" if family.type == "counter" else "")
        labels = frozenset().union(*(sample.labels for sample in family.samples)) - {"le"}
        if name.startswith("sidecar_"):
            found[name] = (family.type, frozenset(labels))
    return found


def test_programs_are_counted_by_how_they_stand() -> None:
    states = (ProgramState.RUNNING, ProgramState.RUNNING, ProgramState.GIVEN_UP)
    programs = tuple(ProgramStatus("job", "web", "0.0", "%1", state) for state in states)
    page = Page(session("web", programs=programs, restarted={"job": 3, "other": 0}))
    assert [page.value("programs", state=state) for state in ("running", "given_up", "waiting")] == [2, 1, 0]
    assert page.value("program_restarts_total", session="web", rule="job") == 3
    assert page.value("program_restarts_total", session="web", rule="other") == 0


def test_the_reference_and_the_registry_say_the_same() -> None:
    assert {name: (kind, labels) for name, kind, labels, _ in documented()} == exposed()


def test_every_example_is_a_query_about_its_metric(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yml"
    lines = ["groups:", "- name: examples", "  rules:"]
    for number, (name, _, _, example) in enumerate(documented()):
        assert name in example
        lines += [f"  - record: example:{number}", "    expr: '" + example.replace("'", "''") + "'"]
    rules.write_text("\n".join(lines) + "\n")
    check = subprocess.run(
        [promtool(), "check", "rules", str(rules)], capture_output=True, text=True, timeout=20, check=False
    )
    assert check.returncode == 0, check.stdout + check.stderr
