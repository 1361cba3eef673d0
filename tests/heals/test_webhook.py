"""Asking a real server over HTTP to heal, which hangs, refuses, floods or sends us elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.errors import Permanent, Temporary
from sidecar.model.heal import WebhookHeal
from tests.heals.bench import call, door

SECRET = "/services/T0/hunter2?token=hunter2"


class Healer:
    """Keeps what it gets, and answers as it is told."""

    def __init__(self) -> None:
        self.status, self.words, self.headers = 200, "", dict[str, str]()
        self.got: list[tuple[dict[str, str], Any]] = []
        self.hangs = False
        self.url = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        self.got.append((dict(request.headers), await request.json()))
        if self.hangs:
            await asyncio.sleep(3600)
        return web.Response(status=self.status, text=self.words, headers=self.headers)

    async def heal(self, folder: Path, seconds: float = 10.0, **facts: Any) -> str:
        heal = WebhookHeal(self.url + SECRET, seconds, facts.pop("token_file", ""))
        return await door(folder).heal(call(heal, facts=("it refuses",), **facts))


@pytest.fixture
async def healer() -> AsyncIterator[Healer]:
    one = Healer()
    app = web.Application()
    app.router.add_post("/{path:.*}", one.take)
    async with TestServer(app, host="127.0.0.1") as server:
        one.url = str(server.make_url("")).rstrip("/")
        yield one


async def test_it_is_told_what_is_wrong_and_by_which_word_to_know_it_again(
    healer: Healer, tmp_path: Path
) -> None:
    healer.words = "failing over\nmore"
    assert await healer.heal(tmp_path) == f"{healer.url} was asked to heal: failing over"
    (tmp_path / "token").write_text("s3cret\n")
    await healer.heal(tmp_path, again=True, token_file=str(tmp_path / "token"))
    (first, body), (second, again) = healer.got
    assert (body["check"], body["subject"], body["facts"], body["again"]) == (
        "api",
        "web",
        ["it refuses"],
        False,
    )
    assert again["again"] is True
    assert first["Idempotency-Key"] == second["Idempotency-Key"] == body["recovery"] == "trace-1"
    assert "Authorization" not in first
    assert second["Authorization"] == "Bearer s3cret"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(204, None), (301, Permanent), (400, Permanent), (401, Permanent), (404, Permanent), (429, Temporary),
     (500, Temporary), (503, Temporary)],
)  # fmt: skip
async def test_what_a_status_means(
    healer: Healer, tmp_path: Path, status: int, kind: type[Exception] | None
) -> None:
    healer.status, healer.headers = status, {"Location": "/elsewhere"}
    if kind is None:
        assert await healer.heal(tmp_path) == f"{healer.url} was asked to heal"
        return
    with pytest.raises(kind, match=f"answered {status}") as caught:
        await healer.heal(tmp_path)
    assert "hunter2" not in str(caught.value)
    assert len(healer.got) == 1


async def test_one_that_hangs_and_one_that_is_not_there(healer: Healer, tmp_path: Path) -> None:
    healer.hangs = True
    with pytest.raises(Temporary, match="did not take the heal") as caught:
        await healer.heal(tmp_path, seconds=0.2)
    assert "hunter2" not in str(caught.value)
    healer.url = "http://127.0.0.1:9"
    with pytest.raises(Temporary, match="did not take the heal") as caught:
        await healer.heal(tmp_path)
    assert "hunter2" not in str(caught.value)


async def test_of_a_long_answer_only_the_beginning_is_read(healer: Healer, tmp_path: Path) -> None:
    healer.words = "x" * 5_000_000
    assert len(await healer.heal(tmp_path)) < 300
    healer.words = "done token=hunter2 \x1b[31m"
    assert (await healer.heal(tmp_path)).endswith(": done token=***  [31m")


def test_an_address_is_shown_without_what_may_be_a_secret() -> None:
    assert WebhookHeal("https://user:pw@h.example:8443/a?b").describe() == "POST to https://h.example:8443"
