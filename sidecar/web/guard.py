"""Who may ask, and for how much: the token, the Host and Origin checks, the size of a body.

Loopback is shared by all users of a machine, so only the metrics and the health of the service are
open there; everything that shows command lines or acts needs the token.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import secrets
import stat
from pathlib import Path
from urllib.parse import urlsplit

from aiohttp import web

from sidecar.errors import Permanent, UnsafeState
from sidecar.web.problem import Rejected

OPEN_PATHS = frozenset({"/metrics", "/-/healthy", "/-/ready"})
_ALERT_LIMIT = 16 * 1024 * 1024
_LIMIT = 64 * 1024


def ensure_token(path: Path) -> str:
    """The admin token: read, or made on first use (mode 0600).

    Raises:
        UnsafeState: others may read the file, or it is not ours.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return _read_token(path)
    with os.fdopen(descriptor, "w") as file:
        token = secrets.token_urlsafe(32)
        file.write(token + "\n")
    return token


def refuse_open_listener(host: str) -> None:
    """Only loopback is served for now.

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
    host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
    if not _is_loopback(host):
        raise Rejected(403, "Forbidden", f"the Host {host!r} is not this service", hint="Use 127.0.0.1.")
    origin = request.headers.get("Origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
        raise Rejected(403, "Forbidden", "the request comes from a page elsewhere")


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
        )


async def read_body(request: web.Request) -> bytes:
    """The body, no more of it than the path may have.

    Raises:
        Rejected: 413.
    """
    limit = _ALERT_LIMIT if request.path == "/alerts" else _LIMIT
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.content.iter_chunked(1 << 16):
        size += len(chunk)
        if size > limit:
            raise Rejected(413, "Too large", f"the body is larger than {limit} bytes")
        chunks.append(chunk)
    return b"".join(chunks)


def _read_token(path: Path) -> str:
    facts = path.stat()
    if facts.st_uid != os.getuid() or stat.S_IMODE(facts.st_mode) & 0o077:
        raise UnsafeState(f"{path} can be read by others", hint=f"chmod 600 {path}")
    token = path.read_text().strip()
    if not token:
        raise UnsafeState(f"{path} is empty", hint="Remove it; a new token is made at the next start.")
    return token


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
