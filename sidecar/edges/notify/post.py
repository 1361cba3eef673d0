"""One POST of JSON to somebody else's server, and what its answer means for the next attempt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from sidecar import __version__
from sidecar.errors import Permanent, Temporary

USER_AGENT = {"User-Agent": f"tmux-sidecar/{__version__}"}
_SECONDS = 15.0
_SAID = 200
"""Bytes of an answer that are read."""
_PASSING = frozenset({408, 425, 429})
"""Client errors that say nothing about the message itself."""


async def post(
    url: str,
    body: Any,
    headers: Mapping[str, str],
    *,
    what: str = "notice",
    seconds: float = _SECONDS,
) -> str:
    """Have it taken; the beginning of what is answered. ``what`` it is, for people.

    Raises:
        Temporary: nobody answered, or the server has trouble of its own.
        Permanent: it was refused.
    """
    where = shown_url(url)
    timeout = aiohttp.ClientTimeout(total=seconds)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.post(url, json=body, headers=USER_AGENT | dict(headers), allow_redirects=False) as answer,
        ):
            said = (await answer.content.read(_SAID)).decode("utf-8", "replace").strip()
            if answer.ok and answer.status < 300:
                return said
            status, wait = answer.status, answer.headers.get("Retry-After", "")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise Temporary(
            f"{where} did not take the {what}: {error or type(error).__name__}",
            hint="Is the server up, and the address right?",
        ) from error
    sentence = f"{where} answered {status}: {said or 'nothing more'}"
    if status >= 500 or status in _PASSING:
        raise Temporary(sentence, hint="It is tried again.", delay=float(wait) if wait.isdecimal() else None)
    raise Permanent(sentence, hint=f"Check the address and the token; the {what} is not sent again.")


def shown_url(url: str) -> str:
    """An address without what may be a secret: chat services put theirs into the path."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"
