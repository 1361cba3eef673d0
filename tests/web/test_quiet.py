"""The windows upon what is kept quiet."""

from __future__ import annotations

import json
from typing import Any

import pytest
from yarl import URL

from sidecar.errors import Temporary
from sidecar.flow.ward import DRAINING
from sidecar.model.quiet import Hush, QuietKind, Silence, SilenceRequest, UnknownTarget
from tests.web.conftest import TOKEN, Windows

PATH = "/api/v1/sessions/build-%2A/silence"
MADE = Silence(7, "build-*", 1.0, 3601.0, True, "disks", "operator")


async def ask(windows: Windows, path: str = PATH, **body: Any) -> tuple[int, Any]:
    answer = await windows.post(URL(path, encoded=True), json.dumps(body).encode())  # type: ignore[arg-type]
    return answer.status, await answer.json(content_type=None)


async def test_a_silence_is_made(windows: Windows) -> None:
    windows.quiet.answer = MADE
    status, body = await ask(windows, seconds=3600, hold=True, reason=" disks ")
    assert status == 201
    assert body["silence"] == {
        "id": 7, "target": "build-*", "begun": 1.0, "until": 3601.0, "hold": True, "reason": "disks",
        "actor": "operator",
    }  # fmt: skip
    assert windows.quiet.asked == [("silence", SilenceRequest("build-*", 3600.0, True, "disks"))]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "missing required field `seconds` - at `$`"),
        ({"seconds": "1h"}, "Expected `float`, got `str` - at `$.seconds`"),
        ({"seconds": 0}, "a silence lasts 1 s to 30 days, and 0 s is not"),
        ({"seconds": -60}, "and -60 s is not"),
        ({"seconds": 1e99}, "a silence lasts 1 s to 30 days"),
        ({"seconds": 60, "for": "1h"}, "unknown field `for`"),
        ({"seconds": 60, "reason": "x" * 501}, "a reason has 500 characters at most"),
    ],
)
async def test_a_wrong_field_is_named(windows: Windows, body: dict[str, Any], words: str) -> None:
    status, said = await ask(windows, **body)
    assert status == 400
    assert words in said["detail"]
    assert windows.quiet.asked == []


async def test_what_nobody_knows_is_answered_with_what_is_almost_called_so(windows: Windows) -> None:
    windows.quiet.answer = UnknownTarget("wbe", ("web", "web2"))
    status, body = await ask(windows, "/api/v1/sessions/wbe/silence", seconds=60)
    assert (status, body["detail"]) == (404, "there is no session and no check called 'wbe'")
    assert body["hint"].startswith("did you mean 'web' or 'web2'? ")
    windows.quiet.answer = UnknownTarget("wbe")
    assert "did you mean" not in (await ask(windows, seconds=60))[1]["hint"]


async def test_a_refusal(windows: Windows) -> None:
    windows.quiet.answer = DRAINING
    status, body = await ask(windows, seconds=60)
    assert (status, body["reason"]) == (409, "draining")
    windows.quiet.answer = Temporary("there are 100 silences already")
    assert (await ask(windows, seconds=60))[0] == 503


async def test_a_form_of_a_page_elsewhere_is_turned_away(windows: Windows) -> None:
    answer = await windows.post("/api/v1/sessions/web/silence", b"x", {"Content-Type": "text/plain"})
    assert answer.status == 415
    assert windows.quiet.asked == []


async def test_what_is_quiet_is_listed(windows: Windows) -> None:
    windows.quiet.answer = (Hush(QuietKind.WINDOW, "nightly", ("w*", "api"), 5.0, False, "backup"),)
    answer = await windows.get("/api/v1/silences")
    assert await answer.json() == {
        "quiet": [
            {"kind": "window", "name": "nightly", "targets": ["w*", "api"], "until": 5.0, "hold": False,
             "reason": "backup"}
        ]
    }  # fmt: skip


async def test_a_silence_is_ended(windows: Windows) -> None:
    windows.quiet.answer = MADE
    answer = await windows.client.delete("/api/v1/silences/7", headers={"Authorization": f"Bearer {TOKEN}"})
    assert (answer.status, (await answer.json())["silence"]["id"]) == (200, 7)
    windows.quiet.answer = None
    for number in ("8", "x", "9" * 30):
        answer = await windows.client.delete(
            f"/api/v1/silences/{number}", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        assert answer.status == 404
    assert windows.quiet.asked == [("end", 7), ("end", 8)]


async def test_nobody_ends_one_without_the_token(windows: Windows) -> None:
    assert (await windows.client.delete("/api/v1/silences/7")).status == 401
    assert windows.quiet.asked == []
