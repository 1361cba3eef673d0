"""POST /recover: what is taken, what is refused, and what a repeated request gets."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from sidecar.errors import Permanent, StoreUnavailable, Temporary
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Refusal, RefusalReason, Strategy
from sidecar.model.status import Answer, DryRun, RecoverRequest, Ticket, UnknownSession
from sidecar.web import guard
from tests.web.conftest import JSON, Windows, recovery

BODY = b'{"session": "web"}'


@pytest.mark.parametrize(
    ("body", "wanted"),
    [
        ('{"session": "web"}', RecoverRequest("web")),
        ('{"session": "a b;\\"$(x)\'é#{pid}"}', RecoverRequest("a b;\"$(x)'é#{pid}")),
        (
            '{"session": "web", "failure": "frozen", "strategy": "respawn_pane", "dry_run": true}',
            RecoverRequest("web", FailureKind.FROZEN, Strategy.RESPAWN_PANE, True),
        ),
        ('{"session": "web", "strategy": null}', RecoverRequest("web")),
        ('{"session": "old", "session": "web"}', RecoverRequest("web")),
        ('{"session": "web"' + " " * 60_000 + "}", RecoverRequest("web")),
    ],
)
async def test_what_is_asked_reaches_the_desk(windows: Windows, body: str, wanted: RecoverRequest) -> None:
    answer = await windows.post("/recover", body.encode())
    assert answer.status == 202
    assert answer.headers["Location"] == "/api/v1/recoveries/7"
    assert await answer.json() == {
        "id": 7, "joined": False, "trace": "t1", "session": "web", "strategy": "respawn_pane",
    }  # fmt: skip
    assert windows.desk.asked == [wanted]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"null", "$"),
        (b"[]", "object"),
        (b"{}", "session"),
        (b'{"session": ""}', "$.session"),
        (b'{"session": 3}', "$.session"),
        (b'{"session": null}', "$.session"),
        (b'{"session": "w", "command": "rm"}', "command"),
        (b'{"session": "w", "failure": "bored"}', "$.failure"),
        (b'{"session": "w", "failure": null}', "$.failure"),
        (b'{"session": "w", "strategy": "magic"}', "$.strategy"),
        (b'{"session": "w", "dry_run": "yes"}', "$.dry_run"),
        (b'{"session": "w", "dry_run": 1}', "$.dry_run"),
        (b'{"session": "w", "dry_run": NaN}', "JSON"),
        (b'{"session": "w", "dry_run": ' + b"9" * 5000 + b"}", ""),
        (b'{"session": 1e999}', ""),
        (b'{"session": "\xff"}', ""),
        (b'{"session": "\\ud800"}', ""),
        (b"\xff\xfe", "JSON"),
        (b"[" * 50_000, ""),
        (b'{"session":' * 5_000, ""),
        (b'{"session": "w"} x', "JSON"),
    ],
)
async def test_bad_input_is_named_and_nothing_is_done(windows: Windows, body: bytes, words: str) -> None:
    answer = await windows.post("/recover", body)
    told = await answer.json(content_type="application/problem+json")
    assert (answer.status, told["status"]) == (400, 400)
    assert words in told["detail"]
    assert told["hint"]
    assert windows.desk.asked == []


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_form_is_not_json(windows: Windows, kind: str) -> None:
    assert (await windows.post("/recover", BODY, {"Content-Type": kind})).status == 415
    assert windows.desk.asked == []


@pytest.mark.parametrize("body", [b" " * 70_000, gzip.compress(b" " * 5_000_000)])
async def test_a_body_that_is_too_large_is_refused(windows: Windows, body: bytes) -> None:
    packed = {"Content-Encoding": "gzip"} if body[:2] == b"\x1f\x8b" else {}
    assert (await windows.post("/recover", body, JSON | packed)).status == 413


async def test_a_body_that_does_not_unpack_is_malformed(windows: Windows) -> None:
    answer = await windows.post("/recover", b"no gzip at all", JSON | {"Content-Encoding": "gzip"})
    assert answer.status == 400


@pytest.mark.parametrize(
    ("answer", "status", "told"),
    [
        (Ticket(recovery(), joined=True), 202, {"joined": True}),
        (
            DryRun(Strategy.RESPAWN_PANE, ("respawn pane %1",), "process_killed", ({"fact": "x"},)),
            200,
            {"dry_run": True, "strategy": "respawn_pane", "steps": ["respawn pane %1"],
             "cause": "process_killed", "evidence": [{"fact": "x"}]},
        ),
        (
            Refusal(RefusalReason.CIRCUIT_OPEN, "it is open", "wait", retry_after=12.2),
            409,
            {"reason": "circuit_open", "detail": "it is open", "hint": "wait"},
        ),
        (UnknownSession("web"), 404, {"detail": "there is no session 'web' and no checkpoint of one"}),
        (StoreUnavailable("it is locked", hint="free it", delay=2.0), 503, {"detail": "it is locked"}),
        (Permanent("it cannot be", hint="mend it"), 500, {"detail": "it cannot be", "hint": "mend it"}),
    ],
)  # fmt: skip
async def test_each_answer_has_its_status(
    windows: Windows, answer: Answer | Exception, status: int, told: dict[str, Any]
) -> None:
    windows.desk.answer = answer
    got = await windows.post("/recover", BODY)
    body = msgspec.json.decode(await got.read())
    assert got.status == status
    assert {key: body[key] for key in told} == told
    assert got.content_type == ("application/json" if status < 400 else "application/problem+json")
    if status in (409, 503):
        assert got.headers["Retry-After"] == {409: "13", 503: "2"}[status]


async def test_a_fault_of_our_own_shows_no_traceback(
    windows: Windows, caplog: pytest.LogCaptureFixture
) -> None:
    windows.desk.answer = RuntimeError("secret inside")
    got = await windows.post("/recover", BODY)
    text = await got.text()
    assert got.status == 500
    assert got.headers["X-Request-Id"] in text
    assert "secret" not in text
    assert "Traceback" not in text
    assert got.headers["X-Request-Id"] in caplog.text


async def ask(windows: Windows, key: str, body: bytes = BODY) -> tuple[int, bytes, str | None]:
    got = await windows.post("/recover", body, JSON | {"Idempotency-Key": key})
    return got.status, await got.read(), got.headers.get("Location")


async def test_the_same_request_gets_the_same_answer_again(windows: Windows) -> None:
    first = await ask(windows, "one")
    windows.desk.answer = Ticket(recovery(8))
    assert await ask(windows, "one") == first
    assert len(windows.desk.asked) == 1
    assert await ask(windows, "two") != first


async def test_a_refusal_for_good_is_kept_with_its_form(windows: Windows) -> None:
    windows.desk.answer = Refusal(RefusalReason.NO_CHECKPOINT, "there is none")
    first = await ask(windows, "one")
    windows.desk.answer = Ticket(recovery())
    assert await ask(windows, "one") == first
    assert first[0] == 409


@pytest.mark.parametrize(
    "answer",
    [
        Refusal(RefusalReason.DRAINING, "stopping"),
        Refusal(RefusalReason.CIRCUIT_OPEN, "open", retry_after=3.0),
        Temporary("not now"),
        Permanent("broken"),
    ],
)
async def test_what_failed_for_the_moment_may_be_asked_again(
    windows: Windows, answer: Answer | Exception
) -> None:
    windows.desk.answer = answer
    assert (await ask(windows, "one"))[0] >= 400
    windows.desk.answer = Ticket(recovery())
    assert (await ask(windows, "one"))[0] == 202


async def test_a_key_is_not_used_for_another_request(windows: Windows) -> None:
    await ask(windows, "one")
    assert (await ask(windows, "one", b'{"session": "other"}'))[0] == 422
    assert len(windows.desk.asked) == 1


async def test_requests_at_once_with_one_key_are_one(windows: Windows) -> None:
    windows.desk.gate.clear()
    first = asyncio.create_task(ask(windows, "one"))
    async with asyncio.timeout(10):
        await windows.desk.entered.wait()
    others = [asyncio.create_task(ask(windows, "one")) for _ in range(3)]
    other = asyncio.create_task(ask(windows, "one", b'{"session": "other"}'))
    windows.desk.gate.set()
    answers = await asyncio.gather(first, *others)
    assert set(answers) == {answers[0]}
    assert (await other)[0] == 422
    assert len(windows.desk.asked) == 1


@pytest.mark.parametrize("key", ["x" * 256, "é"])
async def test_a_key_that_is_none_is_refused(windows: Windows, key: str) -> None:
    assert (await ask(windows, key))[0] == 400
    assert windows.desk.asked == []


async def test_a_body_that_does_not_arrive_is_to_be_sent_again(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "_PATIENCE", 0.01)
    ended = asyncio.Event()

    async def stalled() -> AsyncIterator[bytes]:
        yield b"{"
        await ended.wait()

    answer = await windows.post("/recover", stalled())
    ended.set()
    assert answer.status == 503


@pytest.mark.parametrize("kept", [{}, {"request": "x"}, {"request": 1, "status": "200"}])
async def test_a_damaged_answer_is_told_and_nothing_is_done_again(
    windows: Windows, kept: dict[str, Any]
) -> None:
    windows.desk.kept["k"] = kept
    answer = await windows.post("/recover", BODY, JSON | {"Idempotency-Key": "k"})
    assert answer.status == 500
    assert "is damaged; the request was carried out" in (await answer.json())["detail"]
    assert windows.desk.asked == []
