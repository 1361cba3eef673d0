"""The windows upon health checks: how they stand, and asking one now."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from sidecar.model.check import CheckStatus
from sidecar.web.payload import check_json
from sidecar.web.ports import Checks
from sidecar.web.problem import Rejected
from sidecar.web.reply import as_json, shown


def routes(checks: Checks) -> list[web.RouteDef]:
    """``/api/v1/checks``."""
    windows = _Checks(checks)
    return [
        web.get("/api/v1/checks", windows.listed),
        web.post("/api/v1/checks/{name}/run", windows.run),
    ]


class _Checks:
    def __init__(self, checks: Checks) -> None:
        self._checks = checks

    async def listed(self, request: web.Request) -> web.Response:
        found = self._checks.statuses()
        return await shown(lambda: {"checks": [_view(one) for one in found]})

    async def run(self, request: web.Request) -> web.Response:
        check_json(request)
        name = request.match_info["name"]
        found = await self._checks.run_now(name)
        if found is None:
            raise Rejected(
                404,
                "Not found",
                f"there is no check {name[:60]!r}",
                hint="`sidecar checks` lists them.",
            )
        return as_json({"check": _view(found)})


def _view(one: CheckStatus) -> dict[str, Any]:
    check = one.check
    return {
        "name": check.name,
        "state": one.state,
        "since": one.since,
        "probe": check.probe.kind,
        "asks": check.probe.describe(),
        "found": one.fact,
        "took": one.took,
        "next_try": one.next_try,
        "session": check.about,
        "subject": check.subject,
        "heal": [heal.describe() for heal in check.heal],
        "vain": one.vain,
        "tries": check.tries,
        "built_in": check.built_in,
    }
