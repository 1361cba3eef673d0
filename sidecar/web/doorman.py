"""Who may hold a connection, and for how long: bounds that no client can talk its way around.

A connection has to say what it wants within :data:`HEAD_SECONDS`, and an answer has to be taken within
:data:`TAKE_SECONDS`. When all places are taken, the connection that has been silent longest goes, those
first that never showed who they are; where nobody is silent, whoever comes is told to come again.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from sidecar.web.problem import problem
from sidecar.web.tls import allowed

HEAD_SECONDS = 10.0
"""For the TLS handshake, and for a request's line and headers from their first byte on."""
IDLE_SECONDS = 75.0
"""That a connection may be kept for the next request: longer than the usual scrape interval."""
TAKE_SECONDS = 30.0
"""In which the client has to take some of an answer that is ready."""
GRACE_SECONDS = 1.0
"""That nobody is sent away after coming, whoever else wants the place."""
HEADERS: Mapping[str, str] = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Referrer-Policy": "no-referrer",
    "Server": "tmux-sidecar",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""On every answer that does not set them itself."""
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n"
    b"Retry-After: 5\r\nConnection: close\r\nServer: tmux-sidecar\r\n\r\n%s"
)
_FULL_BODY = (
    b'{"type":"about:blank","title":"Not now","status":503,"detail":"all connections are in use",'
    b'"hint":"Ask again in a moment."}'
)


@dataclass(frozen=True, slots=True)
class TlsRules:
    """How new connections are encrypted, and whose certificates may pass."""

    context: ssl.SSLContext
    names: Collection[str] = ()


class Doorman:
    """Gives connections out to a server of aiohttp; the protocol factory of a listening socket."""

    def __init__(
        self,
        server: web.Server,
        most: int,
        tls: Callable[[], TlsRules | None],
        count: Callable[[str], None],
    ) -> None:
        """
        Args:
            server: answers the requests.
            most: connections at the same time.
            tls: the rules for a connection that comes now; None for plain ones.
            count: told of each that is ``accepted``, ``turned_away``, ``sent_away``, ``too_slow`` or
                whose ``handshake_failed``.
        """
        self.server = server
        self.tls = tls
        self.count = count
        self._most = most
        self._inside: set[Arrival] = set()
        self._silent: OrderedDict[Arrival | Visitor, float] = OrderedDict()
        self._silent_strangers: OrderedDict[Arrival | Visitor, float] = OrderedDict()

    def __call__(self) -> Arrival:
        return Arrival(self)

    def __len__(self) -> int:
        return len(self._inside)

    def close(self) -> None:
        """Send away whoever is silent."""
        for visitor in [*self._silent_strangers, *self._silent]:
            visitor.send_away()

    def admit(self, arrival: Arrival) -> bool:
        """Whether it gets a place, if need be that of somebody who has been silent."""
        if len(self._inside) >= self._most and not self._make_room():
            self.count("turned_away")
            return False
        self._inside.add(arrival)
        self.count("accepted")
        return True

    def gone(self, arrival: Arrival) -> None:
        self._inside.discard(arrival)

    def silent(self, visitor: Arrival | Visitor, now: float) -> None:
        """It has not said yet what it wants, or what it wants next."""
        self.speaks(visitor)
        (self._silent if visitor.known else self._silent_strangers)[visitor] = now

    def speaks(self, visitor: Arrival | Visitor) -> None:
        """A request of it is being answered, or it is gone."""
        self._silent.pop(visitor, None)
        self._silent_strangers.pop(visitor, None)

    def _make_room(self) -> bool:
        now = asyncio.get_running_loop().time()
        for waiting in (self._silent_strangers, self._silent):
            visitor, since = next(iter(waiting.items()), (None, 0.0))
            if visitor is not None and now - since >= GRACE_SECONDS:
                self.count("sent_away")
                visitor.send_away()
                return True
        return False


class Arrival(asyncio.Protocol):
    """A connection before it is certain that it may stay."""

    known = False

    def __init__(self, doorman: Doorman) -> None:
        self._doorman = doorman
        self._wire: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        rules = self._doorman.tls()
        if not self._doorman.admit(self):
            if rules is None:
                transport.write(_FULL % (len(_FULL_BODY), _FULL_BODY))
            transport.close()
        elif rules is None:
            self._welcome(transport)
        else:
            loop = asyncio.get_running_loop()
            self._doorman.silent(self, loop.time())
            self._task = loop.create_task(self._encrypt(transport, rules))

    def connection_lost(self, error: BaseException | None) -> None:
        self.leave()

    def leave(self) -> None:
        """Its place is free."""
        self._doorman.speaks(self)
        self._doorman.gone(self)

    def send_away(self) -> None:
        """In the middle of its handshake."""
        self.leave()
        if self._task is not None:
            self._task.cancel()
        if self._wire is not None:
            self._wire.abort()

    def _welcome(self, transport: asyncio.Transport) -> None:
        visitor = Visitor(self._doorman, self)
        transport.set_protocol(visitor)
        visitor.connection_made(transport)

    async def _encrypt(self, transport: asyncio.Transport, rules: TlsRules) -> None:
        visitor = Visitor(self._doorman, self)
        encrypted = None
        # Whoever speaks plain HTTP, has no certificate, or is gone, has not even a line in the log.
        with suppress(OSError, ValueError):
            encrypted = await asyncio.get_running_loop().start_tls(
                transport,
                visitor,
                rules.context,
                server_side=True,
                ssl_handshake_timeout=HEAD_SECONDS,
                ssl_shutdown_timeout=HEAD_SECONDS,
            )
        if encrypted is None or not allowed(encrypted.get_extra_info("peercert"), rules.names):
            self._doorman.count("handshake_failed")
            transport.abort()
            self.leave()
            return
        self._doorman.speaks(self)
        visitor.connection_made(encrypted)


class Visitor(RequestHandler):
    """A connection whose requests are answered."""

    def __init__(self, doorman: Doorman, arrival: Arrival) -> None:
        super().__init__(
            doorman.server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type]
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=HEAD_SECONDS / 2,
        )
        self.known = False
        """Whether it has ever shown who it is."""
        self.caller = ""
        """Who asks in the present request; empty for whoever did not have to say."""
        self._doorman = doorman
        self._arrival = arrival
        self._wire: asyncio.Transport | None = None
        self._early = bytearray()
        self._lost = self._busy = False
        self._in_head = True
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if self._lost:
            transport.abort()
            return
        self._wire = transport
        super().connection_made(transport)
        self._wait(HEAD_SECONDS)
        self._doorman.silent(self, self._loop.time())
        if self._early:
            early, self._early = bytes(self._early), bytearray()
            super().data_received(early)

    def connection_lost(self, error: BaseException | None) -> None:
        self._lost = True
        self._doorman.speaks(self)
        self._arrival.leave()
        super().connection_lost(error)
        self._stop_waiting()

    def data_received(self, data: bytes) -> None:
        if self._wire is None:
            # The first request may come along with the end of the handshake.
            self._early += data
            return
        if not (self._busy or self._in_head or self.writing_paused):
            self._in_head = True
            self._wait(HEAD_SECONDS)
        super().data_received(data)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._wait(TAKE_SECONDS)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._busy:
            self._stop_waiting()
        else:
            self._wait(IDLE_SECONDS)

    def enter(self) -> None:
        """A whole request has come."""
        self._busy, self._in_head, self.caller = True, False, ""
        self._stop_waiting()
        self._doorman.speaks(self)

    def shows(self, caller: str) -> None:
        """It has shown who it is."""
        self.known, self.caller = True, caller

    def leave(self) -> None:
        """Its answer is ready."""
        self._busy = False
        if not self._lost:
            self._wait(IDLE_SECONDS)
            self._doorman.silent(self, self._loop.time())

    def send_away(self) -> None:
        """Whatever it does, at once."""
        self._stop_waiting()
        self._doorman.speaks(self)
        self._arrival.leave()
        if self._wire is not None:
            self._wire.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What is no HTTP is answered like everything else, and is no line in the log."""
        if exc is not None and status >= 500:
            self.log_exception("Error handling request", exc_info=exc)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer was begun already")
        words = str(message or "").split("\n", 1)[0].rstrip(": ") or "it cannot be read"
        response = problem(
            status, "Malformed request" if status < 500 else "It failed", words[:200], hint="Speak HTTP/1.1."
        )
        response.headers.extend(HEADERS)
        response.force_close()
        return response

    def _wait(self, seconds: float) -> None:
        self._stop_waiting()
        self._deadline = self._loop.call_later(seconds, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        # Without a word: an Alertmanager that is cut off sends again, one that is told of a fault does not.
        self._deadline = None
        self._doorman.count("too_slow")
        self.send_away()


def visitor_of(request: web.BaseRequest) -> Visitor | None:
    """The connection of a request, where a doorman has let it in."""
    return request.protocol if isinstance(request.protocol, Visitor) else None
