"""What every request passes on its way in, and every answer on its way out."""

from __future__ import annotations

import logging
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from sidecar import errand
from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.model.access import is_loopback
from sidecar.model.record import Action
from sidecar.web.doorman import HEADERS, visitor_of
from sidecar.web.gate import Gate, address_of
from sidecar.web.ports import Chronicle
from sidecar.web.problem import Rejected, problem, problem_of, problem_of_routing

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Dress = Callable[[web.Request, web.StreamResponse], Awaitable[None]]
Observe = Callable[[str, str, int, float], None]
"""Method, route, status, seconds."""

_log = logging.getLogger(__name__)
_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_WORTH_PACKING = 1400
"""Bytes: less fits into one packet as it is."""
_PACKED = frozenset({"application/json", "application/openmetrics-text", "text/html", "text/plain"})


def dressed(headers: Callable[[], Mapping[str, str]]) -> Dress:
    """Adds the headers to every answer before its first byte, also to one that is sent piece by piece.

    ``headers`` are those that the operator wants, before our own.
    """

    async def dress(request: web.Request, response: web.StreamResponse) -> None:
        for name, value in (*headers().items(), *HEADERS.items()):
            response.headers.setdefault(name, value)
        # The library has named itself by now.
        response.headers["Server"] = HEADERS["Server"]
        if given := errand.current().by.get("request"):
            response.headers.setdefault("X-Request-Id", given)

    return dress


def framed(observe: Observe, clock: Clock, access_log: Chronicle | None) -> Middleware:
    """Times and counts, and turns every error into a problem. The outermost one."""

    @web.middleware
    async def frame(request: web.Request, handler: Handler) -> web.StreamResponse:
        began = clock.monotonic()
        request_id = _request_id(request)
        visitor = visitor_of(request)
        if visitor is not None:
            visitor.enter()
        try:
            with errand.sent_by("", request=request_id):
                response = await _answered(request, handler, request_id)
        finally:
            if visitor is not None:
                visitor.leave()
        method = request.method if request.method in hdrs.METH_ALL else "other"
        seconds = clock.monotonic() - began
        observe(method, route_of(request), response.status, seconds)
        if access_log is not None:
            access_log.say(
                Action.REQUEST_ANSWERED,
                method=method,
                path=request.path,
                status=response.status,
                seconds=round(seconds, 6),
                address=address_of(request),
                caller=visitor.caller if visitor is not None else "",
                request=request_id,
            )
        if not response.prepared:
            response.headers["X-Request-Id"] = request_id
            _pack(request, response)
        return response

    return frame


def guarded(gate: Gate) -> Middleware:
    """Turns strangers away, before anything about a path is told."""

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        caller = await gate.admit(request, route_of(request))
        if caller is None:
            return await handler(request)
        if (visitor := visitor_of(request)) is not None:
            visitor.shows(caller.name)
        who = {
            "scope": caller.scope.value,
            "name": caller.name,
            "address": address_of(request),
            **errand.current().by,
        }
        with errand.sent_by("operator", **who):
            return await handler(request)

    return guard


def route_of(request: web.Request) -> str:
    """The template of the path, never the path itself: that would make a series of every scan."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unmatched"


def _request_id(request: web.Request) -> str:
    """The client's own, if it can be written down as it is."""
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)


def _pack(request: web.Request, response: web.StreamResponse) -> None:
    """Compress what goes over a network. On one machine it would cost more than it saves."""
    if not isinstance(response, web.Response) or not isinstance(response.body, bytes):
        return
    far = request.remote is not None and not is_loopback(request.remote)
    if far and len(response.body) >= _WORTH_PACKING and response.content_type in _PACKED:
        response.enable_compression()


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
