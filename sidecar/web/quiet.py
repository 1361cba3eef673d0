"""The windows upon what is kept quiet: silences are made, listed and ended."""

from __future__ import annotations

from aiohttp import web

from sidecar.model.plan import Refusal
from sidecar.model.quiet import UnknownTarget
from sidecar.web.guard import read_body
from sidecar.web.payload import RECOVER_LIMIT, check_json, read_number, read_silence
from sidecar.web.ports import Quiet
from sidecar.web.problem import Rejected, problem
from sidecar.web.reply import as_json, refused, shown


def routes(quiet: Quiet) -> list[web.RouteDef]:
    """``/api/v1/silences``, and what makes one."""
    windows = _Quiet(quiet)
    return [
        web.post("/api/v1/sessions/{name:[^/]+}/silence", windows.silence),
        web.get("/api/v1/silences", windows.listed),
        web.delete("/api/v1/silences/{id}", windows.end),
    ]


class _Quiet:
    def __init__(self, quiet: Quiet) -> None:
        self._quiet = quiet

    async def silence(self, request: web.Request) -> web.Response:
        check_json(request)
        asked = read_silence(request.match_info["name"], await read_body(request, RECOVER_LIMIT))
        answer = await self._quiet.silence(asked)
        if isinstance(answer, Refusal):
            return refused(answer)
        if isinstance(answer, UnknownTarget):
            return _unknown(answer)
        return as_json({"silence": answer}, status=201)

    async def listed(self, request: web.Request) -> web.Response:
        hushes = self._quiet.listed()
        return await shown(lambda: {"quiet": hushes})

    async def end(self, request: web.Request) -> web.Response:
        given = request.match_info["id"]
        number = read_number(given)
        ended = None if number is None else await self._quiet.end(number)
        if ended is None:
            raise Rejected(
                404,
                "Not found",
                f"there is no silence {given[:40]!r} that has not ended",
                hint="`sidecar silence list` shows them; a window ends by itself, or by the configuration.",
            )
        return as_json({"silence": ended})


def _unknown(found: UnknownTarget) -> web.Response:
    near = f"did you mean {' or '.join(map(repr, found.near))}? " if found.near else ""
    return problem(
        404,
        "Unknown session",
        f"there is no session and no check called {found.target!r}",
        hint=f"{near}`sidecar status` lists the sessions; a glob may be about those that are still to come.",
    )
