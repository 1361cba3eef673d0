"""The window upon the ways to people: a message is sent through them for a test."""

from __future__ import annotations

from aiohttp import web

from sidecar.model.notice import UnknownChannel
from sidecar.web.guard import read_body
from sidecar.web.payload import RECOVER_LIMIT, check_json, read_notify_test
from sidecar.web.ports import People
from sidecar.web.problem import Rejected
from sidecar.web.reply import as_json


def routes(people: People) -> list[web.RouteDef]:
    """What is below ``/api/v1/notify``."""

    async def test(request: web.Request) -> web.Response:
        check_json(request)
        found = await people.test(read_notify_test(await read_body(request, RECOVER_LIMIT)))
        if isinstance(found, UnknownChannel):
            there = f"There are: {', '.join(found.known)}." if found.known else "`notify` names none."
            raise Rejected(404, "Not found", f"there is no channel called {found.channel!r}", hint=there)
        return as_json({"trials": found})

    return [web.post("/api/v1/notify/test", test)]
