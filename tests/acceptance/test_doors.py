"""The doors of a running service: who gets in, what is answered, what is refused."""

from __future__ import annotations

import json
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box, tmux_box

TOOLS = Path(__file__).parent.parent.parent / ".tools" / "usr" / "bin"


@pytest.fixture(scope="module")
def service() -> Iterator[SidecarBox]:
    """One service, with one healthy session, for all tests that change nothing."""
    with tmux_box() as tmux:
        tmux.run("new-session", "-d", "-s", "web")
        with sidecar_box(tmux) as box:
            box.stored("web")
            yield box


def alert(number: int = 1, status: str = "firing", **labels: str) -> dict[str, Any]:
    return {
        "status": status, "labels": labels, "annotations": {}, "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": f"{number:016x}",
    }  # fmt: skip


def group(*alerts: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": "4",
        "groupKey": "k",
        "status": "firing",
        "receiver": "sidecar",
        "alerts": list(alerts),
    }


def test_metrics_are_open_and_clean(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", 'a b;"$(x)é')
    sidecar.stored('a b;"$(x)é')
    page = sidecar.get("/metrics", raw=True)
    assert 'sidecar_session_up{session="a b;\\"$(x)é"} 1.0' in page
    lint = subprocess.run(
        [TOOLS / "promtool", "check", "metrics"],
        input=page,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (lint.returncode, lint.stdout + lint.stderr) == (0, "")
    assert sidecar.get("/-/healthy", raw=True) == "healthy\n"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/api/v1/sessions", {}, 401),
        ("/api/v1/sessions", {"Authorization": "Bearer wrong"}, 401),
        ("/metrics", {"Host": "evil.example"}, 403),
        ("/metrics", {"Origin": "http://evil.example"}, 403),
    ],
)
def test_strangers_are_turned_away(
    service: SidecarBox, path: str, headers: dict[str, str], status: int
) -> None:
    request = urllib.request.Request(service.url(path), headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    with refused.value as answer:
        assert answer.code == status
        assert answer.headers["Content-Type"].startswith("application/problem+json")


def test_the_state_is_private(service: SidecarBox) -> None:
    modes = {
        path.name: stat.S_IMODE(path.stat().st_mode) for path in [service.state, *service.state.iterdir()]
    }
    assert modes["state"] == 0o700
    assert modes["sidecar.db"] == modes["token"] == 0o600


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"session": "nobody"}, 404, "nobody"),
        ({"session": "web"}, 409, "good order"),
        ({"session": ""}, 400, "session"),
        ({"session": 3}, 400, "session"),
        ({"session": "web", "command": "rm"}, 400, "command"),
        ({"session": "web", "strategy": "magic"}, 400, "strategy"),
        (b"{", 400, "JSON"),
        (b"\xff", 400, ""),
        (b"[" * 5000, 400, ""),
    ],
)
def test_recover_answers_bad_input_with_one_sentence(
    service: SidecarBox, body: Any, status: int, words: str
) -> None:
    got, answer = service.call("POST", "/recover", body)
    assert got == status, answer
    assert words in answer["detail"]


def test_recover_honours_the_idempotency_key(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web")
    tmux.run("new-session", "-d", "-s", "keep")
    sidecar.stored("web", "keep")
    tmux.run("kill-session", "-t", "=web")
    eventually(lambda: "web" not in sidecar.sessions())
    key = {"Idempotency-Key": "one"}
    first = sidecar.call("POST", "/recover", {"session": "web"}, key)
    assert first[0] == 202
    sidecar.verified("web")
    assert sidecar.call("POST", "/recover", {"session": "web"}, key) == first
    assert sidecar.call("POST", "/recover", {"session": "keep"}, key)[0] == 422
    assert len(sidecar.recoveries("web")) == 1


def test_alerts_are_committed_and_a_duplicate_is_not_acted_on(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web")
    eventually(lambda: "web" in sidecar.sessions())
    body = group(
        alert(1, session="web", failure="crashed"), alert(1, session="web", failure="crashed"),
        alert(2, alertname="Other"), alert(3, session="web", failure="bored"),
        alert(4, "resolved", session="web"),
    )  # fmt: skip
    status, answer = sidecar.call("POST", "/alerts", body)
    assert status == 202
    assert [one["reason"] for one in answer["alerts"]] == [
        "", "duplicate", "no_session", "unknown_failure", "resolved",
    ]  # fmt: skip
    again = sidecar.call("POST", "/alerts", group(alert(1, session="web", failure="crashed")))[1]
    assert again["alerts"][0]["reason"] == "duplicate"
    eventually(lambda: "sidecar_alerts_pending 0.0" in sidecar.get("/metrics", raw=True))
    assert sidecar.recoveries("web") == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "version"),
        ({"version": "4"}, "alerts"),
        ({"version": "4", "alerts": [{"status": "firing"}]}, "labels"),
        ({"version": "3", "alerts": []}, "version"),
        (group(alert(1, "odd")), "alerts[0].status"),
        (b"null", ""),
    ],
)
def test_malformed_alerts_are_named(service: SidecarBox, body: Any, words: str) -> None:
    status, answer = service.call("POST", "/alerts", body)
    assert status == 400
    assert words in answer["detail"]


def test_a_large_group_is_taken_and_a_huge_one_is_not(sidecar: SidecarBox) -> None:
    large = json.dumps(group(*(alert(n, alertname="x" * 200) for n in range(12_000)))).encode()
    assert 4_000_000 < len(large) < 16_000_000
    status, answer = sidecar.call("POST", "/alerts", large)
    assert (status, len(answer["alerts"])) == (202, 12_000)
    huge = sidecar.call("POST", "/alerts", b" " * 20_000_000)
    assert huge[0] == 413


def test_status_and_recover_on_the_command_line(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web")
    tmux.run("new-session", "-d", "-s", "keep")
    sidecar.stored("web", "keep")

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "sidecar", words[0], "--state", str(sidecar.state), *words[1:]],
            env=tmux.environment, capture_output=True, text=True, timeout=30, check=False,
            cwd=Path(__file__).parent.parent.parent,
        )  # fmt: skip

    shown = command("status")
    assert shown.returncode == 0
    assert "web      healthy" in shown.stdout
    assert command("recover", "web").returncode == 1
    tmux.run("kill-session", "-t", "=web")
    eventually(lambda: "web" not in sidecar.sessions())
    assert "restore_checkpoint" in command("recover", "web", "--dry-run").stdout
    done = command("recover", "web", "--wait")
    assert (done.returncode, "verified" in done.stdout) == (0, True), done.stderr
    sidecar.stop()
    away = command("status")
    assert (away.returncode, away.stderr.splitlines()[0][:8]) == (1, "sidecar:")
