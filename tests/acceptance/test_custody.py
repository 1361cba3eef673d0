"""Release, adopt and explain on a real tmux; and what is on record of it."""

from __future__ import annotations

import os
import signal

from tests.acceptance.test_generations import audit
from tests.acceptance.test_recovery import build, pids
from tests.box import SidecarBox, TmuxBox, eventually


def ready(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    build(tmux, "api")
    sidecar.stored("web", "api")
    eventually(lambda: "failed" in tmux.panes("#{remain-on-exit}"), "armed windows")


def post(sidecar: SidecarBox, session: str, what: str) -> tuple[int, dict[str, object]]:
    return sidecar.call("POST", f"/api/v1/sessions/{session}/{what}", {})


def test_a_released_session_is_left_alone_also_after_a_restart(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    ready(tmux, sidecar)
    status, body = post(sidecar, "web", "release")
    assert (status, body["standing"], body["changed"], body["live"]) == (200, "released", True, True)
    assert post(sidecar, "web", "release")[1]["changed"] is False
    assert tmux.run("show-options", "-wv", "-t", "=web:main", "remain-on-exit", check=False) == ""
    assert eventually(lambda: sidecar.sessions()["web"]["health"]) == "released"
    sidecar.stop()
    sidecar.start()
    assert sidecar.sessions()["web"]["health"] == "released"
    os.kill(int(tmux.show("=web:second", "#{pane_pid}")), signal.SIGKILL)
    tmux.run("kill-session", "-t", "=web")
    os.kill(int(tmux.show("=api:second", "#{pane_pid}")), signal.SIGKILL)
    sidecar.verified("api")
    assert sidecar.recoveries("web") == []
    status, body = sidecar.call("POST", "/recover", {"session": "web"})
    assert (status, body["reason"]) == (409, "released")


def test_a_released_session_stays_so_under_another_name(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    ready(tmux, sidecar)
    post(sidecar, "web", "release")
    tmux.run("rename-session", "-t", "=web", "mine")
    eventually(lambda: sidecar.sessions().get("mine", {}).get("health") == "released", "it is followed")
    assert "web" not in sidecar.sessions()
    sidecar.stop()
    sidecar.start()
    assert sidecar.sessions()["mine"]["health"] == "released"
    assert post(sidecar, "mine", "adopt")[1]["changed"] is True
    eventually(lambda: sidecar.sessions()["mine"]["health"] == "healthy")


def test_an_adopted_session_is_looked_after_again(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    ready(tmux, sidecar)
    assert post(sidecar, "web", "adopt")[1]["changed"] is False
    post(sidecar, "web", "release")
    status, body = post(sidecar, "web", "adopt")
    assert (status, body["standing"], body["changed"]) == (200, "live", True)
    eventually(lambda: sidecar.sessions()["web"]["health"] == "healthy")
    eventually(
        lambda: tmux.run("show-options", "-wv", "-t", "=web:second", "remain-on-exit") == "failed", "armed"
    )
    os.kill(int(tmux.show("=web:second", "#{pane_pid}")), signal.SIGKILL)
    sidecar.verified("web")
    told = [row for row in sidecar.get("/api/v1/audit?session=web")["records"] if row["actor"] == "operator"]
    assert [row["action"] for row in told] == ["session_adopted", "session_released"]


def test_what_cannot_be_released_or_adopted(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    ready(tmux, sidecar)
    assert post(sidecar, "nobody", "release")[0] == 404
    assert post(sidecar, "nobody", "adopt")[0] == 404
    tmux.run("set-option", "-t", "=web:", "@sidecar", "off")
    status, body = post(sidecar, "web", "adopt")
    assert (status, body["reason"]) == (409, "not_managed")
    post(sidecar, "api", "release")
    tmux.run("kill-session", "-t", "=api")
    status, body = post(sidecar, "api", "adopt")
    assert (status, body["live"], body["changed"]) == (200, False, True)
    eventually(lambda: "api" not in sidecar.sessions())


def test_explaining_changes_nothing(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    ready(tmux, sidecar)
    healthy = sidecar.get("/api/v1/sessions/web/explain")
    assert (healthy["health"], healthy["duty"], healthy["failure"]) == ("healthy", "expected", None)
    assert healthy["by_itself"]["reason"] == "healthy"
    sidecar.stop()
    tmux.run("kill-session", "-t", "=web")
    sidecar.start()
    eventually(lambda: sidecar.sessions()["web"]["note"], "it is held")
    before, records = pids(tmux), audit(sidecar)
    incidents = sidecar.get("/api/v1/incidents")
    held = sidecar.get("/api/v1/sessions/web/explain")
    assert (held["failure"], held["unit"], held["live"]) == ("crashed", "session", False)
    assert held["by_itself"]["reason"] == "cause_unknown"
    assert held["on_request"]["steps"] == ["rebuild session"]
    assert audit(sidecar) == records
    status, body = sidecar.call("POST", "/recover", {"session": "web", "dry_run": True})
    assert (status, body["steps"]) == (200, ["rebuild session"])
    (told,) = (row for row in audit(sidecar) if row not in records)
    assert told[4] == "dry_run"
    assert sidecar.get("/api/v1/incidents") == incidents
    assert pids(tmux) == before
    assert sidecar.get("/api/v1/sessions/nobody/explain")["status"] == 404
    sidecar.call("POST", "/recover", {"session": "web"})
    sidecar.verified("web")
    (row,) = sidecar.get("/api/v1/incidents?session=web")["incidents"]
    whole = sidecar.get(f"/api/v1/incidents/{row['id']}")
    assert (whole["incident"]["state"], whole["recoveries"][0]["state"]) == ("recovered", "verified")


def test_explaining_what_was_closed(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    ready(tmux, sidecar)
    tmux.run("kill-session", "-t", "=web")
    eventually(lambda: "web" not in sidecar.sessions(), "it is let go")
    closed = sidecar.get("/api/v1/sessions/web/explain")
    assert (closed["duty"], closed["by_itself"]["reason"]) == ("not_expected", "not_managed")
    assert closed["on_request"]["act"] is True
