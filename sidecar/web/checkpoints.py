"""The windows upon the stored generations: list, show, take, compare, export, thin out, restore."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from sidecar.model.archive import GenerationFilter, Missing
from sidecar.model.plan import Refusal
from sidecar.model.session import Operation
from sidecar.model.status import UnknownSession
from sidecar.web import checkpoint_views as views
from sidecar.web.guard import read_body
from sidecar.web.payload import (
    RECOVER_LIMIT,
    check_json,
    moment,
    one_of,
    positive,
    read_create,
    read_number,
    read_prune,
    read_restore,
    yes,
)
from sidecar.web.ports import Archive
from sidecar.web.problem import Rejected, problem
from sidecar.web.reply import answer_of, page_limit, refused, shown, unknown

Handler = Callable[[web.Request], Awaitable[web.Response]]


def routes(archive: Archive) -> list[web.RouteDef]:
    """Everything below ``/api/v1/checkpoints``."""
    windows = _Checkpoints(archive)
    return [
        web.get("/api/v1/checkpoints", windows.page),
        web.post("/api/v1/checkpoints", windows.create),
        web.post("/api/v1/checkpoints/prune", windows.prune),
        web.get("/api/v1/checkpoints/{id}", windows.show),
        web.get("/api/v1/checkpoints/{id}/diff", windows.diff),
        web.get("/api/v1/checkpoints/{id}/export", windows.export),
        web.post("/api/v1/checkpoints/{id}/restore", windows.restore),
    ]


class _Checkpoints:
    def __init__(self, archive: Archive) -> None:
        self._archive = archive

    async def page(self, request: web.Request) -> web.Response:
        wanted = GenerationFilter(
            session=request.query.get("session"),
            operation=one_of(request, "operation", Operation),
            until=moment(request, "until"),
            good=yes(request, "good"),
            before=positive(request, "before"),
            limit=page_limit(request),
        )
        rows = await self._archive.page(wanted)
        following = rows[-1].id if len(rows) == wanted.limit else None
        return await shown(lambda: views.page(rows, following))

    async def show(self, request: web.Request) -> web.Response:
        found = await self._archive.find(_number(request))
        if found is None:
            raise _no_such(request)
        return await shown(lambda: views.checkpoint(found))

    async def create(self, request: web.Request) -> web.Response:
        session = read_create(await _body(request))
        created = await self._archive.create(session)
        if isinstance(created, UnknownSession):
            return _not_living(session)
        if isinstance(created, Refusal):
            return refused(created)
        return await shown(lambda: views.created(created), status=201 if created.fresh else 200)

    async def diff(self, request: web.Request) -> web.Response:
        compared = await self._archive.compare(_number(request), positive(request, "against"))
        if isinstance(compared, UnknownSession):
            return _not_living(compared.session)
        if isinstance(compared, Refusal):
            return refused(compared)
        if isinstance(compared, Missing):
            raise _missing(str(compared.number))
        return await shown(lambda: views.compared(compared))

    async def export(self, request: web.Request) -> web.Response:
        exported = await self._archive.export(_number(request))
        if isinstance(exported, Refusal):
            return refused(exported)
        if isinstance(exported, Missing):
            raise _no_such(request)
        return await shown(lambda: views.exported(exported))

    async def restore(self, request: web.Request) -> web.Response:
        asked = read_restore(_number(request), await _body(request))
        answer = await self._archive.restore(asked)
        if isinstance(answer, Missing):
            raise _no_such(request)
        if isinstance(answer, UnknownSession):
            return unknown(answer.session)
        return answer_of("", answer)

    async def prune(self, request: web.Request) -> web.Response:
        dry_run = read_prune(await _body(request))
        gone = await (self._archive.doomed() if dry_run else self._archive.prune())
        return await shown(lambda: views.pruned(gone, dry_run))


async def _body(request: web.Request) -> bytes:
    check_json(request)
    return await read_body(request, RECOVER_LIMIT)


def _number(request: web.Request) -> int:
    number = read_number(request.match_info["id"])
    if number is None:
        raise _no_such(request)
    return number


def _no_such(request: web.Request) -> Rejected:
    return _missing(request.match_info["id"])


def _missing(given: str) -> Rejected:
    return Rejected(
        404,
        "Not found",
        f"there is no checkpoint {given[:40]!r}",
        hint="`sidecar checkpoint list` shows those that there are.",
    )


def _not_living(session: str) -> web.Response:
    return problem(
        404,
        "Unknown session",
        f"there is no living session {session!r}",
        hint="`sidecar status` lists the sessions.",
    )
