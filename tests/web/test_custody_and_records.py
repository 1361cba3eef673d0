"""The windows upon one session's care, and upon what is on record."""

from __future__ import annotations

import json
from types import MappingProxyType
from typing import Any

import pytest
from aiohttp import ClientPayloadError
from yarl import URL

from sidecar.errors import StoreUnavailable
from sidecar.model.access import Scope
from sidecar.model.audit import AuditFilter
from sidecar.model.care import Care, Duty, Explanation, Subject
from sidecar.model.diagnostics import Diagnostics, PaneFacts, Tail
from sidecar.model.incident import (
    Broken,
    Cause,
    Evidence,
    Failure,
    FailureKind,
    Finding,
    Hypothesis,
    Intent,
    Unit,
)
from sidecar.model.plan import Refusal, RefusalReason, Strategy
from sidecar.model.policy import Circuit
from sidecar.model.record import Action, AuditRow, CircuitRow, Standing
from sidecar.model.session import Checkpoint, Health, Operation, SessionImage
from sidecar.model.status import DryRun, UnknownSession
from sidecar.web import tokens
from tests.web.conftest import Windows, audit_row, incident, recovery

SESSION = "/api/v1/sessions/a%20b%2Fc"
NAME = "a b/c"
HELD = Refusal(RefusalReason.CAUSE_UNKNOWN, "held", hint="`sidecar recover`", retry_after=5.0)
PLAN = DryRun(Strategy.RESTORE_CHECKPOINT, ("rebuild session",), "unknown", ({"source": "s", "fact": "f"},))
STORED = Checkpoint(
    7, NAME, 1.0, Operation.INTERVAL, "i", "c", 10, SessionImage(NAME, 80, 24, "", "", (("KEY", "x"),), ())
)


async def get(windows: Windows, path: str) -> tuple[int, Any]:
    answer = await windows.get(URL(path, encoded=True))
    return answer.status, await answer.json(content_type=None)


async def post(windows: Windows, path: str) -> tuple[int, Any]:
    answer = await windows.post(URL(path, encoded=True), b"{}")  # type: ignore[arg-type]
    return answer.status, await answer.json(content_type=None)


@pytest.mark.parametrize(("what", "standing"), [("release", Standing.RELEASED), ("adopt", Standing.LIVE)])
async def test_release_and_adopt(windows: Windows, what: str, standing: Standing) -> None:
    windows.custody.answer = Care(NAME, standing, True, True)
    assert await post(windows, f"{SESSION}/{what}") == (
        200, {"session": NAME, "standing": standing, "live": True, "changed": True},
    )  # fmt: skip
    windows.custody.answer = HELD
    status, body = await post(windows, f"{SESSION}/{what}")
    assert (status, body["reason"]) == (409, "cause_unknown")
    windows.custody.answer = UnknownSession(NAME)
    assert (await post(windows, f"{SESSION}/{what}"))[0] == 404
    assert windows.custody.asked == [(what, NAME)] * 3


async def test_an_export_in_pages(windows: Windows) -> None:
    windows.records.answer = [audit_row(number, words="run --token s3cr3t") for number in (1, 2, 3)]
    path = "/api/v1/audit/export?session=web&action=refused&since=1970-01-01T00:00:01Z"
    answer = await windows.get(path)
    assert answer.headers["Content-Type"] == "application/jsonl"
    rows = [json.loads(line) for line in (await answer.text()).splitlines()]
    assert [(row["id"], row["time"], row["detail"]["words"]) for row in rows] == [
        (number, "1970-01-01T00:00:01.500Z", "run --token ***") for number in (1, 2, 3)
    ]
    wanted = AuditFilter("web", "refused", 1.0)
    assert windows.records.asked == [("audit_page", after, wanted) for after in (0, 2, 3)]


async def test_an_export_that_is_cut_off_does_not_look_whole(windows: Windows) -> None:
    windows.records.answer = StoreUnavailable("it is gone")
    answer = await windows.get("/api/v1/audit/export")
    with pytest.raises(ClientPayloadError):
        await answer.read()


async def test_an_export_of_what_is_no_action(windows: Windows) -> None:
    assert (await windows.get("/api/v1/audit/export?action=nothing")).status == 400


@pytest.mark.parametrize("what", ["release", "adopt"])
async def test_a_form_of_a_page_elsewhere_is_turned_away(windows: Windows, what: str) -> None:
    answer = await windows.post(f"/api/v1/sessions/web/{what}", b"x", {"Content-Type": "text/plain"})
    assert answer.status == 415
    assert windows.custody.asked == []


async def test_an_explanation(windows: Windows) -> None:
    failure = Failure(NAME, FailureKind.CRASHED, (Broken(Unit.SESSION),), 1.0)
    fact = Evidence("tmux", "gone")
    considered = Hypothesis(Cause.UNKNOWN, 0, (fact,))
    finding = Finding(failure, Cause.UNKNOWN, Intent.UNKNOWN, (fact,), "o", (considered,))
    subject = Subject(NAME, Health.CRASHED, Duty.EXPECTED, False, STORED)
    windows.custody.answer = Explanation(subject, finding, HELD, PLAN)
    status, body = await get(windows, f"{SESSION}/explain")
    assert status == 200
    assert {key: body[key] for key in ("session", "health", "duty", "live", "failure", "unit", "cause")} == {
        "session": NAME, "health": "crashed", "duty": "expected", "live": False, "failure": "crashed",
        "unit": "session", "cause": "unknown",
    }  # fmt: skip
    assert body["evidence"] == [{"source": "tmux", "fact": "gone"}]
    assert body["hypotheses"] == [
        {"cause": "unknown", "score": 0, "for": [{"source": "tmux", "fact": "gone"}], "against": []}
    ]
    assert body["incident"] is None
    assert body["checkpoint"]["id"] == 7
    assert "image" not in body["checkpoint"]
    assert body["by_itself"] == {
        "act": False, "reason": "cause_unknown", "sentence": "held", "hint": "`sidecar recover`",
        "retry_after": 5.0,
    }  # fmt: skip
    assert (body["on_request"]["act"], body["on_request"]["steps"]) == (True, ["rebuild session"])


async def test_an_explanation_of_a_healthy_and_of_an_unknown_session(windows: Windows) -> None:
    subject = Subject(NAME, Health.HEALTHY, Duty.EXPECTED, True, None)
    windows.custody.answer = Explanation(subject, None, HELD, HELD)
    status, body = await get(windows, f"{SESSION}/explain")
    assert (status, body["checkpoint"], body["failure"], body["evidence"]) == (200, None, None, [])
    windows.custody.answer = UnknownSession(NAME)
    assert (await get(windows, f"{SESSION}/explain"))[0] == 404


async def test_the_audit_trail_without_secrets(windows: Windows) -> None:
    detail = MappingProxyType({"words": "start program: typed `x --password hunter2`", "n": [1, {"a": "b"}]})
    windows.records.answer = (
        AuditRow(9, 1.0, "t", "web", Action.STEP_BEGUN, "sidecar", "", detail, "h"),
        AuditRow(8, 1.0, "t", "web", "of_a_later_release", "sidecar", "", {}, "h"),
    )
    status, body = await get(windows, "/api/v1/audit?session=web&action=step_begun&limit=2&before=10")
    assert (status, body["next"]) == (200, 8)
    first, second = body["records"]
    assert first["detail"] == {"words": "start program: typed `x --password ***", "n": [1, {"a": "b"}]}
    assert second["action"] == "of_a_later_release"
    assert windows.records.asked == [("audit", 2, 10, "web", Action.STEP_BEGUN)]


async def test_incidents(windows: Windows) -> None:
    windows.records.answer = (incident(),)
    status, body = await get(windows, "/api/v1/incidents?waiting=true&limit=1")
    assert (status, body["incidents"][0]["id"], body["next"]) == (200, 1, 1)
    assert windows.records.asked == [("incidents", 1, None, None, True)]
    windows.records.answer = (incident(), (recovery(),))
    status, body = await get(windows, "/api/v1/incidents/1")
    assert (status, body["incident"]["cause"], body["recoveries"][0]["id"]) == (200, "process_killed", 7)
    assert body["diagnostics"] is None
    windows.records.seen = Diagnostics(1.0, panes=(PaneFacts("%1", 5, tail=Tail(("bye",))),))
    _, body = await get(windows, "/api/v1/incidents/1")
    assert body["diagnostics"]["panes"][0]["tail"]["lines"] == ["bye"]
    token = tokens.create(windows.state, "grafana", Scope.READ, 1.0)
    answer = await windows.get("/api/v1/incidents/1", Authorization=f"Bearer {token}")
    body = await answer.json()
    assert (answer.status, body["diagnostics"]["panes"][0]["tail"]) == (200, None)
    assert body["diagnostics"]["missing"] == ["the text of its panes: it is shown to the scope `admin` alone"]


async def test_circuits(windows: Windows) -> None:
    row = CircuitRow("respawn_pane:a b", Circuit.OPEN, 5, 12.5, False)
    windows.records.answer = (row,)
    shown = {
        "name": "respawn_pane:a b", "state": "open", "failures": 5, "retry_after": 12.5, "forced": False,
    }  # fmt: skip
    assert await get(windows, "/api/v1/circuits") == (200, {"circuits": [shown]})
    windows.records.answer = row
    for word in ("reset", "open"):
        assert await post(windows, f"/api/v1/circuits/respawn_pane:a%20b/{word}") == (200, {"circuit": shown})
    assert windows.records.asked == [("reset", "respawn_pane:a b"), ("open", "respawn_pane:a b")]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/v1/incidents/9"),
        ("GET", "/api/v1/incidents/x"),
        ("POST", "/api/v1/circuits/nothing/reset"),
        ("POST", "/api/v1/circuits/nothing:web/open"),
    ],
)
async def test_what_is_not_there(windows: Windows, method: str, path: str) -> None:
    windows.records.answer = None
    status, body = await (get if method == "GET" else post)(windows, path)
    assert status == 404
    assert body["hint"]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("audit?action=x", "`action` is 'x', not one of started"),
        ("audit?limit=0", "`limit`"),
        ("incidents?waiting=1", "`waiting` is '1', not true or false"),
        ("incidents?before=x", "`before`"),
    ],
)
async def test_a_wrong_query_is_named(windows: Windows, query: str, words: str) -> None:
    status, body = await get(windows, f"/api/v1/{query}")
    assert status == 400
    assert words in body["detail"]
