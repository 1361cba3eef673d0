"""The windows upon the generations: what is asked is passed on, what is answered holds no secret."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from sidecar.model.archive import (
    Compared,
    Created,
    Doomed,
    Exported,
    GenerationFilter,
    GenerationRow,
    Missing,
    PruneReason,
    RestoreRequest,
)
from sidecar.model.plan import Difference, Refusal, RefusalReason, Strategy
from sidecar.model.session import Checkpoint, Operation, SavedPane, SavedWindow, ServerOrigin, SessionImage
from sidecar.model.status import DryRun, Ticket, UnknownSession
from tests.web.conftest import Windows, recovery

ROW = GenerationRow(7, "web", 1.0, "interval", "i", "c", 10, 2, 3)
PANE = SavedPane(0, "t", "/srv", "x --token abc", ("x", "--token", "abc"), ("y", "--password", "p"), True)
IMAGE = SessionImage(
    "web", 80, 24, "/bin/bash", "", (("API_KEY", "hunter2"), ("GONE", None)),
    (SavedWindow(3, "main", "", False, True, False, True, (PANE,)),),
    ServerOrigin((("TOKEN", "hunter3"),), "/", ""),
)  # fmt: skip
FOUND = Checkpoint(7, "web", 1.0, Operation.INTERVAL, "i", "c", 10, IMAGE)
REFUSED = Refusal(RefusalReason.OCCUPIED, "web lives", hint="Use --as.", retry_after=2.0)
LIST = "/api/v1/checkpoints"


async def ask(windows: Windows, method: str, path: str, answer: Any, body: bytes = b"") -> tuple[int, Any]:
    windows.archive.answer = answer
    got = await (windows.get(URL(path, encoded=True)) if method == "GET" else windows.post(path, body))
    return got.status, await got.json(content_type=None)


async def test_a_page(windows: Windows) -> None:
    query = "?session=web&operation=interval&until=2026-01-31T14:00:00Z&good=true&before=9&limit=1"
    status, body = await ask(windows, "GET", LIST + query, (ROW,))
    assert (status, body["next"]) == (200, 7)
    assert body["checkpoints"] == [
        {
            "id": 7, "session": "web", "taken": 1.0, "operation": "interval", "instance": "i",
            "checksum": "c", "size": 10, "windows": 2, "panes": 3, "quarantined": "",
        }
    ]  # fmt: skip
    wanted = GenerationFilter("web", "interval", 1769868000.0, good=True, before=9, limit=1)
    assert windows.archive.asked == [("page", wanted)]


async def test_the_last_page(windows: Windows) -> None:
    assert await ask(windows, "GET", LIST, ()) == (200, {"checkpoints": [], "next": None})
    assert windows.archive.asked == [("page", GenerationFilter())]


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("operation=x", "`operation` is 'x', not one of structure, interval"),
        ("until=soon", "`until` is 'soon', not a time like"),
        ("until=0001-01-01T00:00:00%2B14:00", "`until`"),
        ("good=1", "`good` is '1', not true or false"),
        ("limit=0", "`limit`"),
        ("before=x", "`before`"),
    ],
)
async def test_a_wrong_query_is_named(windows: Windows, query: str, words: str) -> None:
    status, body = await ask(windows, "GET", f"{LIST}?{query}", ())
    assert status == 400
    assert words in body["detail"]
    assert windows.archive.asked == []


async def test_one_is_shown_without_its_secrets(windows: Windows) -> None:
    status, body = await ask(windows, "GET", f"{LIST}/7", FOUND)
    assert status == 200
    image = body["checkpoint"]["image"]
    assert (image["environment"], image["origin"]["environment"]) == (["API_KEY", "GONE"], ["TOKEN"])
    (pane,) = image["windows"][0]["panes"]
    assert (pane["argv"], pane["program"]) == (["x", "--token", "***"], ["y", "--password", "***"])
    assert pane["start_command"] == "x --token ***"
    assert "hunter" not in str(body)


async def test_one_in_quarantine_is_shown_without_content(windows: Windows) -> None:
    spoiled = GenerationRow(7, "web", 1.0, "interval", "i", "c", 10, 0, 0, "the checksum does not match")
    status, body = await ask(windows, "GET", f"{LIST}/7", spoiled)
    assert (status, body["checkpoint"]["quarantined"]) == (200, "the checksum does not match")
    assert "image" not in body["checkpoint"]


@pytest.mark.parametrize(
    ("method", "path", "answer", "body"),
    [
        ("GET", "/7", None, b""),
        ("GET", "/x", FOUND, b""),
        ("GET", "/-1/export", FOUND, b""),
        ("GET", "/7/diff", Missing(7), b""),
        ("GET", "/7/diff?against=9", Missing(9), b""),
        ("GET", "/7/diff", UnknownSession("web"), b""),
        ("GET", "/7/export", Missing(7), b""),
        ("POST", "/7/restore", Missing(7), b"{}"),
        ("POST", "/x/restore", None, b"{}"),
        ("POST", "", UnknownSession("web"), b'{"session": "web"}'),
    ],
)
async def test_what_is_not_there(windows: Windows, method: str, path: str, answer: Any, body: bytes) -> None:
    status, said = await ask(windows, method, LIST + path, answer, body)
    assert status == 404
    assert said["hint"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "", b'{"session": "web"}'),
        ("GET", "/7/diff", b""),
        ("GET", "/7/export", b""),
        ("POST", "/7/restore", b""),
    ],
)
async def test_a_refusal_has_its_reason(windows: Windows, method: str, path: str, body: bytes) -> None:
    status, said = await ask(windows, method, LIST + path, REFUSED, body)
    assert (status, said["reason"], said["detail"], said["hint"]) == (
        409,
        "occupied",
        "web lives",
        "Use --as.",
    )


@pytest.mark.parametrize(("fresh", "status"), [(True, 201), (False, 200)])
async def test_create(windows: Windows, fresh: bool, status: int) -> None:
    got, body = await ask(windows, "POST", LIST, Created(FOUND, fresh), b'{"session": "web"}')
    assert (got, body["created"], body["checkpoint"]["id"]) == (status, fresh, 7)
    assert windows.archive.asked == [("create", "web")]


async def test_diff(windows: Windows) -> None:
    answer = Compared(7, 9, (Difference("session", "width", "80", "100", tolerated=False),))
    assert await ask(windows, "GET", f"{LIST}/7/diff?against=9", answer) == (
        200,
        {
            "checkpoint": 7,
            "against": 9,
            "differences": [{"where": "session", "field": "width", "wanted": "80", "found": "100"}],
        },
    )
    assert windows.archive.asked == [("compare", 7, 9)]


async def test_export(windows: Windows) -> None:
    answer = Exported(7, "web", 1.0, {"session_name": "web"})
    status, body = await ask(windows, "GET", f"{LIST}/7/export", answer)
    assert (status, body["workspace"]) == (200, {"session_name": "web"})


async def test_restore(windows: Windows) -> None:
    body = b'{"as": "copy", "dry_run": true}'
    planned = DryRun(Strategy.RESTORE_CHECKPOINT, ("rebuild session",), "reported", ())
    status, said = await ask(windows, "POST", f"{LIST}/7/restore", planned, body)
    assert (status, said["steps"]) == (200, ["rebuild session"])
    status, said = await ask(windows, "POST", f"{LIST}/7/restore", Ticket(recovery(), undo=3), b"")
    assert (status, said["id"], said["undo"]) == (202, 7, 3)
    assert windows.archive.asked == [
        ("restore", RestoreRequest(7, name="copy", dry_run=True)),
        ("restore", RestoreRequest(7)),
    ]


@pytest.mark.parametrize(
    "body",
    [
        b'{"window": -1}',
        b'{"window": "1"}',
        b'{"as": "a:b"}',
        b'{"as": "x", "replace": true}',
        b'{"as": "x", "window": 1}',
        b'{"window": 1, "replace": true}',
        b'{"force": true}',
        b"[]",
        b"{",
    ],
)
async def test_a_wrong_restore_is_refused_with_a_sentence(windows: Windows, body: bytes) -> None:
    status, said = await ask(windows, "POST", f"{LIST}/7/restore", None, body)
    assert status == 400
    assert said["detail"]
    assert windows.archive.asked == []


@pytest.mark.parametrize(("body", "dry_run"), [(b"", False), (b'{"dry_run": true}', True)])
async def test_prune(windows: Windows, body: bytes, dry_run: bool) -> None:
    gone = (Doomed(1, "web", 1.0, 5, PruneReason.THINNED),)
    status, said = await ask(windows, "POST", f"{LIST}/prune", gone, body)
    assert (status, said["dry_run"]) == (200, dry_run)
    assert said["checkpoints"] == [{"id": 1, "session": "web", "taken": 1.0, "size": 5, "reason": "thinned"}]
    assert windows.archive.asked == [("doomed",) if dry_run else ("prune",)]
