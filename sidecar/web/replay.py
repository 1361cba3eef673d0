"""Requests with an ``Idempotency-Key`` are carried out once; sent again, they get the same answer.

Answers are kept in the book, so they outlive a restart. What was refused only for the moment is
not kept: the next attempt may well be taken.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from weakref import WeakValueDictionary

from aiohttp import web

from sidecar.web.ports import Desk
from sidecar.web.problem import Rejected

_KEPT_HEADERS = ("Location",)
_KEPT = {"request": str, "status": int, "content_type": str, "headers": dict, "body": str}


class Replays:
    """Answers by key. Requests with the same key wait for one another."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def once(
        self, key: str, raw: bytes, work: Callable[[], Awaitable[tuple[web.Response, bool]]]
    ) -> web.Response:
        """The kept answer, or that of ``work``, which also says whether it is to be kept.

        Raises:
            Rejected: 422, the key was used for another body; 500, the answer that was kept is damaged.
        """
        digest = hashlib.sha256(raw).hexdigest()
        async with self._turns.setdefault(key, asyncio.Lock()):
            known = await self._desk.recall(key)
            if known is not None:
                return _again(known, digest)
            response, lasting = await work()
            if lasting:
                await self._desk.keep_answer(key, _kept(response, digest))
            return response


def _kept(response: web.Response, digest: str) -> dict[str, Any]:
    assert isinstance(response.body, bytes)
    return {
        "request": digest,
        "status": response.status,
        "content_type": response.content_type,
        "headers": {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers},
        "body": response.body.decode(),
    }


def _again(known: Mapping[str, Any], digest: str) -> web.Response:
    if not _whole(known):
        raise Rejected(
            500,
            "It failed",
            "the answer that was kept under this Idempotency-Key is damaged; the request was carried out, "
            "and is not carried out again",
            hint="`sidecar status` shows what came of it. A new request needs a new key.",
        )
    if known["request"] != digest:
        raise Rejected(
            422,
            "Another request",
            "this Idempotency-Key was used for another request",
            hint="A new request needs a new key.",
        )
    return web.Response(
        body=known["body"].encode(),
        status=known["status"],
        content_type=known["content_type"],
        headers=known["headers"],
    )


def _whole(known: Mapping[str, Any]) -> bool:
    return all(isinstance(known.get(name), kind) for name, kind in _KEPT.items())
