"""``status`` and ``recover`` against a real HTTP server that answers as the service does."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner, Result

from sidecar import client
from sidecar.cli import main
from sidecar.config import Settings
from sidecar.errors import ServiceUnreachable

SESSION = {
    "name": "web",
    "health": "healthy",
    "up": True,
    "declared": False,
    "windows": 3,
    "panes": 7,
    "dead_panes": 0,
    "last_activity": 1.0,
    "checkpoints": 4,
    "checkpoint_bytes": 2_500_000,
    "last_checkpoint": 0.0,
    "note": "",
    "programs": [],
}
PROGRAM = {
    "rule": "worker",
    "session": "web",
    "place": "jobs.0",
    "state": "backing_off",
    "restarts": 2,
    "until": None,
    "note": "it ended with 3",
}
ODD = {
    "name": "日本\x1b[2J",
    "health": "crashed",
    "note": "held",
    "programs": [PROGRAM],
    "climbed": {"crashed": "rebuild_workspace, rung 2 of 2"},
}
STATUS: dict[str, Any] = {
    "sessions": [SESSION, SESSION | ODD],
    "incidents": [
        {
            "id": 3,
            "session": "api",
            "failure": "crashed",
            "cause": "unknown",
            "state": "held",
            "sentence": "no",
        }
    ],
    "circuits": [{"name": "retry", "state": "closed"}, {"name": "respawn_pane", "state": "open"}],
    "server_up": True,
    "config_good": True,
    "workspace_faults": [],
    "checkpoint_mode": "full",
    "short": {},
    "mode": "auto",
    "tmux_version": "3.3a",
}
RECOVERY = {
    "state": "verified",
    "verdict": "verified, 0 tolerated differences",
    "time_to_recovery": 0.25,
    "steps": [{"description": "rebuild session", "state": "done", "error": ""}],
}
TICKET = {"id": 12, "joined": False, "trace": "t1"}


@dataclass
class Stand:
    """Answers by method and path, and what was asked."""

    state: Path
    answers: dict[tuple[str, str], list[tuple[int, Any]]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)

    def answer(self, method: str, path: str, *answers: tuple[int, Any]) -> None:
        self.answers[method, path] = list(answers)

    async def handle(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer secret":
            return web.json_response({"title": "Unauthorized", "detail": "no token"}, status=401)
        body = await request.json() if request.can_read_body else None
        self.asked.append((request.method, request.path, body))
        waiting = self.answers[request.method, request.path]
        status, answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, bytes):
            return web.Response(body=answer, status=status)
        return web.json_response(answer, status=status)

    async def run(self, *words: str, **environment: str) -> Result:
        def invoke() -> Result:
            options = ("--state", str(self.state))
            return CliRunner(env=environment).invoke(main, [words[0], *options, *words[1:]])

        return await asyncio.to_thread(invoke)


@pytest.fixture
async def stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, aiohttp_server: Callable[..., Awaitable[TestServer]]
) -> Stand:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    service = Stand(tmp_path)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    server = await aiohttp_server(app)
    (tmp_path / "token").write_text("secret\n")
    (tmp_path / "address").write_text(f"127.0.0.1:{server.port}\n")
    return service


async def test_status(stand: Stand) -> None:
    stand.answer("GET", "/api/v1/sessions", (200, STATUS))
    done = await stand.run("status")
    assert done.exit_code == 0, done.output
    first, head, web_row, odd_row, incident, program, circuit = done.output.splitlines()
    assert first == "tmux 3.3a, mode auto"
    assert head.split()[:4] == ["SESSION", "HEALTH", "WINDOWS", "PANES"]
    assert web_row.split() == ["web", "healthy", "3", "7", "0", *web_row.split()[5:7], "4", "2.5MB", "-"]
    assert odd_row.startswith("日本\\x1b[2J  crashed")
    assert odd_row.endswith("held; after crashed: rebuild_workspace, rung 2 of 2")
    assert web_row.index("healthy") == odd_row.index("crashed") + 2, "wide characters take two columns"
    assert program == "program worker in web:jobs.0: backing off, 2 restarts lately, it ended with 3"
    assert incident == "incident 3: api crashed, cause unknown, held: no"
    assert circuit == "circuit respawn_pane: open"


async def test_status_says_that_the_file_on_disk_is_not_in_force(stand: Stand) -> None:
    stand.answer("GET", "/api/v1/sessions", (200, STATUS | {"config_good": False}))
    done = await stand.run("status")
    assert "the configuration on disk has faults" in done.output.splitlines()[1]


async def test_status_names_the_faults_of_workspace_files(stand: Stand) -> None:
    stand.answer("GET", "/api/v1/sessions", (200, STATUS | {"workspace_faults": ["/w/a.yaml:3: layout: no"]}))
    done = await stand.run("status")
    assert done.output.splitlines()[1] == "workspace file /w/a.yaml:3: layout: no"


async def test_status_says_what_is_short(stand: Stand) -> None:
    short = {"checkpoint_mode": "structure", "short": {"disk": "3.0 MB are free"}}
    stand.answer("GET", "/api/v1/sessions", (200, STATUS | short))
    done = await stand.run("status")
    assert done.output.splitlines()[1:3] == [
        "short of disk: 3.0 MB are free",
        "checkpoints: structure only, without new scrollback",
    ]


async def test_status_as_json(stand: Stand) -> None:
    stand.answer("GET", "/api/v1/sessions", (200, STATUS))
    done = await stand.run("status", "--json")
    assert json.loads(done.output) == STATUS


async def test_status_of_nothing(stand: Stand) -> None:
    stand.answer(
        "GET", "/api/v1/sessions", (200, STATUS | {"sessions": [], "incidents": [], "server_up": False})
    )
    done = await stand.run("status")
    assert done.output.splitlines()[:2] == ["no tmux server, mode auto", "no sessions in our care"]


async def test_recover(stand: Stand) -> None:
    stand.answer("POST", "/recover", (202, TICKET))
    done = await stand.run("recover", "a b", "--failure", "frozen", "--strategy", "respawn_pane")
    assert (done.exit_code, done.output) == (0, "recovery 12 of a b has begun (trace t1)\n")
    body = {"session": "a b", "failure": "frozen", "strategy": "respawn_pane", "dry_run": False}
    assert stand.asked == [("POST", "/recover", body)]


@pytest.mark.parametrize(
    ("ending", "status", "line"),
    [
        (RECOVERY, 0, "verified: verified, 0 tolerated differences after 0.250 s"),
        (RECOVERY | {"state": "failed", "verdict": "", "time_to_recovery": None}, 1, "failed"),
    ],
)
async def test_recover_and_wait(stand: Stand, ending: dict[str, Any], status: int, line: str) -> None:
    stand.answer("POST", "/recover", (202, TICKET | {"joined": True}))
    running = {"recovery": RECOVERY | {"state": "running"}}
    stand.answer("GET", "/api/v1/recoveries/12", (200, running), (200, {"recovery": ending}))
    done = await stand.run("recover", "web", "--wait")
    assert done.exit_code == status
    assert done.output.splitlines() == [
        "recovery 12 of web was running already (trace t1)",
        "  rebuild session: done",
        line,
    ]


async def test_dry_run(stand: Stand) -> None:
    answer = {
        "dry_run": True,
        "strategy": "respawn_pane",
        "cause": "process_killed",
        "evidence": [{"source": "pidfd", "fact": "exit -9"}],
        "steps": ["respawn pane %3"],
        "ladder": ["respawn_pane", "restore_checkpoint"],
        "fallback": [],
    }
    stand.answer("POST", "/recover", (200, answer))
    done = await stand.run("recover", "web", "--dry-run", "--wait")
    assert done.exit_code == 0
    assert done.output.splitlines() == [
        "cause: process_killed",
        "  pidfd: exit -9",
        "would be done: respawn_pane",
        "  respawn pane %3",
        "rung 1 of 2: respawn_pane, restore_checkpoint",
    ]


async def test_what_is_stuck_is_told_with_the_commands(stand: Stand) -> None:
    steps = [
        {"description": "replace session", "phase": "do", "attempt": 1, "state": "refused", "error": "no"},
        {"description": "replace session", "phase": "undo", "attempt": 2, "state": "failed", "error": "why"},
    ]
    command = "sidecar checkpoint restore web --id 3"
    row = {**RECOVERY, "state": "stuck", "verdict": "no", "time_to_recovery": None, "steps": steps}
    stand.answer("POST", "/recover", (202, TICKET))
    stand.answer("GET", "/api/v1/recoveries/12", (200, {"recovery": {**row, "commands": [command]}}))
    done = await stand.run("recover", "web", "--wait")
    assert done.exit_code == 1
    assert done.output.splitlines()[1:] == [
        "  replace session: refused: no",
        "  undo replace session (attempt 2): failed: why",
        "stuck: no",
        "It could not be undone. To put it right, run:",
        f"  {command}",
    ]


async def test_a_refusal_is_told_with_its_reason_and_hint(stand: Stand) -> None:
    refusal = {
        "title": "Refused",
        "status": 409,
        "detail": "web is in good order",
        "hint": "Wait.",
        "reason": "healthy",
    }
    stand.answer("POST", "/recover", (409, refusal))
    done = await stand.run("recover", "web")
    assert (done.exit_code, done.stderr) == (1, "sidecar: healthy: web is in good order\nhint: Wait.\n")


@pytest.mark.parametrize("answer", [b"<html>", b"[1]", b"[" * 100_000])
async def test_a_stranger_at_the_address(stand: Stand, answer: bytes) -> None:
    stand.answer("GET", "/api/v1/sessions", (200, answer))
    done = await stand.run("status")
    assert done.exit_code == 1
    assert "is no sidecar" in done.stderr
    assert len(done.stderr.splitlines()) == 2


async def test_a_recovery_without_a_body(stand: Stand) -> None:
    stand.answer("POST", "/recover", (202, TICKET))
    stand.answer("GET", "/api/v1/recoveries/12", (200, {}))
    done = await stand.run("recover", "web", "--wait")
    assert "its answer holds no recovery" in done.stderr


async def test_a_wrong_token(stand: Stand) -> None:
    (stand.state / "token").write_text("other")
    done = await stand.run("status")
    assert (done.exit_code, done.stderr) == (1, "sidecar: no token\n")


async def test_url_wins_over_the_address_file(stand: Stand) -> None:
    address = (stand.state / "address").read_text().strip()
    (stand.state / "address").write_text("127.0.0.1:1")
    stand.answer("GET", "/api/v1/sessions", (200, STATUS))
    assert (await stand.run("status", "--url", f"http://{address}")).exit_code == 0


@pytest.mark.parametrize("url", ["127.0.0.1:9847", "ftp://127.0.0.1:1", "http://127.0.0.1", "http://[::1:1"])
async def test_a_url_that_is_none(stand: Stand, url: str) -> None:
    done = await stand.run("status", "--url", url)
    assert done.exit_code == 1
    assert "is no address of a sidecar" in done.stderr


def test_nobody_answers(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
    (tmp_path / "token").write_text("secret")
    (tmp_path / "address").write_text(address)
    done = CliRunner().invoke(main, ["status", "--state", str(tmp_path)])
    assert done.exit_code == 1
    sentence, hint = done.stderr.splitlines()
    assert sentence == f"sidecar: no sidecar answers at {address} (Connection refused)"
    assert hint.startswith("hint: Start it with `sidecar run`")


def test_a_service_that_is_stuck(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "_SECONDS", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        with pytest.raises(ServiceUnreachable, match="did not answer within"):
            client.Client(client.Place(f"{host}:{port}", host, port), "secret").status()


def test_without_an_address_file_the_settings_tell(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret")
    found = client.find(Settings(), tmp_path)
    assert (found.place.shown, found.token) == ("127.0.0.1:9847", "secret")


@pytest.mark.parametrize("token", [b"two\nlines", b"\xff"])
def test_a_token_that_is_none(tmp_path: Path, token: bytes) -> None:
    (tmp_path / "token").write_bytes(token)
    with pytest.raises(ServiceUnreachable, match="token"):
        client.find(Settings(), tmp_path)


def test_it_has_never_run(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["recover", "web", "--state", str(tmp_path)])
    assert done.exit_code == 1
    assert done.stderr.startswith(f"sidecar: no sidecar has run with the state folder {tmp_path}")
