"""The service's own door as a whole: what lets people in, what bounds them, and where it listens."""

from __future__ import annotations

import asyncio
import platform
import socket
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from sidecar import config_web
from sidecar.clock import Clock
from sidecar.config import UNIX, HttpSettings
from sidecar.edges.listening import QUEUE, identity, listen_at, listen_on, remove
from sidecar.edges.logs import JsonLog
from sidecar.edges.store import Store
from sidecar.model.record import Action
from sidecar.web.doorman import Doorman, TlsRules
from sidecar.web.gate import Gate
from sidecar.web.rereading import Rereader
from sidecar.web.throttle import Throttle
from sidecar.web.tokens import Tokens

_TAKEN_AT_ONCE = 64
"""Connections that are taken in one turn of the loop."""
_SHUTDOWN_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Telling:
    """Implements ``web.ports.Chronicle``."""

    log: JsonLog
    book: Store

    def say(self, action: Action, *, level: str = "info", **detail: object) -> None:
        self.log.say(action, level=level, **detail)  # type: ignore[arg-type]

    async def audit(self, action: Action, now: float, *, detail: Mapping[str, Any]) -> None:
        await self.book.audit(action, now, detail=detail)


class Entrance:
    """Opened once, closed once."""

    def __init__(
        self,
        settings: HttpSettings,
        state: Path,
        token: str,
        clock: Clock,
        chronicle: Telling,
        count: Callable[[str], None],
    ) -> None:
        """
        Args:
            token: the admin's.
            count: told what became of each connection.
        """
        self._settings = settings
        self._chronicle = chronicle
        self._count = count
        tokens = Tokens(token, state)
        file = Path(settings.web_config_file) if settings.web_config_file else None
        self.files = Rereader(file, lambda: config_web.load_for(settings), tokens, clock, chronicle)
        ours = {platform.node().lower()} if settings.in_the_open else set()
        names = frozenset({*settings.hosts, *ours})
        self.gate = Gate(
            tokens, lambda: self.files.settings, lambda: names, clock, chronicle, Throttle(clock)
        )
        self._undo = AsyncExitStack()

    async def open(self, app: web.Application) -> tuple[str, ...]:
        """Listen; the addresses as our own commands need them, each with its certificate if it has one.

        Raises:
            Permanent: an address cannot be listened on.
        """
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
        await runner.setup()
        self._undo.push_async_callback(runner.cleanup)
        assert runner.server is not None
        doorman = Doorman(runner.server, self._settings.max_connections, self._tls, self._count)
        # A door of its own: whoever fills the network's places cannot lock this user out.
        private = Doorman(runner.server, self._settings.max_connections, lambda: None, self._count)
        addresses = [await self._listen_tcp(doorman, *address) for address in self._settings.addresses]
        addresses += [await self._listen_unix(private, path) for path in self._settings.sockets]
        if self._settings.in_the_open and self.files.context is None:
            self._chronicle.say(
                Action.LISTENS_UNENCRYPTED,
                level="warning",
                address=", ".join(self._settings.in_the_open),
                hint="Passwords and tokens can be read on the way; the web-config file has no TLS.",
            )
        return tuple(addresses)

    async def close(self) -> None:
        await self._undo.aclose()

    def _tls(self) -> TlsRules | None:
        context, tls = self.files.context, self.files.settings.tls
        return None if context is None or tls is None else TlsRules(context, tls.client_allowed_sans)

    async def _listen_tcp(self, doorman: Doorman, host: str, port: int) -> str:
        listening = await asyncio.to_thread(listen_on, host, port)
        await self._serve(doorman, listening)
        host, port = listening.getsockname()[:2]
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        tls = self.files.settings.tls
        return address if tls is None else f"https://{address} {tls.cert_file}"

    async def _listen_unix(self, doorman: Doorman, path: Path) -> str:
        listening = await asyncio.to_thread(listen_at, path)
        self._undo.callback(remove, path, identity(path))
        await self._serve(doorman, listening)
        return f"{UNIX}{path}"

    async def _serve(self, doorman: Doorman, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        serve = loop.create_unix_server if listening.family == socket.AF_UNIX else loop.create_server
        self._undo.callback(doorman.close)
        server = await serve(doorman, sock=listening, backlog=_TAKEN_AT_ONCE)
        self._undo.callback(server.close)
        # The loop takes its number for both: what waits in the kernel, and what is taken in one turn.
        listening.listen(QUEUE)
