"""Silences and holds on a real tmux, with a service that is killed and started again meanwhile."""

from __future__ import annotations

import os
import signal
from typing import Any
from urllib.parse import quote

from sidecar.model.quiet import Matcher
from tests.acceptance.test_notices import Room, room
from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box
from tests.edges.test_notify import alertmanager
from tests.edges.test_silences import silence as silence_there

__all__ = ["alertmanager", "room"]


def audit(sidecar: SidecarBox, session: str, action: str) -> list[dict[str, Any]]:
    query = f"session={quote(session, safe='')}&action={action}"
    rows: list[dict[str, Any]] = sidecar.get(f"/api/v1/audit?{query}")["records"]
    return rows


def silence(sidecar: SidecarBox, name: str, seconds: float, *, hold: bool = False) -> int:
    asked = {"seconds": seconds, "hold": hold, "reason": "the disks"}
    status, body = sidecar.call("POST", f"/api/v1/sessions/{quote(name, safe='')}/silence", asked)
    assert status == 201, body
    return int(body["silence"]["id"])


def kill_pane(tmux: TmuxBox) -> None:
    os.kill(int(tmux.show("=web:", "#{pane_pid}")), signal.SIGKILL)


def test_a_hold_outlives_the_sidecar_and_is_healed_when_it_ends(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "80", "-y", "24", "sleep 5001")
    sidecar.stored("web")
    number = silence(sidecar, "web", 600.0, hold=True)
    sidecar.stop(signal.SIGKILL)
    sidecar.start()
    eventually(lambda: sidecar.sessions()["web"]["held"], "the hold")
    hush = sidecar.sessions()["web"]["quiet"]
    assert (hush["name"], hush["reason"], hush["hold"]) == (str(number), "the disks", True)
    eventually(lambda: "failed" in tmux.panes("#{remain-on-exit}"), "armed windows")
    kill_pane(tmux)
    [refused] = eventually(lambda: audit(sidecar, "web", "refused"), "the refusal")
    assert refused["reason"] == "maintenance"
    assert sidecar.recoveries("web") == []
    body = sidecar.get("/api/v1/sessions/web/explain")
    assert (body["by_itself"]["reason"], body["on_request"]["act"]) == ("maintenance", True)
    assert sidecar.call("DELETE", f"/api/v1/silences/{number}")[0] == 200
    sidecar.verified("web")


def test_a_silence_lets_healing_go_on_and_ends_by_itself(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "80", "-y", "24", "sleep 5001")
    sidecar.stored("web")
    eventually(lambda: "failed" in tmux.panes("#{remain-on-exit}"), "armed windows")
    silence(sidecar, "w*", 600.0)
    brief = silence(sidecar, "nobody-*", 1.0)
    kill_pane(tmux)
    sidecar.verified("web")
    [ended] = eventually(lambda: audit(sidecar, "nobody-*", "silence_ended"), "the end of the other one")
    assert (ended["actor"], ended["reason"], ended["detail"]["silence"]) == ("sidecar", "it is over", brief)
    assert [one["targets"] for one in sidecar.get("/api/v1/silences")["quiet"]] == [["w*"]]
    eventually(
        lambda: 'sidecar_silences{kind="silence"} 1.0' in sidecar.get("/metrics", raw=True), "one is left"
    )
    withheld = 'sidecar_notifications_total{channel="tmux",outcome="silenced"} 1.0'
    eventually(lambda: withheld in sidecar.get("/metrics", raw=True), "a notice that was held back")


def test_what_is_silenced_in_a_real_alertmanager_is_quiet_in_the_chat(
    tmux: TmuxBox, room: Room, alertmanager: str
) -> None:
    config = tmux.folder / "config.yml"
    chat = f"http://127.0.0.1:{room.server_port}/room"
    config.write_text(f"notify: [{{webhook: '{chat}'}}, {{alertmanager: '{alertmanager}'}}]\n")
    number = silence_there(alertmanager, Matcher("session", "w.*", regex=True))
    for name in ("web", "api"):
        tmux.run("new-session", "-d", "-s", name, "-x", "80", "-y", "24", "sleep 5001")
    with sidecar_box(tmux, "--config", str(config)) as sidecar:
        sidecar.stored("web", "api")
        [there] = eventually(lambda: sidecar.get("/api/v1/silences")["quiet"], "what is silenced there")
        assert (there["kind"], there["name"], there["targets"]) == ("alertmanager", number, ["session=~w.*"])
        for name in ("web", "api"):
            os.kill(int(tmux.show(f"={name}:", "#{pane_pid}")), signal.SIGKILL)
            sidecar.verified(name)
        [said] = eventually(lambda: room.said, "the notice of the other session")
        assert "api is back" in said["text"]
        silenced = 'sidecar_notifications_total{channel="webhook",outcome="silenced"} 1.0'
        eventually(lambda: silenced in sidecar.get("/metrics", raw=True), "the notice that was held back")
        assert len(room.said) == 1
