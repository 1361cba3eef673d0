"""Errors as ``application/problem+json`` (RFC 9457), each with a hint for whoever asked.

A problem tells one sentence and what can be done. It never holds a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from math import ceil
from typing import Any

from aiohttp import web

from sidecar.errors import ConfigInvalid, SidecarError, Temporary
from sidecar.web.views import encode

CONTENT_TYPE = "application/problem+json"


def problem(
    status: int,
    title: str,
    detail: str,
    *,
    hint: str = "",
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> web.Response:
    """An error answer. ``more`` becomes members of the body."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail, "hint": hint, **more}
    return web.Response(body=encode(body), status=status, content_type=CONTENT_TYPE, headers=headers)


class Rejected(Exception):
    """A request that cannot be taken; carries its answer."""

    def __init__(
        self,
        status: int,
        title: str,
        detail: str,
        *,
        hint: str = "",
        headers: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(detail)
        self.response = problem(status, title, detail, hint=hint, headers=headers, **more)


def problem_of(error: SidecarError) -> web.Response:
    """The status follows from the branch of the error tree: what may pass is 503, to be sent again."""
    if isinstance(error, ConfigInvalid):
        faults = [asdict(fault) for fault in error.faults]
        return problem(400, "Configuration refused", str(error), hint=error.hint, faults=faults)
    if isinstance(error, Temporary):
        return problem(503, "Not now", str(error), hint=error.hint, headers=retry_after(error.delay))
    return problem(500, "It failed", str(error), hint=error.hint)


def problem_of_routing(error: web.HTTPException, method: str, path: str) -> web.Response:
    """What the router says of a path or a method that it does not have."""
    hint = "GET / lists what there is."
    headers = {}
    if isinstance(error, web.HTTPMethodNotAllowed):
        headers["Allow"] = error.headers.get("Allow", "")
        hint = f"Allowed here: {headers['Allow']}."
    return problem(error.status, error.reason, f"{method} {path}: {error.reason}", hint=hint, headers=headers)


def retry_after(seconds: float | None) -> dict[str, str]:
    """The header that says when to come again, in whole seconds."""
    return {} if seconds is None else {"Retry-After": str(max(ceil(seconds), 1))}
