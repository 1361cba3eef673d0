"""An Alertmanager's own silences: what is read of them, and that we mean the same alerts as it does."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from sidecar.clock import SystemClock
from sidecar.decide.matchers import silencing
from sidecar.edges.notify import LocalMessenger
from sidecar.errors import Temporary
from sidecar.model.notice import Alertmanager, Channel, Matter, Message, Notice, labels_of_alerts
from sidecar.model.quiet import ForeignSilence, Matcher
from tests.edges.test_notify import alertmanager

__all__ = ["alertmanager"]


def call(url: str, body: Any = None, method: str = "") -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"}, method=method or None)
    with urllib.request.urlopen(request, timeout=20) as answer:
        return json.loads(answer.read() or b"null")


def moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat()


def silence(url: str, *matchers: Matcher, begins: float = -1.0, ends: float = 600.0) -> str:
    now = SystemClock().wall()
    conditions = [
        {"name": one.label, "value": one.value, "isRegex": one.regex, "isEqual": one.equal}
        for one in matchers
    ]
    made = call(
        f"{url}/api/v2/silences",
        {"matchers": conditions, "startsAt": moment(now + begins), "endsAt": moment(now + ends),
         "createdBy": "me", "comment": "moving the disks"},
    )  # fmt: skip
    return str(made["silenceID"])


NOTICES = [
    Notice(Matter.GIVEN_UP, "web", "t", 0.0),
    Notice(Matter.STUCK, "web-2", "t", 0.0),
    Notice(Matter.HELD, "", "t", 0.0),
    Notice(Matter.CHECK_FAILED, "", "t", 0.0, check="disk"),
    Notice(Matter.CHECK_FAILED, "web", "t", 0.0, check="api"),
    Notice(Matter.GIVEN_UP, 'we"b\\', "t", 0.0),
]


async def test_we_mean_the_same_alerts_as_a_real_alertmanager(alertmanager: str) -> None:
    target, messenger = Alertmanager(alertmanager), LocalMessenger()
    now = SystemClock().wall()
    fired = [Notice(one.matter, one.session, one.text, now, check=one.check) for one in NOTICES]
    await messenger.deliver(Channel("am", target), Message("", "", tuple(fired), "box"))
    assert len(call(f"{alertmanager}/api/v2/alerts")) == len(NOTICES)
    for matchers in (
        [Matcher("session", "web")],
        [Matcher("session", "web", equal=False), Matcher("instance", "box")],
        [Matcher("session", "web", regex=True)],
        [Matcher("session", "web.*", regex=True)],
        [Matcher("session", "(api|web)(-2)?", regex=True)],
        [Matcher("session", "web.*", regex=True, equal=False), Matcher("severity", "critical")],
        [Matcher("check", ".+", regex=True)],
        [Matcher("check", ""), Matcher("alertname", "TmuxSidecar.*", regex=True)],
        [Matcher("check", "disk", equal=False), Matcher("instance", "box")],
        [Matcher("alertname", "TmuxSidecar(GivenUp|Held)", regex=True)],
        [Matcher("session", 'we"b\\')],
        [Matcher("nothing", "x")],
    ):
        number = silence(alertmanager, *matchers)
        found = await messenger.silences(target)
        assert [(one.id, set(one.matchers), one.comment) for one in found] == [
            (number, set(matchers), "moving the disks")
        ]
        theirs = {
            frozenset(alert["labels"].items())
            for alert in call(f"{alertmanager}/api/v2/alerts")
            if alert["status"]["silencedBy"]
        }
        ours = {
            frozenset(labels.items())
            for one in NOTICES
            for labels in labels_of_alerts(one, "box")
            if silencing(found, [labels], SystemClock().wall())
        }
        # A label without a value is not kept by an Alertmanager.
        assert {frozenset(pair for pair in labels if pair[1]) for labels in ours} == theirs, matchers
        call(f"{alertmanager}/api/v2/silence/{number}", method="DELETE")
        assert await messenger.silences(target) == ()


async def test_one_that_is_still_to_come_is_known(alertmanager: str) -> None:
    silence(alertmanager, Matcher("session", "web"), begins=300.0)
    [found] = await LocalMessenger().silences(Alertmanager(f"{alertmanager}/"))
    assert found.begins - SystemClock().wall() > 200.0
    assert silencing([found], [{"session": "web"}], SystemClock().wall()) is None
    assert silencing([found], [{"session": "web"}], found.begins) is found


Answering = Callable[[str | bytes, int], Alertmanager]


@pytest.fixture
async def answering() -> AsyncIterator[Answering]:
    """A server that gives one answer to everything."""
    said: dict[str, Any] = {}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(body=said["body"], status=said["status"])

    app = web.Application()
    app.router.add_get("/{path:.*}", answer)
    async with TestServer(app, host="127.0.0.1") as server:

        def say(body: str | bytes, status: int = 200) -> Alertmanager:
            said.update(body=body, status=status)
            return Alertmanager(str(server.make_url("/secret")))

        yield say


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ("nothing", 200, "its answer is none"),
        ("{}", 200, "its answer is none"),
        ('[{"id": 1}]', 200, "its answer is none"),
        ("[" * 100_000, 200, "its answer is none"),
        (b"\xff\xfe", 200, "its answer is none"),
        (b" " * (4 * 1024 * 1024 + 1), 200, "its answer is larger than"),
        ("[]", 500, "it answered 500"),
        ("[]", 302, "it answered 302"),
    ],
)
async def test_an_answer_that_is_none(
    answering: Answering, body: str | bytes, status: int, words: str
) -> None:
    with pytest.raises(Temporary, match=words) as caught:
        await LocalMessenger().silences(answering(body, status))
    assert "secret" not in str(caught.value)


async def test_nobody_there(unused_tcp_port: int) -> None:
    with pytest.raises(
        Temporary, match=f"http://127.0.0.1:{unused_tcp_port} cannot be asked for its silences"
    ):
        await LocalMessenger().silences(Alertmanager(f"http://127.0.0.1:{unused_tcp_port}"))


async def test_one_without_a_sign_of_equality_is_of_an_older_release(answering: Answering) -> None:
    row = {
        "id": "a", "status": {"state": "active"}, "startsAt": moment(1.0), "endsAt": moment(2.0),
        "updatedAt": moment(1.0), "createdBy": "me", "comment": "c" * 1_000,
        "matchers": [{"name": "session", "value": "web", "isRegex": False}],
    }  # fmt: skip
    [found] = await LocalMessenger().silences(
        answering(json.dumps([row, {**row, "status": {"state": "expired"}}]), 200)
    )
    assert found == ForeignSilence("a", (Matcher("session", "web"),), 1.0, 2.0, "c" * 500)
