"""What every answer has, and what is told of every request."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from aiohttp import ClientSession, DummyCookieJar, web
from aiohttp.test_utils import make_mocked_request

from sidecar.clock import SystemClock
from sidecar.model.access import WebSettings
from sidecar.model.record import Action
from sidecar.web import middleware
from sidecar.web.doorman import HEADERS, Doorman
from sidecar.web.middleware import framed, guarded
from tests.web.conftest import TOKEN, FakeChronicle, Open, Windows, gate_of

LARGE = "x" * 5000


@pytest.mark.parametrize("path", ["/", "/-/ready", "/no/such", "/metrics", "/api/v1/audit/export"])
async def test_every_answer_has_the_usual_headers(windows: Windows, path: str) -> None:
    answer = await windows.get(path)
    assert {name: answer.headers[name] for name in HEADERS} == dict(HEADERS)
    assert answer.headers["X-Request-Id"]


async def test_the_operators_headers_go_before_ours(open_windows: Open) -> None:
    mine = {"X-Frame-Options": "sameorigin", "Strict-Transport-Security": "max-age=1"}
    windows = await open_windows(web_config=WebSettings(headers=mine))
    answer = await windows.get("/")
    assert {name: answer.headers[name] for name in mine} == mine
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("given", ["abc", "a.b-c_1", "x" * 64])
async def test_a_sane_request_id_is_honoured(windows: Windows, given: str) -> None:
    assert (await windows.get("/", **{"X-Request-Id": given})).headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", " ", "x" * 65, "-a", "a b", "é", '"', "a;b"])
async def test_any_other_is_replaced(windows: Windows, given: str) -> None:
    ours = (await windows.get("/", **{"X-Request-Id": given})).headers["X-Request-Id"]
    assert len(ours) == 16
    assert ours != given


@pytest.mark.parametrize(
    ("remote", "accepts", "packed"),
    [("192.0.2.1", "gzip", True), ("192.0.2.1", "identity", False), ("127.0.0.1", "gzip", False)],
)
async def test_answers_are_packed_for_other_machines(remote: str, accepts: str, packed: bool) -> None:
    request = make_mocked_request("GET", "/", headers={"Accept-Encoding": accepts})
    response = web.Response(text=LARGE)
    middleware._pack(request.clone(remote=remote), response)
    assert response.compression is (remote != "127.0.0.1")
    if response.compression:
        await response.prepare(request)
        assert ("Content-Encoding" in response.headers) is packed
        if packed:
            body = response._compressed_body
            assert body is not None
            assert gzip.decompress(body) == LARGE.encode()


@pytest.mark.parametrize(
    "response", [web.Response(text="short"), web.Response(body=b"x" * 5000, content_type="image/png")]
)
async def test_what_does_not_get_smaller_is_left(response: web.Response) -> None:
    request = make_mocked_request("GET", "/", headers={"Accept-Encoding": "gzip"})
    middleware._pack(request.clone(remote="192.0.2.1"), response)
    assert not response.compression


@pytest.fixture
async def logged(tmp_path: Path) -> AsyncIterator[tuple[str, FakeChronicle]]:
    """An application with an access log, behind a doorman."""
    chronicle, clock = FakeChronicle(), SystemClock()
    gate = gate_of(tmp_path, clock, chronicle, WebSettings(), set())

    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="hi")

    frame = framed(lambda *_: None, clock, chronicle)
    app = web.Application(middlewares=[frame, guarded(gate)])
    app.router.add_get("/{name}", answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    assert runner.server is not None
    doorman = Doorman(runner.server, 8, lambda: None, lambda _: None)
    server = await asyncio.get_running_loop().create_server(doorman, "127.0.0.1", 0)
    yield "http://{}:{}".format(*server.sockets[0].getsockname()), chronicle
    server.close()
    doorman.close()
    await runner.cleanup()


async def test_the_access_log_tells_who_asked_for_what_and_no_secret(
    logged: tuple[str, FakeChronicle],
) -> None:
    url, chronicle = logged
    async with ClientSession(cookie_jar=DummyCookieJar()) as client:
        for headers in ({"Authorization": f"Bearer {TOKEN}", "X-Request-Id": "one"}, {}):
            async with client.get(f"{url}/web?token=hidden", headers=headers):
                pass
    told = [detail for action, detail in chronicle.said if action is Action.REQUEST_ANSWERED]
    assert [_brief(detail) for detail in told] == [("/web", 200, "admin token"), ("/web", 401, "")]
    assert told[0]["request"] == "one"
    assert told[0]["address"] == "127.0.0.1"
    assert "hidden" not in str(told)
    assert TOKEN not in str(told)


def _brief(detail: Mapping[str, object]) -> tuple[object, ...]:
    return detail["path"], detail["status"], detail["caller"]
