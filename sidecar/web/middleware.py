"""What every request passes on its way in, and every answer on its way out."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from sidecar import errand
from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.web.guard import OPEN_ROUTES, check_host, check_token
from sidecar.web.problem import Rejected, problem, problem_of, problem_of_routing

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Observe = Callable[[str, str, int, float], None]
"""Method, route, status, seconds."""

_log = logging.getLogger(__name__)
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "Server": "tmux-sidecar",
    "X-Content-Type-Options": "nosniff",
}


def framed(observe: Observe, clock: Clock) -> Middleware:
    """Times and counts, turns every error into a problem, adds the headers. The outermost one."""

    @web.middleware
    async def frame(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = clock.monotonic()
        request_id = secrets.token_hex(8)
        with errand.sent_by("", request=request_id):
            response = await _answered(request, handler, request_id)
        method = request.method if request.method in hdrs.METH_ALL else "other"
        observe(method, route_of(request), response.status, clock.monotonic() - began)
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        response.headers["X-Request-Id"] = request_id
        return response

    return frame


def guarded(token: str) -> Middleware:
    """Turns strangers away, before anything about a path is told."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        check_host(request)
        if route_of(request) in OPEN_ROUTES:
            return await handler(request)
        check_token(request, token)
        who = {"scope": "admin", "address": request.remote or "", **errand.current().by}
        with errand.sent_by("operator", **who):
            return await handler(request)

    return guard


def route_of(request: web.Request) -> str:
    """The template of the path, never the path itself: that would make a series of every scan."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


async def _answered(request: web.Request, handler: Handler, request_id: str) -> web.StreamResponse:
    try:
        return await handler(request)
    except Rejected as rejected:
        return rejected.response
    except SidecarError as error:
        return problem_of(error)
    except web.HTTPException as error:
        return problem_of_routing(error, request.method, request.path)
    except Exception:
        _log.exception("%s %s failed, request %s", request.method, route_of(request), request_id)
        return problem(
            500,
            "It failed",
            "the sidecar could not answer because of a fault of its own",
            hint=f"Its log tells more about request {request_id}.",
        )
