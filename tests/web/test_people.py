"""The window upon the ways to people."""

from __future__ import annotations

import json

from sidecar.model.notice import ChannelKind, Delivery, Trial, UnknownChannel
from tests.web.conftest import Windows

PATH = "/api/v1/notify/test"


async def test_what_came_of_each_channel_is_told(windows: Windows) -> None:
    windows.people.answer = (
        Trial("tmux", ChannelKind.TMUX, Delivery.NOBODY_THERE, 0.1, hint="attach"),
        Trial("ops", ChannelKind.WEBHOOK, Delivery.FAILED, 2.5, "it answered 500", "It is tried again."),
    )
    answer = await windows.post(PATH)
    assert answer.status == 200
    first, second = (await answer.json())["trials"]
    assert first == {
        "channel": "tmux", "kind": "tmux", "outcome": "nobody_there", "seconds": 0.1, "error": "",
        "hint": "attach",
    }  # fmt: skip
    assert (second["outcome"], second["error"]) == ("failed", "it answered 500")
    await windows.post(PATH, json.dumps({"channel": "ops"}).encode())
    assert windows.people.asked == [None, "ops"]


async def test_a_channel_that_nobody_knows(windows: Windows) -> None:
    windows.people.answer = UnknownChannel("oops", ("tmux", "ops"))
    answer = await windows.post(PATH, json.dumps({"channel": "oops"}).encode())
    body = await answer.json()
    assert (answer.status, body["detail"], body["hint"]) == (
        404, "there is no channel called 'oops'", "There are: tmux, ops.",
    )  # fmt: skip
    windows.people.answer = UnknownChannel("oops", ())
    assert (await (await windows.post(PATH)).json())["hint"] == "`notify` names none."


async def test_what_is_no_request(windows: Windows) -> None:
    assert (await windows.post(PATH, b'{"chanel": "ops"}')).status == 400
    assert (await windows.post(PATH, b'{"channel": ""}')).status == 400
    assert (await windows.post(PATH, b"{}", {"Content-Type": "text/plain"})).status == 415
    assert windows.people.asked == []
