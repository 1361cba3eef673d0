"""What every request has to be before it is read: from no page elsewhere, of a size, and allowed to ask.

Loopback is shared by all users of a machine, so only the metrics and the health of the service are
open there; everything that shows command lines or acts needs a token or a user. :data:`EXCEPTIONS` and
the rule below it are the whole table of who may do what.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Collection, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from aiohttp import web

from sidecar.model.access import Scope, is_loopback
from sidecar.web.problem import Rejected

PROBES = frozenset({"/-/healthy", "/-/ready"})
"""Open on every listener: they tell one word."""
METRICS = "/metrics"
EXCEPTIONS: Mapping[tuple[str, str], Scope] = MappingProxyType({("POST", "/alerts"): Scope.ALERTS})
"""By method and route. Everything else that only looks needs ``read``, and what acts needs ``admin``."""
_LOOKS = frozenset({"GET", "HEAD"})
_ELSEWHERE = frozenset({"cross-site", "same-site"})
_PIECE = 1 << 16
_PATIENCE = 30.0


def scope_for(method: str, route: str) -> Scope | None:
    """What a request needs; None where it is open to all."""
    if route in PROBES and method in _LOOKS:
        return None
    return EXCEPTIONS.get((method, route), Scope.READ if method in _LOOKS else Scope.ADMIN)


def check_host(request: web.Request, names: Collection[str], *, any_address: bool = False) -> None:
    """A page elsewhere must not reach us through a name of its own, nor send us anything.

    ``names`` are those that we have beside loopback's. ``any_address`` takes every IP address for one
    of ours: a page's own name that leads here is never one.

    Raises:
        Rejected: 403.
    """
    given = request.headers.get("Host", "")
    name = host_name(given)
    if not (is_loopback(name) or name in names or (any_address and _is_address(name))):
        raise Rejected(
            403,
            "Forbidden",
            f"the Host {given[:80]!r} is not this service",
            hint="Use 127.0.0.1, or name it in http.hosts.",
        )


def check_origin(request: web.Request) -> None:
    """A browser says where a request comes from; from a page elsewhere nothing is taken.

    Raises:
        Rejected: 403.
    """
    origin = request.headers.get("Origin")
    foreign = origin is not None and origin.partition("://")[2] != request.headers.get("Host", "")
    # A link elsewhere may lead to our pages: what it opens is shown to nobody but the person.
    followed = request.method == "GET" and request.headers.get("Sec-Fetch-Mode") == "navigate"
    if foreign or (request.headers.get("Sec-Fetch-Site") in _ELSEWHERE and not followed):
        raise Rejected(
            403,
            "Forbidden",
            f"the request comes from a page elsewhere: {(origin or 'unnamed')[:80]!r}",
            hint="Ask without a browser, or from a page of this service.",
        )


async def read_body(request: web.Request, limit: int) -> bytes:
    """The body, of which no more than ``limit`` bytes are ever held.

    Raises:
        Rejected: 413; 400 when it is cut off or its encoding is broken; 503 when it does not arrive.
    """
    if (request.content_length or 0) > limit:
        raise _too_large(limit)
    try:
        async with asyncio.timeout(_PATIENCE):
            return b"".join([piece async for piece in _pieces(request, limit)])
    except (web.RequestPayloadError, ConnectionError) as error:
        raise Rejected(
            400, "Malformed request", f"the body cannot be read: {error}", hint="Send the whole of it."
        ) from error
    except TimeoutError as error:
        # Not 408: Alertmanager never sends again what was answered with a 4xx.
        raise Rejected(
            503, "Too slow", f"the body did not arrive within {_PATIENCE:g} s", hint="Send it again."
        ) from error


async def _pieces(request: web.Request, limit: int) -> AsyncIterator[bytes]:
    size = 0
    async for piece in request.content.iter_chunked(_PIECE):
        size += len(piece)
        if size > limit:
            raise _too_large(limit)
        yield piece


def _too_large(limit: int) -> Rejected:
    return Rejected(
        413, "Too large", f"the body is larger than {limit} bytes", hint="Send less, in several requests."
    )


def host_name(host: str) -> str:
    """The name in small letters, without the port; empty for what is no host at all."""
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "") if parts.netloc == host and "@" not in host else ""
    except ValueError:
        return ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
