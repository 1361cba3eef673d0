"""Who gets in, and who does not."""

from __future__ import annotations

import asyncio
import contextlib
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader
from aiohttp.test_utils import make_mocked_request

from sidecar.web.guard import check_host, read_body
from sidecar.web.problem import Rejected
from tests.web.conftest import Windows

CLOSED = [
    ("GET", "/"),
    ("POST", "/alerts"),
    ("POST", "/recover"),
    ("GET", "/api/v1/sessions"),
    ("GET", "/api/v1/sessions/web"),
    ("GET", "/api/v1/recoveries"),
    ("GET", "/api/v1/recoveries/1"),
    ("POST", "/-/reload"),
    ("GET", "/no/such/path"),
    ("DELETE", "/recover"),
]


@pytest.mark.parametrize("path", ["/metrics", "/-/healthy", "/-/ready"])
async def test_metrics_and_health_are_open(windows: Windows, path: str) -> None:
    assert (await windows.client.get(path)).status == 200


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize(
    "authorization",
    [None, "Bearer wrong", "Bearer", "Basic right", "right", "Bearer righté", "Bearer right x"],
)
async def test_everything_else_needs_the_token(
    windows: Windows, method: str, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization}
    answer = await windows.client.request(method, path, headers=headers)
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert (await answer.json(content_type="application/problem+json"))["hint"]


@pytest.mark.parametrize("authorization", ["Bearer right", "bearer right", "BEARER  right "])
async def test_the_scheme_has_no_case(windows: Windows, authorization: str) -> None:
    answer = await windows.client.get("/api/v1/sessions", headers={"Authorization": authorization})
    assert answer.status == 200


@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"Host": "127.0.0.1"}, 200),
        ({"Host": "127.0.0.2:1"}, 200),
        ({"Host": "localhost:9847"}, 200),
        ({"Host": "[::1]:9847"}, 200),
        ({"Host": "127.0.0.1:1", "Origin": "http://127.0.0.1:1"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "localhost.evil.example:9847"}, 403),
        ({"Host": "["}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "10.0.0.1"}, 403),
        ({"Host": "127.0.0.1:1", "Origin": "http://127.0.0.1:2"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": ""}, 403),
    ],
)
async def test_pages_elsewhere_are_turned_away(
    windows: Windows, headers: dict[str, str], wanted: int
) -> None:
    for path in ("/metrics", "/api/v1/sessions"):
        answer = await windows.get(path, **headers)
        assert answer.status == wanted, await answer.text()


async def test_whoever_goes_away_in_mid_sentence_is_no_fault_of_ours() -> None:
    body = StreamReader(Mock(), 1 << 16, loop=asyncio.get_running_loop())
    body.feed_data(b"{")
    body.set_exception(ConnectionResetError("Connection lost"))
    with pytest.raises(Rejected, match="Connection lost") as rejected:
        await read_body(make_mocked_request("POST", "/recover", payload=body), 100)
    assert rejected.value.response.status == 400


@pytest.mark.parametrize(
    ("host", "taken"),
    [("192.0.2.1:9847", True), ("[2001:db8::1]:9847", True), ("evil.example", False), ("1.2.3", False)],
)
def test_where_others_listen_every_ip_address_is_a_host(host: str, taken: bool) -> None:
    """Behind an address stands no name that somebody could have turned to us."""
    request = make_mocked_request("GET", "/", headers={"Host": host})
    with contextlib.nullcontext() if taken else pytest.raises(Rejected):
        check_host(request, (), any_address=True)
    with pytest.raises(Rejected):
        check_host(request, ())
