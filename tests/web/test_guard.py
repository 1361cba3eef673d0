"""Who gets in, and who does not."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from unittest.mock import Mock

import pytest
from aiohttp import StreamReader
from aiohttp.test_utils import make_mocked_request

from sidecar.config import HttpSettings, Settings
from sidecar.errors import Permanent, UnsafeState
from sidecar.web.guard import ensure_token, read_body
from sidecar.web.problem import Rejected
from tests.web.conftest import Open, Windows

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


@pytest.mark.parametrize("listen", ["0.0.0.0:9847", "[::]:9847", "192.0.2.1:80", "example.org:80"])
async def test_an_address_open_to_others_is_refused(open_windows: Open, listen: str) -> None:
    settings = Settings(http=HttpSettings(listen=listen))
    with pytest.raises(Permanent, match="not a loopback address") as refused:
        await open_windows(settings=lambda: settings)
    assert "127.0.0.1" in refused.value.hint


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0", "localhost:0"])
async def test_loopback_is_served(open_windows: Open, listen: str) -> None:
    settings = Settings(http=HttpSettings(listen=listen))
    assert (await (await open_windows(settings=lambda: settings)).get("/")).status == 200


async def test_whoever_goes_away_in_mid_sentence_is_no_fault_of_ours() -> None:
    body = StreamReader(Mock(), 1 << 16, loop=asyncio.get_running_loop())
    body.feed_data(b"{")
    body.set_exception(ConnectionResetError("Connection lost"))
    with pytest.raises(Rejected, match="Connection lost") as rejected:
        await read_body(make_mocked_request("POST", "/recover", payload=body), 100)
    assert rejected.value.response.status == 400


def test_the_token_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = ensure_token(path)
    assert len(token) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_token(path) == token


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_token_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    ensure_token(path)
    path.chmod(mode)
    with pytest.raises(UnsafeState) as refused:
        ensure_token(path)
    assert "chmod 600" in refused.value.hint


def test_a_token_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    ensure_token(path)
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(UnsafeState, match="another user"):
        ensure_token(path)


def test_a_token_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    folder, garbage, empty = tmp_path / "folder", tmp_path / "garbage", tmp_path / "empty"
    folder.mkdir()
    for path, content in ((garbage, b"\xff\xfe"), (empty, b"\n")):
        path.write_bytes(content)
        path.chmod(0o600)
    for path in (folder, garbage, empty, tmp_path / "missing" / "token"):
        with pytest.raises(Permanent, match=path.name) as refused:
            ensure_token(path)
        assert refused.value.hint
