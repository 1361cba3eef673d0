"""What is shown: the windows that only look."""

from __future__ import annotations

import asyncio
import json
import threading
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from sidecar.errors import ConfigInvalid, Fault
from sidecar.model.record import StepRow
from sidecar.web.views import encode
from tests.web.conftest import JSON, Open, Windows, recovery, status


async def test_sessions_incidents_and_circuits_at_a_glance(windows: Windows) -> None:
    answer = await windows.get("/api/v1/sessions")
    body = await answer.json()
    assert answer.status == 200
    assert {key: body[key] for key in ("server_up", "tmux_version", "mode", "started", "last_look")} == {
        "server_up": True, "tmux_version": "3.3a", "mode": "auto", "started": 1.0, "last_look": 2.0,
    }  # fmt: skip
    assert body["circuits"] == [{"name": "respawn_pane", "state": "open"}]
    assert body["sessions"][0] == {
        "name": "web", "health": "healthy", "up": True, "declared": False, "windows": 3, "panes": 7,
        "dead_panes": 0, "last_activity": 0.0, "processes": 0, "memory_bytes": 0, "cpu_seconds": 0.0,
        "checkpoints": 0, "checkpoint_bytes": 0, "last_checkpoint": 0.0, "restorable": None, "rehearsed": 0.0,
        "rehearsal_report": [], "differences": [], "rungs": {}, "climbed": {}, "quiet": None,
        "held": False, "programs": [], "restarted": {}, "note": "",
    }  # fmt: skip
    shown = body["incidents"][0]
    assert (shown["id"], shown["cause"], shown["intent"], shown["state"]) == (
        1, "process_killed", "failure", "open",
    )  # fmt: skip
    assert shown["evidence"] == [{"source": "pidfd", "fact": "killed by signal 9"}]


async def test_a_session_by_any_name(windows: Windows) -> None:
    for wanted in status().sessions:
        path = URL.build(path="/api/v1/sessions/") / wanted.name.replace("/", "\0")
        path = URL(str(path).replace("%00", "%2F"), encoded=True)
        answer = await windows.get(path)
        assert answer.status == 200, path
        assert (await answer.json())["session"]["name"] == wanted.name


@pytest.mark.parametrize("path", ["/api/v1/sessions/nobody", "/api/v1/sessions/%FF", "/api/v1/sessions/we"])
async def test_a_session_that_is_not_there(windows: Windows, path: str) -> None:
    answer = await windows.get(URL(path, encoded=True))
    assert answer.status == 404
    assert (await answer.json(content_type="application/problem+json"))["hint"]


async def test_recoveries_page_by_page(windows: Windows) -> None:
    windows.desk.rows = [recovery(n, "web" if n % 2 else "api") for n in range(1, 8)]

    async def page(query: str) -> tuple[list[int], Any]:
        body = await (await windows.get(f"/api/v1/recoveries{query}")).json()
        return [row["id"] for row in body["recoveries"]], body["next"]

    assert await page("") == ([7, 6, 5, 4, 3, 2, 1], None)
    assert await page("?limit=3") == ([7, 6, 5], 5)
    assert await page("?limit=3&before=5") == ([4, 3, 2], 2)
    assert await page("?limit=3&before=2") == ([1], None)
    assert await page("?session=api&limit=2") == ([6, 4], 4)
    assert await page("?session=nobody") == ([], None)
    assert len((await page("?limit=999999"))[0]) == 7


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=x", "limit=", "limit=1.5", "before=0", "before=x", "before=%FF",
     "limit=9223372036854775808", "before=" + "9" * 500, "limit=%D9%A3"],
)  # fmt: skip
async def test_a_number_that_is_none_is_named(windows: Windows, query: str) -> None:
    answer = await windows.get(URL(f"/api/v1/recoveries?{query}", encoded=True))
    assert answer.status == 400
    assert query.split("=")[0] in (await answer.json(content_type="application/problem+json"))["detail"]


async def test_one_recovery_with_its_steps(windows: Windows) -> None:
    step = StepRow(0, "respawn_pane", "respawn pane %1", "do", 1, "done", 1.0, 1.0, 1.1)
    windows.desk.rows = [
        recovery(7, steps=(step,), differences=({"field": "cwd"},), evidence=({"fact": "x"},))
    ]
    shown = (await (await windows.get("/api/v1/recoveries/7")).json())["recovery"]
    assert (shown["id"], shown["state"], shown["asker"]) == (7, "running", "operator")
    assert shown["steps"] == [
        {
            "seq": 0, "kind": "respawn_pane", "description": "respawn pane %1", "phase": "do", "attempt": 1,
            "state": "done", "due": 1.0, "begun": 1.0, "ended": 1.1, "error": "", "said": "",
        }
    ]  # fmt: skip
    assert (shown["differences"], shown["evidence"]) == ([{"field": "cwd"}], [{"fact": "x"}])


@pytest.mark.parametrize(
    "number", ["8", "0", "-7", "x", "7x", "07.0", "²", "٧", "9223372036854775808", "9" * 500, "%00"]
)
async def test_a_recovery_that_is_not_there(windows: Windows, number: str) -> None:
    windows.desk.rows = [recovery(7)]
    answer = await windows.get(f"/api/v1/recoveries/{number}")
    assert answer.status == 404
    assert (await answer.json(content_type="application/problem+json"))["hint"]


async def test_bytes_that_are_no_text_are_shown_as_escapes(windows: Windows) -> None:
    windows.desk.rows = [recovery(7, evidence=({"fact": "argv \udcff"},), verdict="é\ud800")]
    for path in ("/api/v1/recoveries/7", "/api/v1/recoveries"):
        text = await (await windows.get(path)).text()
        assert "argv \\\\udcff" in text
        assert "é" in text


@given(st.recursive(st.text(st.characters()) | st.none() | st.integers(0, 9), st.lists, max_leaves=5))
def test_json_never_fails(value: Any) -> None:
    json.loads(encode({"value": value, "map": MappingProxyType({"a": value})}))


@given(st.text(st.characters(categories=("Cs", "L"))))
def test_text_that_cannot_be_encoded_is_escaped(text: str) -> None:
    assert json.loads(encode([text]))[0] == text.encode("utf-8", "backslashreplace").decode()


def test_what_has_no_form_in_json_is_a_fault() -> None:
    with pytest.raises(NotImplementedError, match="object"):
        encode({"value": object()})


async def test_the_index_names_every_window(open_windows: Open) -> None:
    text = await (await (await open_windows()).get("/")).text()
    for line in ("GET  /metrics", "POST /alerts", "POST /recover", "POST /-/reload", "GET  /api/v1/sessions"):
        assert line in text


@pytest.mark.parametrize(
    ("ready", "healthy", "wanted"),
    [
        (True, True, (200, 200)),
        (True, False, (200, 503)),
        (False, False, (503, 200)),
        (False, True, (503, 200)),
    ],
)
async def test_health_and_readiness(
    open_windows: Open, ready: bool, healthy: bool, wanted: tuple[int, int]
) -> None:
    windows = await open_windows(ready=lambda: ready, healthy=lambda: healthy)
    answers = [(await windows.client.get(path)).status for path in ("/-/ready", "/-/healthy")]
    assert tuple(answers) == wanted


async def test_the_page_of_metrics_has_its_own_type(windows: Windows) -> None:
    answer = await windows.client.get("/metrics", headers={"Accept": "application/openmetrics-text"})
    assert await answer.text() == "page for application/openmetrics-text"
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4"


async def test_metrics_are_rendered_one_at_a_time_and_off_the_loop(open_windows: Open) -> None:
    inside, most, lock, enough = 0, 0, threading.Lock(), threading.Event()

    def render(accept: str) -> tuple[bytes, str]:
        nonlocal inside, most
        assert threading.current_thread() is not threading.main_thread()
        with lock:
            inside += 1
            most = max(most, inside)
        enough.wait(10)
        with lock:
            inside -= 1
        return b"", "text/plain"

    windows = await open_windows(render=render)
    scrapes = [asyncio.create_task(windows.client.get("/metrics")) for _ in range(3)]
    # Answered while a page is being rendered: the loop is free.
    assert (await windows.client.get("/-/healthy")).status == 200
    enough.set()
    assert [answer.status for answer in await asyncio.gather(*scrapes)] == [200, 200, 200]
    assert most == 1


async def test_reload(open_windows: Open) -> None:
    faults: list[Fault] = []

    async def reload() -> None:
        if faults:
            raise ConfigInvalid(faults)

    windows = await open_windows(reload=reload)
    assert (await windows.post("/-/reload")).status == 200
    faults += [Fault("c.yml", 3, "tmux.timeout", "is no duration"), Fault("c.yml", 0, "", "is odd")]
    answer = await windows.post("/-/reload")
    told = await answer.json(content_type="application/problem+json")
    assert answer.status == 400
    assert [fault["line"] for fault in told["faults"]] == [3, 0]
    assert told["hint"]


async def test_what_the_router_does_not_have_is_a_problem_too(windows: Windows) -> None:
    lost, wrong = await windows.get("/nowhere"), await windows.post("/api/v1/sessions")
    assert (lost.status, wrong.status) == (404, 405)
    assert wrong.headers["Allow"] == "GET,HEAD"
    for answer in (lost, wrong):
        assert (await answer.json(content_type="application/problem+json"))["hint"]


async def test_every_answer_carries_its_headers(windows: Windows) -> None:
    answers = [
        await windows.client.get("/metrics"),
        await windows.client.get("/"),
        await windows.get("/nowhere"),
    ]
    assert len({answer.headers["X-Request-Id"] for answer in answers}) == 3
    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "aiohttp" not in answer.headers["Server"]


async def test_requests_are_counted_by_the_template_of_their_path(windows: Windows) -> None:
    await windows.get("/api/v1/sessions/web")
    await windows.get("/api/v1/recoveries/1")
    await windows.get("/some/scan")
    await windows.client.get("/api/v1/sessions/web")
    await windows.post("/recover", b"{", JSON)
    await windows.client.request("PROPFIND", "/metrics")
    assert windows.observed == [
        ("GET", "/api/v1/sessions/{name}", 200),
        ("GET", "/api/v1/recoveries/{id}", 404),
        ("GET", "unmatched", 404),
        ("GET", "/api/v1/sessions/{name}", 401),
        ("POST", "/recover", 400),
        ("other", "unmatched", 401),
    ]
