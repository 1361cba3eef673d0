"""Who may ask, and for how much: the token, the Host and Origin checks, the size of a body.

Loopback is shared by all users of a machine, so only the metrics and the health of the service are
open there; everything that shows command lines or acts needs the token.
"""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import os
import secrets
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from sidecar.errors import Permanent, UnsafeState
from sidecar.web.problem import Rejected

OPEN_ROUTES = frozenset({"/metrics", "/-/healthy", "/-/ready"})
_PIECE = 1 << 16
_PATIENCE = 30.0
_LONGEST_TOKEN = 4096


class TokenDamaged(UnsafeState):
    """What has the token's name is not what was stored there."""


def ensure_token(path: Path) -> str:
    """The admin token: read, or made on first use (mode 0600).

    Raises:
        TokenDamaged: it holds no token.
        UnsafeState: others may read the file, or it is not ours.
        Permanent: the file can be neither read nor made.
    """
    try:
        return _made_token(path)
    except FileExistsError:
        pass
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        return _read_token(path)
    except OSError as error:
        raise _unusable(path, error) from error


def refuse_open_listener(host: str) -> None:
    """Only loopback is served.

    Raises:
        Permanent: the address could be reached from elsewhere.
    """
    if not _is_loopback(host):
        raise Permanent(
            f"http.listen is {host}, which is not a loopback address",
            hint="Listen on 127.0.0.1, and put a proxy that authenticates in front of it.",
        )


def check_host(request: web.Request) -> None:
    """A page elsewhere must not reach us through a name of its own, nor post to us.

    Raises:
        Rejected: 403.
    """
    given = request.headers.get("Host", "")
    if not _is_loopback(_host_name(given)):
        raise Rejected(403, "Forbidden", f"the Host {given!r} is not this service", hint="Use 127.0.0.1.")
    origin = request.headers.get("Origin")
    if origin is not None and origin.partition("://")[2] != given:
        raise Rejected(
            403,
            "Forbidden",
            f"the request comes from a page elsewhere: {origin!r}",
            hint="Ask without a browser, or from a page of this service.",
        )


def check_token(request: web.Request, token: str) -> None:
    """Compare in constant time.

    Raises:
        Rejected: 401.
    """
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    right = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token.encode())
    if scheme.lower() != "bearer" or not right:
        raise Rejected(
            401,
            "Unauthorized",
            "the bearer token is missing or wrong",
            hint="It lies in the state folder: `token`.",
            headers={"WWW-Authenticate": 'Bearer realm="tmux-sidecar"'},
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


def _made_token(path: Path) -> str:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        token = secrets.token_urlsafe(32)
        file.write(token + "\n")
    return token


def _read_token(path: Path) -> str:
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise TokenDamaged(f"{path} is no file", hint="Move it away; a new token is made at the next start.")
    with path.open("rb") as file:
        facts = os.fstat(file.fileno())
        if facts.st_uid != os.getuid():
            raise UnsafeState(f"{path} belongs to another user", hint=f"Remove it, or chown {path}")
        if stat.S_IMODE(facts.st_mode) & 0o077:
            raise UnsafeState(f"{path} can be read by others", hint=f"chmod 600 {path}")
        raw = file.read(_LONGEST_TOKEN).strip()
    if not raw:
        raise TokenDamaged(f"{path} is empty", hint="Remove it; a new token is made at the next start.")
    token = raw.decode("ascii", "replace")
    if not token.isascii() or not token.isprintable():
        raise TokenDamaged(f"{path} holds no token", hint="Remove it; a new one is made at the next start.")
    return token


def _unusable(path: Path, error: Exception) -> Permanent:
    return Permanent(
        f"the token file {path} cannot be used: {error}",
        hint="Name another one as http.token_file, or mend its folder.",
    )


def _host_name(host: str) -> str:
    """The name without the port; empty for what is no host at all."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
