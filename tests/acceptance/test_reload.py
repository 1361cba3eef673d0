"""A running service takes up a changed configuration as a whole, or not at all."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box

GOOD = "config_last_reload_successful"


def gauge(sidecar: SidecarBox, name: str) -> float:
    page = sidecar.get("/metrics", raw=True)
    return next(float(line.split()[1]) for line in page.splitlines() if line.startswith(f"sidecar_{name} "))


def said(sidecar: SidecarBox, action: str) -> list[dict[str, object]]:
    return [line for line in sidecar.actions() if line["action"] == action]


def configured(tmux: TmuxBox, text: str) -> Path:
    file = tmux.folder / "config.yml"
    file.write_text(text)
    return file


def test_hanging_up_reloads_and_a_bad_file_changes_nothing(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 5000")
    tmux.run("new-session", "-d", "-s", "api", "sleep 5001")
    file = configured(tmux, "sessions: {manage: [web]}\n")
    with sidecar_box(tmux, "--config", str(file)) as sidecar:
        sidecar.stored("web")
        assert sidecar.process is not None
        file.write_text("sessions: {manage: [web, api]}\nhttp: {listen: '127.0.0.1:1'}\n")
        sidecar.process.send_signal(signal.SIGHUP)
        sidecar.stored("web", "api")
        (reloaded,) = said(sidecar, "config_reloaded")
        assert reloaded["changed"] == ["sessions"]
        assert gauge(sidecar, GOOD) == 1

        file.write_text("sessions: {manage: [], manag: []}\n")
        sidecar.process.send_signal(signal.SIGHUP)
        (refused,) = eventually(lambda: said(sidecar, "config_refused"), "a refusal")
        assert f"{file}:1: sessions.manag" in str(refused["faults"])
        eventually(lambda: gauge(sidecar, GOOD) == 0, "the gauge")
        assert sidecar.get("/api/v1/sessions")["config_good"] is False
        assert set(sidecar.sessions()) == {"web", "api"}

        status, problem = sidecar.call("POST", "/-/reload")
        assert (status, problem["faults"][0]["key"]) == (400, "sessions.manag")
        file.write_text("sessions: {manage: [api]}\n")
        assert sidecar.call("POST", "/-/reload") == (200, {"reloaded": True})
        eventually(lambda: set(sidecar.sessions()) == {"api"}, "web is let go")
        assert gauge(sidecar, GOOD) == 1
        assert sidecar.stop() == 0


def test_reloading_into_observe_mode_keeps_its_hands_off(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 5000")
    tmux.run("new-window", "-d", "-t", "=web:", "sleep 5001")
    file = configured(tmux, "")
    remains = "#{remain-on-exit}#{@sidecar_armed}"
    with sidecar_box(tmux, "--config", str(file)) as sidecar:
        sidecar.stored("web")
        eventually(lambda: set(tmux.panes(remains)) == {"failed1"}, "armed windows")
        file.write_text("recovery: {mode: observe}\n")
        assert sidecar.call("POST", "/-/reload")[0] == 200
        eventually(lambda: set(tmux.panes(remains)) == {"off"}, "windows as they were")
        os.kill(tmux.server_pid(), signal.SIGKILL)
        eventually(lambda: "observe mode" in sidecar.sessions()["web"]["note"], "a note")
        file.write_text("")
        assert sidecar.call("POST", "/-/reload")[0] == 200
        assert sidecar.verified("web")["strategy"] == "restore_checkpoint"


def test_a_start_that_finds_a_broken_file_goes_on_with_the_last_good_one(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 5000")
    tmux.run("new-session", "-d", "-s", "api", "sleep 5001")
    file = configured(tmux, "sessions: {manage: [web]}\n")
    with sidecar_box(tmux, "--config", str(file)) as sidecar:
        sidecar.stored("web")
        assert sidecar.process is not None
        sidecar.stop(signal.SIGKILL)
        file.write_text("sessions: {manage: [web, ap")
        sidecar.start()
        assert set(sidecar.sessions()) == {"web"}
        assert sidecar.get("/api/v1/sessions")["config_good"] is False
        assert gauge(sidecar, GOOD) == 0
        (line,) = said(sidecar, "config_fell_back")
        assert (line["level"], str(file) in str(line["faults"])) == ("error", True)
        (row,) = sidecar.get("/api/v1/audit?action=config_fell_back")["records"]
        assert row["detail"]["faults"][0]["file"] == str(file)
        os.kill(tmux.server_pid(), signal.SIGKILL)
        sidecar.verified("web")
        # Mended, it is taken up as ever.
        file.write_text("sessions: {manage: [web, api]}\n")
        assert sidecar.call("POST", "/-/reload") == (200, {"reloaded": True})
        assert gauge(sidecar, GOOD) == 1


def test_a_strict_start_takes_no_other_file(tmux: TmuxBox) -> None:
    file = configured(tmux, "")
    with sidecar_box(tmux, "--config", str(file), "--strict-config") as sidecar:
        sidecar.stop()
        file.write_text("[")
        sidecar.start(ready=False)
        assert sidecar.process is not None
        assert sidecar.process.wait(30) == 1
        assert f"{file}:1: is not YAML" in sidecar.log.read_text()
