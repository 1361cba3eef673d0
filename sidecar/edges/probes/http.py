"""The door to HTTP servers: one GET on a connection of its own, and no more of the answer than it takes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import Connection

from sidecar import __version__, redact
from sidecar.clock import Clock
from sidecar.edges.probes import certificate, search
from sidecar.edges.probes.faults import fault_of, resent, sentence_of, without_connection
from sidecar.edges.probes.finding import span
from sidecar.edges.probes.resolve import Resolver
from sidecar.model.probe import HttpProbe, ProbeFault, ProbeResult, Redirects

BODY_LIMIT = 64 * 1024
"""Bytes of the body that are read."""
_HOPS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"User-Agent": f"tmux-sidecar/{__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}

_Judgement = tuple[ProbeFault | None, str]


async def probe_http(probe: HttpProbe, seconds: float, resolver: Resolver, clock: Clock) -> ProbeResult:
    """Ask. Never raises for what it finds."""
    began = clock.monotonic()
    line = _Line(resolver)
    talk = asyncio.create_task(_converse(probe, line, seconds, clock.wall()))
    try:
        # The connection is looked at before it is given up: how far it has come tells what is wrong.
        await asyncio.wait({talk}, timeout=seconds)
        line.measure()
        if talk.done():
            fault, fact = _judged(talk)
        else:
            fault, fact = line.given_up(probe, seconds)
    finally:
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)
    took = clock.monotonic() - began
    if fault is None and probe.slower is not None and took >= probe.slower:
        fault, fact = ProbeFault.SLOW, f"{fact} after {took:.2f} s; the limit is {probe.slower:g} s"
    return ProbeResult(fault, took, fact, line.resent)


def _judged(talk: asyncio.Task[_Judgement]) -> _Judgement:
    error = talk.exception()
    if error is None:
        return talk.result()
    return _explained(error)


def _explained(error: BaseException) -> _Judgement:
    match error:
        case aiohttp.ClientConnectorCertificateError():
            return ProbeFault.TLS_FAULT, f"the certificate is not valid: {error.certificate_error}"
        case aiohttp.ClientSSLError():
            return ProbeFault.TLS_FAULT, f"no TLS: {error.os_error}"
        case aiohttp.ClientConnectorError(os_error=cause):
            return fault_of(cause), f"{error.host}:{error.port}: {sentence_of(cause)}"
        case aiohttp.ServerDisconnectedError() | aiohttp.ClientPayloadError():
            return ProbeFault.RESET, "the connection was closed before the answer was whole"
        case aiohttp.ClientResponseError() | aiohttp.InvalidURL() | ValueError():
            return ProbeFault.BAD_ANSWER, "what came back is no answer of HTTP"
        case OSError():
            return fault_of(error), sentence_of(error)
        case aiohttp.ClientError():
            return ProbeFault.BAD_ANSWER, f"{type(error).__name__}: {error}"
    raise error


async def _converse(probe: HttpProbe, line: _Line, seconds: float, wall: float) -> _Judgement:
    connector = aiohttp.TCPConnector(
        resolver=line, socket_factory=line.make_socket, force_close=True, use_dns_cache=False
    )
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None)
    async with aiohttp.ClientSession(
        connector=connector, timeout=timeout, headers=_HEADERS, cookie_jar=aiohttp.DummyCookieJar(),
        auto_decompress=False, response_class=_Response,
    ) as session:  # fmt: skip
        url = probe.url
        for _ in range(_HOPS + 1):
            async with session.get(url, allow_redirects=False, ssl=probe.verify) as response:
                line.measure()
                target = _target(probe, url, response)
                if target is None:
                    judgement = await _judge(probe, response, line, seconds)
                    return judgement if judgement[0] else _with_certificate(probe, response, judgement, wall)
                url = target
        return ProbeFault.BAD_STATUS, f"redirected more than {_HOPS} times"


class _Response(aiohttp.ClientResponse):
    """Remembers the certificate: without a body, the connection goes as soon as the answer is there."""

    certificate = b""

    async def start(self, connection: Connection) -> aiohttp.ClientResponse:
        channel = connection.transport and connection.transport.get_extra_info("ssl_object")
        self.certificate = (channel.getpeercert(True) if channel else None) or b""
        return await super().start(connection)


def _with_certificate(
    probe: HttpProbe, response: aiohttp.ClientResponse, judgement: _Judgement, wall: float
) -> _Judgement:
    if probe.expires is None:
        return judgement
    assert isinstance(response, _Response)
    end = certificate.end_of(response.certificate)
    if end is None:
        return ProbeFault.TLS_FAULT, f"{judgement[1]}, and no certificate that could be read"
    left = end - wall
    words = f"the certificate expires in {span(left)}" if left > 0 else "the certificate has expired"
    if left >= probe.expires:
        return None, f"{judgement[1]}; {words}"
    return ProbeFault.EXPIRES_SOON, f"{words}; it has to be valid for {span(probe.expires)}"


def _target(probe: HttpProbe, url: str, response: aiohttp.ClientResponse) -> str | None:
    """Where the answer sends us, if that is wanted and allowed."""
    location = response.headers.get("Location", "")
    if response.status not in _REDIRECTS or not location or response.status in probe.status:
        return None
    target = urljoin(url, location)
    allowed = probe.redirects is Redirects.ANYWHERE or (
        probe.redirects is Redirects.SAME_ORIGIN and _origin(urlsplit(target)) == _origin(urlsplit(url))
    )
    return target if allowed else None


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


async def _judge(
    probe: HttpProbe, response: aiohttp.ClientResponse, line: _Line, seconds: float
) -> _Judgement:
    right = response.status in probe.status if probe.status else 200 <= response.status < 300
    body = await _read(response)
    line.measure()
    reason = "".join(c for c in response.reason or "" if c.isprintable())[:80]
    fact = f"status {response.status} {reason}".rstrip()
    if not right:
        location = response.headers.get("Location", "")
        to = f", to {redact.text(location)[:200]}" if response.status in _REDIRECTS and location else ""
        return ProbeFault.BAD_STATUS, fact + to
    text = body.decode("utf-8", "ignore")
    right, found = await search.judged(probe, text, seconds, f"the {len(body)} bytes read")
    return None if right else ProbeFault.BODY_MISMATCH, "; ".join(filter(None, (fact, found)))


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """The beginning of the body. The rest is never asked for: the connection is closed."""
    body = bytearray()
    while len(body) < BODY_LIMIT and (part := await response.content.read(BODY_LIMIT - len(body))):
        body += part
    return bytes(body)


class _Line(AbstractResolver):
    """The connection of one probe, and how far it has come."""

    def __init__(self, resolver: Resolver) -> None:
        self.resent = 0
        self._resolver = resolver
        self._resolving = ""
        self._hosts: list[str] = []
        self._sockets: list[socket.socket] = []
        self._connected = False

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self._resolving = host
        found = await self._resolver.resolve(host, port, family)
        self._resolving = ""
        self._hosts = [address[0] for _, address in found]
        return [
            ResolveResult(
                hostname=host, host=address[0], port=port, family=kind, proto=0, flags=socket.AI_NUMERICHOST
            )
            for kind, address in found
        ]

    async def close(self) -> None:
        """The resolver is not ours."""

    def make_socket(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, *_ = address
        made = socket.socket(family, kind, protocol)
        self._sockets.append(made)
        return made

    def measure(self) -> None:
        """Note what the kernel knows of the connection, while it is there."""
        for one in self._open():
            self.resent = max(self.resent, resent(one))
            with contextlib.suppress(OSError):
                one.getpeername()
                self._connected = True

    def _open(self) -> Iterator[socket.socket]:
        return (one for one in self._sockets if one.fileno() >= 0)

    def given_up(self, probe: HttpProbe, seconds: float) -> _Judgement:
        if self._resolving:
            return ProbeFault.NAME_TIMED_OUT, f"{self._resolving} was not resolved within {seconds:g} s"
        if self._connected:
            return ProbeFault.NO_ANSWER, f"connected, and no whole answer within {seconds:g} s"
        hosts = self._hosts or [urlsplit(probe.url).hostname or ""]
        return without_connection(hosts, probe.address, seconds)
