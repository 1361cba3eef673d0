"""Who is let in, and how far: by the socket file, a bearer token, or a user's password.

Whoever is wrong again and again from one address is answered without being compared with the users'
passwords; a right token, and a password that was right before, still open. What has failed is counted
in the log and in the audit trail, at most once a minute, and never with what was tried.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import socket
import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

from aiohttp import web

from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.model.access import Caller, Scope, WebSettings, is_loopback
from sidecar.model.record import Action
from sidecar.web.guard import METRICS, check_host, check_origin, scope_for
from sidecar.web.passwords import Passwords, TooBusy
from sidecar.web.ports import Chronicle
from sidecar.web.problem import Rejected, retry_after
from sidecar.web.throttle import Throttle
from sidecar.web.tokens import Tokens

_TOLD_EVERY = 60.0
_BUSY_SECONDS = 5
_PEER = struct.Struct("3i")


@dataclass(slots=True)
class _Failures:
    """That have not been told yet."""

    count: int = 0
    tell_from: float = 0.0


@dataclass(frozen=True, slots=True)
class Gate:
    """Every request passes it."""

    tokens: Tokens
    settings: Callable[[], WebSettings]
    """What the web-config file says."""
    names: Callable[[], Collection[str]]
    """Host names that we are reached by, beside loopback's."""
    clock: Clock
    chronicle: Chronicle
    throttle: Throttle
    passwords: Passwords = field(default_factory=Passwords)
    _failures: _Failures = field(default_factory=_Failures)

    async def admit(self, request: web.Request, route: str) -> Caller | None:
        """Who asks; None where nobody has to say.

        Raises:
            Rejected: 401, 403; 429 or 503 after too many failures.
        """
        uid = peer(request)
        if uid is None:
            check_host(request, self.names(), any_address=not _is_local(request))
        check_origin(request)
        wanted = scope_for(request.method, route)
        if wanted is None or (route == METRICS and wanted is Scope.READ and self._shows_metrics(request)):
            return None
        caller = await self._caller(request, uid)
        if not caller.scope.covers(wanted):
            raise Rejected(
                403,
                "Forbidden",
                f"the token {caller.name!r} has the scope {caller.scope}, and this needs {wanted}",
                hint=f"`sidecar token create --scope {wanted}` makes one.",
            )
        return caller

    def _shows_metrics(self, request: web.Request) -> bool:
        """On loopback to all; elsewhere, and where users are named, only to who has shown who they are."""
        settings = self.settings()
        return settings.requires_certificate or (_is_local(request) and not settings.knows_clients)

    async def _caller(self, request: web.Request, uid: int | None) -> Caller:
        if uid is not None and uid in (os.getuid(), 0):
            return Caller(Scope.ADMIN, f"uid {uid}")
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        given = given.strip()
        if not given:
            raise self._unknown("the bearer token is missing")
        found = None
        if scheme.lower() == "bearer":
            found = await self.tokens.caller(given)
        elif scheme.lower() == "basic" and self.settings().users:
            found = await self._user(request, given)
        if found is None:
            await self._failed(address_of(request))
            raise self._unknown("the bearer token or the password is wrong")
        return found

    async def _user(self, request: web.Request, given: str) -> Caller | None:
        try:
            name, separator, password = base64.b64decode(given, validate=True).decode().partition(":")
        except (binascii.Error, ValueError):
            return None
        users = self.settings().users
        if not separator:
            return None
        if not self.passwords.known(users, name, password):
            self._slow_down(request)
        try:
            right = await self.passwords.right(users, name, password)
        except TooBusy as error:
            raise Rejected(
                503,
                "Not now",
                "too many passwords wait to be compared",
                hint="Ask again in a moment; a token is not held up.",
                headers=retry_after(_BUSY_SECONDS),
            ) from error
        return Caller(Scope.ADMIN, name) if right else None

    def _slow_down(self, request: web.Request) -> None:
        wait = self.throttle.wait(address_of(request))
        if not wait:
            return
        # Alertmanager never sends again what was answered with a 4xx, and may share the address.
        status = 503 if request.path == "/alerts" else 429
        raise Rejected(
            status,
            "Too many failures",
            "there were too many wrong passwords and tokens from this address",
            hint="Wait, or use a token: a right one always opens.",
            headers=retry_after(wait),
        )

    def _unknown(self, words: str) -> Rejected:
        challenges = ['Bearer realm="tmux-sidecar"']
        if self.settings().users:
            challenges.append('Basic realm="tmux-sidecar", charset="UTF-8"')
        return Rejected(
            401,
            "Unauthorized",
            words,
            hint="The admin's lies in the state folder: `token`. `sidecar token create` makes others.",
            headers={"WWW-Authenticate": ", ".join(challenges)},
        )

    async def _failed(self, address: str) -> None:
        self.throttle.failed(address)
        failures, now = self._failures, self.clock.monotonic()
        failures.count += 1
        if now < failures.tell_from:
            return
        count, failures.count, failures.tell_from = failures.count, 0, now + _TOLD_EVERY
        self.chronicle.say(
            Action.ACCESS_REFUSED,
            level="warning",
            address=address,
            failures=count,
            hint="Somebody gives wrong tokens or passwords; this is told once a minute at most.",
        )
        # The answer does not depend on whether the book can take it.
        with contextlib.suppress(SidecarError):
            detail = {"address": address, "failures": count}
            await self.chronicle.audit(Action.ACCESS_REFUSED, self.clock.wall(), detail=detail)


def peer(request: web.Request) -> int | None:
    """The user at the other end of a socket file, by the kernel's word; None for a network connection."""
    connection = request.transport.get_extra_info("socket") if request.transport else None
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(credentials)[1])


def address_of(request: web.Request) -> str:
    return request.remote or "socket file"


def _is_local(request: web.Request) -> bool:
    """Whether it came to an address that only this machine can reach."""
    name = request.transport.get_extra_info("sockname") if request.transport else None
    return not isinstance(name, tuple) or is_loopback(str(name[0]))
