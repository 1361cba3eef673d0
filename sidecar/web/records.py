"""The windows upon what is on record: the audit trail, incidents, circuits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec
from aiohttp import web

from sidecar import errand
from sidecar.decide.told import line
from sidecar.errors import SidecarError
from sidecar.model.access import Scope
from sidecar.model.audit import AuditFilter
from sidecar.model.circuits import is_name
from sidecar.model.cut import without_text
from sidecar.model.diagnostics import Diagnostics
from sidecar.model.plan import Strategy
from sidecar.model.record import Action, AuditRow, IncidentRow, RecoveryRow
from sidecar.web.payload import check_json, moment, one_of, positive, read_number, yes
from sidecar.web.ports import Records
from sidecar.web.problem import Rejected
from sidecar.web.reply import as_json, page_limit, shown
from sidecar.web.secrets import without_secrets

_EXPORT_PAGE = 500
_EXPORT_HEADERS = {
    "Content-Type": "application/jsonl",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


def routes(records: Records) -> list[web.RouteDef]:
    """Lists, and the one thing that a person may put back by hand."""
    windows = _Records(records)
    return [
        web.get("/api/v1/audit", windows.audit),
        web.get("/api/v1/audit/export", windows.export),
        web.get("/api/v1/incidents", windows.incidents),
        web.get("/api/v1/incidents/{id}", windows.incident),
        web.get("/api/v1/circuits", windows.circuits),
        web.post("/api/v1/circuits/{name}/open", windows.force_open),
        web.post("/api/v1/circuits/{name}/reset", windows.reset),
    ]


class _Records:
    def __init__(self, records: Records) -> None:
        self._records = records

    async def audit(self, request: web.Request) -> web.Response:
        limit, session = page_limit(request), request.query.get("session")
        action = one_of(request, "action", Action)
        rows = await self._records.audit(limit, positive(request, "before"), session, action)
        return await shown(lambda: {"records": _records(rows), "next": _next(rows, limit)})

    async def export(self, request: web.Request) -> web.StreamResponse:
        """All of it as JSON Lines, oldest first; never more than a page of it is held."""
        wanted = AuditFilter(
            request.query.get("session"), one_of(request, "action", Action), moment(request, "since")
        )
        rows = await self._records.audit_page(0, _EXPORT_PAGE, wanted)
        response = web.StreamResponse(headers=_EXPORT_HEADERS)
        await response.prepare(request)
        try:
            while rows:
                await response.write(await asyncio.to_thread(_lines, rows))
                rows = await self._records.audit_page(rows[-1].id, _EXPORT_PAGE, wanted)
        except SidecarError:
            # Half of it is on its way: what is cut off must not look whole.
            if request.transport is not None:
                request.transport.abort()
            return response
        await response.write_eof()
        return response

    async def incidents(self, request: web.Request) -> web.Response:
        limit, session = page_limit(request), request.query.get("session")
        waiting = yes(request, "waiting")
        rows = await self._records.incidents(limit, positive(request, "before"), session, waiting)
        return await shown(lambda: {"incidents": rows, "next": _next(rows, limit)})

    async def incident(self, request: web.Request) -> web.Response:
        number = read_number(request.match_info["id"])
        found = None if number is None else await self._records.incident(number)
        if number is None or found is None:
            raise _not_there("incident", request.match_info["id"], "GET /api/v1/incidents lists them.")
        seen = await self._records.diagnostics(number)
        if seen is not None and errand.current().by.get("scope") != Scope.ADMIN:
            seen = without_text(seen)
        return await shown(lambda: _incident(*found, seen))

    async def circuits(self, request: web.Request) -> web.Response:
        return as_json({"circuits": self._records.circuits()})

    async def reset(self, request: web.Request) -> web.Response:
        check_json(request)
        return as_json({"circuit": await self._records.reset(_circuit(request))})

    async def force_open(self, request: web.Request) -> web.Response:
        check_json(request)
        return as_json({"circuit": await self._records.force_open(_circuit(request))})


def _circuit(request: web.Request) -> str:
    name = request.match_info["name"]
    if not is_name(name):
        raise _not_there(
            "circuit", name, f"There are {', '.join(Strategy)}; for one session, STRATEGY:SESSION."
        )
    return name


def _records(rows: Sequence[AuditRow]) -> list[Any]:
    return [without_secrets(msgspec.to_builtins(row, enc_hook=dict)) for row in rows]


def _lines(rows: Sequence[AuditRow]) -> bytes:
    return "".join(f"{line(row)}\n" for row in rows).encode("utf-8", "backslashreplace")


def _incident(row: IncidentRow, tried: Sequence[RecoveryRow], seen: Diagnostics | None) -> dict[str, Any]:
    return {"incident": row, "recoveries": tried, "diagnostics": seen}


def _next(rows: Sequence[AuditRow | IncidentRow], limit: int) -> int | None:
    return rows[-1].id if len(rows) == limit else None


def _not_there(what: str, given: str, hint: str) -> Rejected:
    return Rejected(404, "Not found", f"there is no {what} {given[:40]!r}", hint=hint)
