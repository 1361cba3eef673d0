"""POST /alerts: committed before it is answered, whatever Alertmanager sends."""

from __future__ import annotations

import json
import threading
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from sidecar.config import AlertRoute
from sidecar.errors import Permanent, StoreUnavailable
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Strategy
from sidecar.model.record import AlertIntake
from sidecar.web import routes
from sidecar.web.payload import ALERTS_LIMIT, read_alerts
from tests.web.conftest import Windows


def alert(number: int = 1, status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status, "labels": labels, "annotations": {"summary": "x"}, "fingerprint": f"{number:016x}",
        "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://p/",
    }  # fmt: skip


def group(*alerts: Any, **more: Any) -> bytes:
    return json.dumps(
        {
            "version": "4", "groupKey": "{}:{}", "truncatedAlerts": 0, "status": "firing", "receiver": "s",
            "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://a/",
            "notification_reason": "first", "alerts": list(alerts), **more,
        }
    ).encode()  # fmt: skip


async def test_every_alert_of_a_group_is_routed(windows: Windows) -> None:
    answer = await windows.post(
        "/alerts",
        group(
            alert(1, session="web", failure="crashed", strategy="respawn_pane"),
            alert(2, "resolved", session="web", failure="crashed"),
            alert(3, alertname="Watchdog"),
            alert(4, session="web", failure="bored"),
            alert(5, session="web", failure="crashed", strategy="magic"),
            alert(6, alertname="ApiDown", service="api"),
        ),
    )
    assert answer.status == 202
    assert [(one["accepted"], one["reason"]) for one in (await answer.json())["alerts"]] == [
        (True, ""), (True, ""), (False, "no_session"), (False, "unknown_failure"),
        (False, "unknown_strategy"), (True, ""),
    ]  # fmt: skip
    taken = windows.desk.taken
    assert [one.status for one in taken[:2]] == ["firing", "resolved"]
    assert (taken[0].session, taken[0].failure, taken[0].strategy) == (
        "web", FailureKind.CRASHED, Strategy.RESPAWN_PANE,
    )  # fmt: skip
    assert (taken[5].session, taken[5].failure) == ("api", FailureKind.FROZEN)
    assert taken[0].starts_at == "2026-01-01T00:00:00Z"


async def test_an_empty_group_is_taken(windows: Windows) -> None:
    answer = await windows.post("/alerts", group())
    assert (answer.status, await answer.json()) == (202, {"alerts": []})


@pytest.mark.parametrize("error", [StoreUnavailable("the disk is full", hint="free some"), None])
async def test_what_cannot_be_committed_is_to_be_sent_again(
    windows: Windows, error: StoreUnavailable | None
) -> None:
    windows.desk.closed = error
    answer = await windows.post("/alerts", group(alert(session="web")))
    assert answer.status == (202 if error is None else 503)


async def test_a_permanent_failure_is_to_be_sent_again_too(windows: Windows) -> None:
    windows.desk.closed = Permanent("the book is gone")
    assert (await windows.post("/alerts", group())).status == 500


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in alert(session="web").items() if key != name}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"null", "$"),
        (b"{}", "version"),
        (b'{"version": "4"}', "alerts"),
        (b'{"version": "3", "alerts": []}', "$.version"),
        (b'{"version": 4, "alerts": []}', "$.version"),
        (b'{"version": "4", "alerts": {}}', "$.alerts"),
        (b'{"version": "4", "alerts": [}', "JSON"),
        (group(None), "$.alerts[0]"),
        (group(alert(session="web"), 7), "$.alerts[1]"),
        (group(alert(1, "odd")), "$.alerts[0].status"),
        (group(without("status")), "`status` - at `$.alerts[0]`"),
        (group(without("labels")), "`labels`"),
        (group(without("startsAt")), "`startsAt`"),
        (group(without("fingerprint")), "`fingerprint`"),
        (group({**alert(), "fingerprint": ""}), "$.alerts[0].fingerprint"),
        (group({**alert(), "startsAt": 3}), "$.alerts[0].startsAt"),
        (group({**alert(), "labels": {"session": 3}}), "$.alerts[0].labels"),
        (group({**alert(), "labels": []}), "$.alerts[0].labels"),
        (group(alert(session="web")).replace(b'"web"', b'"\xff"'), ""),
        (group(alert(session="web")).replace(b'"web"', b"NaN"), ""),
        (b'{"version": "4", "alerts": [' + b"[" * 50_000, ""),
        (b'{"version": "4", "alerts": [' + b'{"labels":' * 50_000, ""),
    ],
)
async def test_a_malformed_group_is_named_and_not_taken(windows: Windows, body: bytes, words: str) -> None:
    answer = await windows.post("/alerts", body)
    told = await answer.json(content_type="application/problem+json")
    assert answer.status == 400
    assert words in told["detail"]
    assert told["hint"]
    assert windows.desk.taken == []


def large_group(size: int) -> bytes:
    one = len(group(alert(session="web", alertname="x" * 200))) - len(group())
    return group(*(alert(n, session="web", alertname="x" * 200) for n in range(size // one)))


async def test_a_large_group_is_taken(windows: Windows) -> None:
    body = large_group(5_000_000)
    answer = await windows.post("/alerts", body)
    assert answer.status == 202
    assert len((await answer.json())["alerts"]) == len(windows.desk.taken) > 10_000


async def test_the_largest_group_is_taken_and_one_byte_more_is_not(windows: Windows) -> None:
    body = group()
    full = body + b" " * (ALERTS_LIMIT - len(body))
    assert (await windows.post("/alerts", full)).status == 202
    assert (await windows.post("/alerts", full + b" ")).status == 413


async def test_a_stream_without_a_length_is_cut_off(windows: Windows) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1 << 16
            yield b" " * (1 << 16)
            # A cut connection ends this generator; the server never asks for all of it.
            if sent > 20_000_000:
                return

    answer = await windows.post("/alerts", endless())
    assert answer.status == 413


async def test_a_group_is_read_off_the_loop(windows: Windows, monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[threading.Thread] = []

    def noting(raw: bytes, alert_routes: Sequence[AlertRoute]) -> list[AlertIntake]:
        threads.append(threading.current_thread())
        return read_alerts(raw, alert_routes)

    monkeypatch.setattr(routes, "read_alerts", noting)
    assert (await windows.post("/alerts", group(alert(session="web")))).status == 202
    assert len(threads) == 1
    assert threads[0] is not threading.main_thread()
