"""The windows: what is served under which path. Nothing is decided here."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from sidecar.clock import Clock
from sidecar.config import Settings
from sidecar.errors import SidecarError, Temporary
from sidecar.flow.desk import FrontDesk
from sidecar.model.plan import Refusal
from sidecar.model.status import Answer, Rehearsed, Status, Ticket
from sidecar.web.guard import OPEN_PATHS, check_host, check_token, read_body
from sidecar.web.payload import read_alerts, read_recover
from sidecar.web.problem import Rejected, problem

_MOST = 500
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class Service:
    """What the windows look upon."""

    desk: FrontDesk
    settings: Callable[[], Settings]
    status: Callable[[], Status]
    ready: Callable[[], bool]
    healthy: Callable[[], bool]
    render: Callable[[str], tuple[bytes, str]]
    observe: Callable[[str, str, int, float], None]
    clock: Clock
    token: str


def make_app(service: Service) -> web.Application:
    """All routes, behind the guards."""
    app = web.Application(middlewares=[_measured(service), _guarded(service)], client_max_size=0)
    windows = _Windows(service)
    app.add_routes(
        [
            web.get("/", windows.index),
            web.get("/metrics", windows.metrics),
            web.get("/-/healthy", windows.healthy),
            web.get("/-/ready", windows.ready),
            web.post("/alerts", windows.alerts),
            web.post("/recover", windows.recover),
            web.get("/api/v1/sessions", windows.sessions),
            web.get("/api/v1/sessions/{name}", windows.session),
            web.get("/api/v1/recoveries", windows.recoveries),
            web.get("/api/v1/recoveries/{id}", windows.recovery),
        ]
    )
    return app


class _Windows:
    def __init__(self, service: Service) -> None:
        self._s = service
        self._rendering = asyncio.Lock()

    async def index(self, request: web.Request) -> web.Response:
        resources = sorted({r.resource.canonical for r in request.app.router.routes() if r.resource})
        return web.Response(text="tmux-sidecar\n\n" + "\n".join(resources) + "\n")

    async def metrics(self, request: web.Request) -> web.Response:
        # One at a time: a scraper that asks faster than we render must not fill the threads.
        async with self._rendering:
            body, content_type = await asyncio.to_thread(self._s.render, request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def healthy(self, request: web.Request) -> web.Response:
        return _probe(self._s.healthy() or not self._s.ready(), "healthy", "no look has ended lately")

    async def ready(self, request: web.Request) -> web.Response:
        return _probe(self._s.ready(), "ready", "starting or stopping")

    async def alerts(self, request: web.Request) -> web.Response:
        raw = await read_body(request)
        alerts = await asyncio.to_thread(read_alerts, raw, self._s.settings().alerts)
        receipts = await self._s.desk.accept_alerts(alerts)
        taken = [
            {
                "fingerprint": receipt.fingerprint,
                "accepted": receipt.skip is None,
                "reason": receipt.skip or "",
            }
            for receipt in receipts
        ]
        return _json({"alerts": taken}, status=202)

    async def recover(self, request: web.Request) -> web.Response:
        raw = await read_body(request)
        asked = read_recover(raw)
        key = request.headers.get("Idempotency-Key", "")
        digest = hashlib.sha256(raw).hexdigest()
        if key:
            known = await self._s.desk.recall(key)
            if known is not None:
                return _again(known, digest)
        answer = _answer(asked.session, await self._s.desk.request(asked))
        if key and answer.status < 500:
            kept = {"request": digest, "status": answer.status, "body": (answer.body or b"").decode()}
            await self._s.desk.keep_answer(key, kept)
        return answer

    async def sessions(self, request: web.Request) -> web.Response:
        status = self._s.status()
        body = asdict(status)
        body["circuits"] = [{"name": name, "state": state.circuit} for name, state in status.circuits.items()]
        return _json(body)

    async def session(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        for session in self._s.status().sessions:
            if session.name == name:
                return _json({"session": asdict(session)})
        raise Rejected(404, "Not found", f"there is no session {name!r} in our care")

    async def recoveries(self, request: web.Request) -> web.Response:
        limit = min(_number(request, "limit", 50), _MOST)
        before = _number(request, "before", 0) or None
        rows = await self._s.desk.recoveries(limit, before, request.query.get("session"))
        following = rows[-1].id if len(rows) == limit else None
        return _json({"recoveries": [asdict(row) for row in rows], "next": following})

    async def recovery(self, request: web.Request) -> web.Response:
        number = request.match_info["id"]
        row = await self._s.desk.recovery(int(number)) if number.isdecimal() and len(number) < 19 else None
        if row is None:
            raise Rejected(404, "Not found", f"there is no recovery {number!r}")
        return _json({"recovery": asdict(row)})


def _guarded(service: Service) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            check_host(request)
            if request.path not in OPEN_PATHS:
                check_token(request, service.token)
            return await handler(request)
        except Rejected as rejected:
            return rejected.response
        except Temporary as error:
            return problem(503, "Not now", str(error), hint=error.hint)
        except SidecarError as error:
            return problem(500, "It failed", str(error), hint=error.hint)
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return problem(error.status, error.reason, f"{request.method} {request.path}: {error.reason}")

    return guard


def _measured(service: Service) -> Middleware:
    @web.middleware
    async def measure(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = service.clock.monotonic()
        response = await handler(request)
        resource = request.match_info.route.resource
        route = resource.canonical if resource is not None else "unmatched"
        service.observe(request.method, route, response.status, service.clock.monotonic() - began)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return measure


def _answer(session: str, answer: Answer) -> web.Response:
    if isinstance(answer, Ticket):
        row = answer.recovery
        body = {
            "id": row.id,
            "joined": answer.joined,
            "trace": row.trace,
            "session": row.session,
            "strategy": row.strategy,
        }
        return _json(body, status=202, headers={"Location": f"/api/v1/recoveries/{row.id}"})
    if isinstance(answer, Rehearsed):
        return _json({"dry_run": True, **asdict(answer)})
    if isinstance(answer, Refusal):
        response = problem(409, "Refused", answer.sentence, hint=answer.hint, reason=answer.reason)
        if answer.retry_after is not None:
            response.headers["Retry-After"] = str(int(answer.retry_after) + 1)
        return response
    return problem(404, "Unknown session", f"there is no session {session!r} and no checkpoint of one")


def _again(known: Any, digest: str) -> web.Response:
    if known["request"] != digest:
        return problem(422, "Another request", "this Idempotency-Key was used for another request")
    kind = "application/json" if known["status"] < 400 else "application/problem+json"
    return web.Response(body=known["body"].encode(), status=known["status"], content_type=kind)


def _probe(good: bool, word: str, otherwise: str) -> web.Response:
    return (
        web.Response(text=f"{word}\n")
        if good
        else web.Response(text=f"not {word}: {otherwise}\n", status=503)
    )


def _number(request: web.Request, name: str, default: int) -> int:
    text = request.query.get(name, str(default))
    if not text.isdecimal() or len(text) > 18:
        raise Rejected(400, "Malformed request", f"`{name}` is {text!r}, not a number")
    return int(text)


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(_clean(body)),
        status=status,
        headers=headers,
        content_type="application/json",
    )


def _clean(value: Any) -> Any:
    """Text that is valid UTF-8: argument vectors may hold bytes that are not."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_clean(key): _clean(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(item) for item in value]
    return value
