"""Answers, as every window gives them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web

from sidecar.model.plan import Refusal
from sidecar.model.status import Answer, DryRun, Ticket
from sidecar.web import views
from sidecar.web.payload import positive
from sidecar.web.problem import problem, retry_after

_PAGE = 50
_LONGEST_PAGE = 500


def page_limit(request: web.Request) -> int:
    """How many rows a page may have.

    Raises:
        Rejected: 400, the query names no number.
    """
    return min(positive(request, "limit") or _PAGE, _LONGEST_PAGE)


async def shown(view: Callable[[], object], *, status: int = 200) -> web.Response:
    """An answer that may be long: arranged and written in a thread."""
    body = await asyncio.to_thread(lambda: views.encode(view()))
    return web.Response(body=body, status=status, content_type="application/json")


def as_json(body: object, *, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    """A short answer."""
    return web.Response(
        body=views.encode(body), status=status, headers=headers, content_type="application/json"
    )


def refused(refusal: Refusal) -> web.Response:
    """409 with the reason, and when to come again if that is known."""
    return problem(
        409,
        "Refused",
        refusal.sentence,
        hint=refusal.hint,
        headers=retry_after(refusal.retry_after),
        reason=refusal.reason,
    )


def answer_of(session: str, answer: Answer) -> web.Response:
    """What became of a request to recover or restore a session."""
    if isinstance(answer, Ticket):
        headers = {"Location": f"/api/v1/recoveries/{answer.recovery.id}"}
        return as_json(views.ticket(answer), status=202, headers=headers)
    if isinstance(answer, DryRun):
        return as_json(views.dry_run(answer))
    return refused(answer) if isinstance(answer, Refusal) else unknown(session)


def unknown(session: str) -> web.Response:
    """404: neither a session nor a checkpoint has this name."""
    return problem(
        404,
        "Unknown session",
        f"there is no session {session!r} and no checkpoint of one",
        hint="`sidecar status` lists the sessions.",
    )
