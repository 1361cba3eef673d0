"""The windows: what is served under which path. Nothing is decided here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp import web

from sidecar.clock import Clock
from sidecar.config import Settings
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.status import Answer, RecoverRequest, Status
from sidecar.web import checkpoints, checks, custody, people, quiet, records, views
from sidecar.web.gate import Gate
from sidecar.web.guard import read_body
from sidecar.web.middleware import Observe, dressed, framed, guarded
from sidecar.web.payload import (
    ALERTS_LIMIT,
    RECOVER_LIMIT,
    check_json,
    idempotency_key,
    positive,
    read_alerts,
    read_number,
    read_recover,
)
from sidecar.web.ports import Archive, Checks, Custody, Desk, People, Quiet, Records
from sidecar.web.problem import Rejected
from sidecar.web.replay import Replays
from sidecar.web.reply import answer_of, as_json, page_limit, shown

_PASSING = frozenset(
    {
        RefusalReason.DRAINING,
        RefusalReason.IN_PROGRESS,
        RefusalReason.SERVER_UNKNOWN,
        RefusalReason.STALE,
    }
)
"""Refusals of the moment: the same request may be taken the next time."""


@dataclass(frozen=True, slots=True)
class Service:
    """What the windows look upon."""

    desk: Desk
    archive: Archive
    custody: Custody
    quiet: Quiet
    checks: Checks
    people: People
    records: Records
    settings: Callable[[], Settings]
    status: Callable[[], Status]
    ready: Callable[[], bool]
    healthy: Callable[[], bool]
    render: Callable[[str], tuple[bytes, str]]
    """The metrics in the format that an Accept header asks for, and its content type. Slow."""
    observe: Observe
    clock: Clock
    gate: Gate
    reload: Callable[[], Awaitable[None]]
    """Read the configuration again; raises ``ConfigInvalid`` and changes nothing."""


def make_app(service: Service) -> web.Application:
    """All routes, behind the gate."""
    gate = service.gate
    access_log = gate.chronicle if service.settings().http.access_log else None
    frame = framed(service.observe, service.clock, access_log)
    app = web.Application(middlewares=[frame, guarded(gate)])
    app.on_response_prepare.append(dressed(lambda: gate.settings().headers))
    windows = _Windows(service)
    app.add_routes(
        [
            web.get("/", windows.index),
            web.get("/metrics", windows.metrics),
            web.get("/-/healthy", windows.healthy),
            web.get("/-/ready", windows.ready),
            web.post("/-/reload", windows.reload),
            web.post("/alerts", windows.alerts),
            web.post("/recover", windows.recover),
            web.get("/api/v1/sessions", windows.sessions),
            web.get("/api/v1/sessions/{name:[^/]+}", windows.session),
            web.get("/api/v1/recoveries", windows.recoveries),
            web.get("/api/v1/recoveries/{id}", windows.recovery),
            *checkpoints.routes(service.archive),
            *custody.routes(service.custody),
            *quiet.routes(service.quiet),
            *checks.routes(service.checks),
            *people.routes(service.people),
            *records.routes(service.records),
        ]
    )
    return app


class _Windows:
    def __init__(self, service: Service) -> None:
        self._s = service
        self._replays = Replays(service.desk)
        self._rendering = asyncio.Lock()

    async def index(self, request: web.Request) -> web.Response:
        lines = sorted(
            f"{route.method:5}{route.resource.canonical}"
            for route in request.app.router.routes()
            if route.resource and route.method != "HEAD"
        )
        return web.Response(text="tmux-sidecar\n\n" + "\n".join(lines) + "\n")

    async def metrics(self, request: web.Request) -> web.Response:
        # One at a time: a scraper that asks faster than we render must not fill the threads.
        async with self._rendering:
            body, content_type = await asyncio.to_thread(self._s.render, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def healthy(self, request: web.Request) -> web.Response:
        return _probe(self._s.healthy() or not self._s.ready(), "healthy", "no look has ended lately")

    async def ready(self, request: web.Request) -> web.Response:
        return _probe(self._s.ready(), "ready", "starting or stopping")

    async def reload(self, request: web.Request) -> web.Response:
        await self._s.reload()
        return as_json({"reloaded": True})

    async def alerts(self, request: web.Request) -> web.Response:
        raw = await read_body(request, ALERTS_LIMIT)
        alerts = await asyncio.to_thread(read_alerts, raw, self._s.settings().alerts)
        receipts = await self._s.desk.accept_alerts(alerts)
        return await shown(lambda: views.receipts(receipts), status=202)

    async def recover(self, request: web.Request) -> web.Response:
        check_json(request)
        raw = await read_body(request, RECOVER_LIMIT)
        asked, key = read_recover(raw), idempotency_key(request)
        if not key:
            return (await self._ask(asked))[0]
        return await self._replays.once(key, raw, lambda: self._ask(asked))

    async def _ask(self, asked: RecoverRequest) -> tuple[web.Response, bool]:
        answer = await self._s.desk.request(asked)
        return answer_of(asked.session, answer), _lasting(answer)

    async def sessions(self, request: web.Request) -> web.Response:
        status = self._s.status()
        return await shown(lambda: views.overview(status))

    async def session(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        for session in self._s.status().sessions:
            if session.name == name:
                return as_json(views.session(session))
        raise Rejected(
            404,
            "Not found",
            f"there is no session {name!r} in our care",
            hint="GET /api/v1/sessions lists them.",
        )

    async def recoveries(self, request: web.Request) -> web.Response:
        limit = page_limit(request)
        rows = await self._s.desk.recoveries(limit, positive(request, "before"), request.query.get("session"))
        following = rows[-1].id if len(rows) == limit else None
        return await shown(lambda: views.recoveries(rows, following))

    async def recovery(self, request: web.Request) -> web.Response:
        given = request.match_info["id"]
        number = read_number(given)
        row = None if number is None else await self._s.desk.recovery(number)
        if row is None:
            raise Rejected(
                404,
                "Not found",
                f"there is no recovery {given[:40]!r}",
                hint="GET /api/v1/recoveries lists them.",
            )
        return as_json(views.recovery(row))


def _lasting(answer: Answer) -> bool:
    if not isinstance(answer, Refusal):
        return True
    return answer.retry_after is None and answer.reason not in _PASSING


def _probe(good: bool, word: str, otherwise: str) -> web.Response:
    if good:
        return web.Response(text=f"{word}\n")
    return web.Response(text=f"not {word}: {otherwise}\n", status=503)
