"""The windows upon health checks."""

from __future__ import annotations

from sidecar.model.check import Check, CheckState, CheckStatus
from sidecar.model.heal import CommandHeal, PaneTarget, RespawnHeal
from sidecar.model.probe import HttpProbe
from tests.web.conftest import Windows

CHECK = Check(
    "api",
    HttpProbe("http://127.0.0.1:8000/"),
    (RespawnHeal(PaneTarget("web", "main")), CommandHeal(("login", "--token=abcdef"))),
)
STANDS = CheckStatus(CHECK, CheckState.FAILING, 5.0, "it answered 503", 0.25, 7.0, 1)


async def test_how_checks_stand_is_listed(windows: Windows) -> None:
    windows.checks.answer = (STANDS,)
    response = await windows.get("/api/v1/checks")
    assert response.status == 200
    assert (await response.json())["checks"] == [
        {
            "name": "api",
            "state": "failing",
            "since": 5.0,
            "probe": "http",
            "asks": "GET http://127.0.0.1:8000/",
            "found": "it answered 503",
            "took": 0.25,
            "next_try": 7.0,
            "session": "web",
            "subject": "web",
            "heal": ["respawn web:main", "run `login '--token=***'`"],
            "vain": 1,
            "tries": 3,
            "built_in": False,
        }
    ]


async def test_one_is_asked_now(windows: Windows) -> None:
    windows.checks.answer = STANDS
    response = await windows.post("/api/v1/checks/api/run", {})
    assert (await response.json())["check"]["found"] == "it answered 503"
    windows.checks.answer = None
    response = await windows.post("/api/v1/checks/nothing/run", {})
    assert response.status == 404
    assert "there is no check 'nothing'" in (await response.json())["detail"]
    assert windows.checks.asked == ["api", "nothing"]
