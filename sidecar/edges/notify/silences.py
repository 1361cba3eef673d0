"""What an Alertmanager keeps quiet by its own silences, by its API v2."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime

import aiohttp
import msgspec

from sidecar.edges.notify.post import USER_AGENT, shown_url
from sidecar.errors import Temporary
from sidecar.model.notice import Alertmanager
from sidecar.model.quiet import ForeignSilence, Matcher

_SECONDS = 5.0
_LARGEST = 4 * 1024 * 1024
"""Bytes of an answer; an Alertmanager keeps silences for days after they have ended."""
_MOST = 1_000


class _Matcher(msgspec.Struct, rename="camel"):
    name: str
    value: str
    is_regex: bool
    is_equal: bool = True


class _Status(msgspec.Struct):
    state: str


class _Silence(msgspec.Struct, rename="camel"):
    id: str
    status: _Status
    matchers: list[_Matcher]
    starts_at: datetime
    ends_at: datetime
    comment: str = ""


_answer = msgspec.json.Decoder(list[_Silence])


async def silences(target: Alertmanager) -> tuple[ForeignSilence, ...]:
    """Those that have not ended.

    Raises:
        Temporary: it gives no answer, or one that is none.
    """
    where = shown_url(target.url)
    raw = await _get(f"{target.url.rstrip('/')}/api/v2/silences", where)
    try:
        return await asyncio.to_thread(_read, raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _unknown(where, f"its answer is none: {error}") from error


async def _get(url: str, where: str) -> bytes:
    timeout = aiohttp.ClientTimeout(total=_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.get(url, headers=USER_AGENT, allow_redirects=False) as answer,
        ):
            if answer.status != 200:
                raise _unknown(where, f"it answered {answer.status}")
            pieces: list[bytes] = []
            async for piece in answer.content.iter_chunked(1 << 16):
                pieces.append(piece)
                if sum(map(len, pieces)) > _LARGEST:
                    raise _unknown(where, f"its answer is larger than {_LARGEST} bytes")
            return b"".join(pieces)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise _unknown(where, str(error) or type(error).__name__) from error


def _read(raw: bytes) -> tuple[ForeignSilence, ...]:
    lasting: Sequence[_Silence] = [one for one in _answer.decode(raw) if one.status.state != "expired"]
    return tuple(
        ForeignSilence(
            one.id,
            tuple(Matcher(each.name, each.value, each.is_regex, each.is_equal) for each in one.matchers),
            one.starts_at.timestamp(),
            one.ends_at.timestamp(),
            one.comment[:500],
        )
        for one in lasting[:_MOST]
    )


def _unknown(where: str, why: str) -> Temporary:
    return Temporary(
        f"{where} cannot be asked for its silences: {why}",
        hint="None of them is respected until it answers again.",
    )
