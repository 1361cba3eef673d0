"""Errors as ``application/problem+json`` (RFC 9457), each with a hint for whoever asked."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

CONTENT_TYPE = "application/problem+json"


def problem(status: int, title: str, detail: str, *, hint: str = "", **more: Any) -> web.Response:
    """An error answer. ``more`` becomes members of the body."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "hint": hint, **more}
    return web.Response(body=msgspec.json.encode(body), status=status, content_type=CONTENT_TYPE)


class Rejected(Exception):
    """A request that cannot be taken; carries its answer."""

    def __init__(self, status: int, title: str, detail: str, *, hint: str = "", **more: Any) -> None:
        super().__init__(detail)
        self.response = problem(status, title, detail, hint=hint, **more)
