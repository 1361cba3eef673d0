"""Programs under supervision on the real thing: each policy, their order, their end, and a crash of ours."""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box
from tests.probes.servers import unused_port

PUPPET = "import os, sys; open(sys.argv[1], 'w').close(); os._exit(int(open(sys.argv[2]).read()))"
"""Ends with the status that is written into a pipe."""
PATIENCE = 30.0


class Puppets:
    """Programs that end when and as they are told."""

    def __init__(self, tmux: TmuxBox) -> None:
        self._folder = tmux.folder

    def argv(self, name: str) -> tuple[str, ...]:
        pipe = self._folder / f"{name}.pipe"
        if not pipe.exists():
            os.mkfifo(pipe)
        return (sys.executable, "-c", PUPPET, str(self._folder / f"{name}.runs"), str(pipe))

    def end(self, name: str, status: int) -> None:
        """Have it end by itself; waits until it reads."""
        with (self._folder / f"{name}.pipe").open("w") as pipe:
            pipe.write(str(status))


@contextmanager
def service(tmux: TmuxBox, rules: list[dict[str, Any]], **more: Any) -> Iterator[SidecarBox]:
    file = tmux.folder / "config.yml"
    file.write_text(json.dumps({"programs": rules, "notify": [{"tmux": False}], **more}))
    with sidecar_box(tmux, "--config", str(file)) as sidecar:
        yield sidecar


def programs(sidecar: SidecarBox) -> dict[str, dict[str, Any]]:
    return {one["rule"]: one for row in sidecar.sessions().values() for one in row["programs"]}


def runs(sidecar: SidecarBox, *names: str) -> None:
    eventually(lambda: all(programs(sidecar).get(name, {}).get("pid") for name in names), f"{names}")


def back(sidecar: SidecarBox, name: str, pid: int) -> int:
    """Wait until another process of it runs than this one."""

    def another() -> int:
        now = int(programs(sidecar).get(name, {}).get("pid") or 0)
        return 0 if now == pid else now

    return int(eventually(another, f"{name} again", PATIENCE))


def alive(pane: str, tmux: TmuxBox) -> bool:
    return any(line == f"{pane} 0" for line in tmux.panes("#{pane_id} #{pane_dead}"))


def kept_by_us(tmux: TmuxBox, pane: str) -> bool:
    return tmux.run("show-options", "-pqv", "-t", pane, "@sidecar_kept") == "1"


def refused(sidecar: SidecarBox, reason: str) -> bool:
    return any(line["action"] == "refused" and line["reason"] == reason for line in sidecar.actions())


def test_each_policy_with_each_way_to_end(tmux: TmuxBox) -> None:
    puppets = Puppets(tmux)
    names = ("always", "onfail", "never", "closed")
    tmux.run("new-session", "-d", "-s", "p", "-n", "shell", "-x", "200", "-y", "50")
    panes = {
        name: tmux.run("new-window", "-dP", "-t", "=p:", "-n", name, "-F", "#{pane_id}", *puppets.argv(name))
        for name in names
    }
    rules: list[dict[str, Any]] = [
        {"session": "p", "name": "always", "window": "always", "restart": "always", "expected_exits": [3]},
        {"session": "p", "name": "onfail", "window": "onfail"},
        {"session": "p", "name": "never", "window": "never", "restart": "never"},
        {"session": "p", "name": "closed", "window": "closed", "restart": "always"},
    ]
    with service(tmux, rules) as sidecar:
        runs(sidecar, *names)
        kept = [panes["always"], panes["closed"]]
        eventually(
            lambda: tmux.run("show-options", "-pqv", "-t", kept[1], "@sidecar_kept") == "1", "kept panes"
        )

        # Well, badly, and by a signal: always comes back, in the same pane.
        for end in (0, 1, -signal.SIGKILL, -signal.SIGTERM):
            pid = programs(sidecar)["always"]["pid"]
            if end < 0:
                os.kill(pid, -end)
            else:
                puppets.end("always", end)
            back(sidecar, "always", pid)
        assert alive(panes["always"], tmux)
        puppets.end("always", 3)
        eventually(
            lambda: panes["always"] not in tmux.panes("#{pane_id}"), "a pane whose work is done is closed"
        )

        # Only what failed.
        pid = programs(sidecar)["onfail"]["pid"]
        os.kill(pid, signal.SIGKILL)
        pid = back(sidecar, "onfail", pid)
        puppets.end("onfail", 1)
        back(sidecar, "onfail", pid)
        puppets.end("onfail", 0)
        eventually(
            lambda: panes["onfail"] not in tmux.panes("#{pane_id}"), "a pane that ended well is closed"
        )

        # Never, and it is told.
        os.kill(programs(sidecar)["never"]["pid"], signal.SIGKILL)
        eventually(lambda: programs(sidecar)["never"]["state"] == "stopped", "it stays")
        eventually(lambda: refused(sidecar, "restart_policy"), "the reason")
        assert not alive(panes["never"], tmux)

        # What a person closes stays closed, also where it is always started again.
        tmux.run("kill-pane", "-t", panes["closed"])
        eventually(lambda: "closed" not in programs(sidecar), "it is gone")
        assert [one["strategy"] for one in sidecar.recoveries("p")] == ["respawn_pane"] * 6
        sidecar.stop()
        assert not kept_by_us(tmux, panes["never"])


def test_what_comes_after_another_is_started_once_that_is_well(tmux: TmuxBox) -> None:
    port, puppets = unused_port(), Puppets(tmux)
    gate = tmux.folder / "gate"
    answers = (
        "import http.server, os, sys, threading\n"
        "class Quiet(http.server.SimpleHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200 if os.path.exists(sys.argv[2]) else 503); self.end_headers()\n"
        "http.server.ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Quiet).serve_forever()\n"
    )
    tmux.run(
        "new-session", "-d", "-s", "shop", "-n", "db", sys.executable, "-c", answers, str(port), str(gate)
    )
    for name in ("api", "worker"):
        tmux.run("new-window", "-d", "-t", "=shop:", "-n", name, *puppets.argv(name))
    gate.touch()
    rules = [
        {"session": "shop", "name": "db", "window": "db", "restart": "always", "start_grace": "300ms"},
        {"session": "shop", "name": "api", "window": "api", "start_grace": "300ms", "after": ["db"]},
        {"session": "shop", "name": "worker", "window": "worker", "after": ["shop:api.0", "db"]},
    ]
    heartbeat = {
        "session": "shop", "window": "db", "name": "db", "http": f"http://127.0.0.1:{port}/", "grace": "0s",
        "interval": "1s", "retry_interval": "100ms", "timeout": "500ms",
    }  # fmt: skip
    with service(tmux, rules, heartbeats=[heartbeat]) as sidecar:
        runs(sidecar, "db", "api", "worker")
        before = {name: one["pid"] for name, one in programs(sidecar).items()}
        gate.unlink()
        for name in ("worker", "api", "db"):
            os.kill(before[name], signal.SIGKILL)
        back(sidecar, "db", before["db"])
        waits = "db (shop:0.0) does not answer the heartbeat db"
        eventually(lambda: programs(sidecar)["api"]["waits_for"] == [waits], "it waits", PATIENCE)
        assert programs(sidecar)["worker"]["state"] == "waiting"
        assert [programs(sidecar)[name]["restarts"] for name in ("api", "worker")] == [0, 0]
        gate.touch()
        back(sidecar, "worker", before["worker"])
        rows = [one for one in sidecar.recoveries("shop")[::-1] if one["state"] == "verified"]
        origins = [sidecar.get(f"/api/v1/incidents/{one['incident']}")["incident"]["origin"] for one in rows]
        assert [origin.split()[1] for origin in origins] == ["db", "api", "worker"]
        counted = ("api", "worker")
        eventually(lambda: [programs(sidecar)[one]["restarts"] for one in counted] == [1, 1], "counts")


TRAPS = """
import signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
def leave(*_):
    if sys.argv[3] == "heeds":
        open(sys.argv[1], "a").write("asked\\n")
        sys.exit(0)
signal.signal(signal.SIGQUIT, leave)
open(sys.argv[1], "a").write("began\\n")
open(sys.argv[2], "w").close()
time.sleep(1001)
"""


@pytest.mark.parametrize("how", ["heeds", "ignores"])
def test_it_is_ended_as_it_wants_to_be(tmux: TmuxBox, how: str) -> None:
    notes, well = tmux.folder / "notes", tmux.folder / "well"
    tmux.run("new-session", "-d", "-s", "w", sys.executable, "-c", TRAPS, str(notes), str(well), how)
    pane = tmux.panes("#{pane_id}")[0]
    stop = {"signal": "QUIT", "timeout": "10s" if how == "heeds" else "300ms"}
    rules = [{"session": "w", "name": "w", "restart": "on-failure", "stop": stop}]
    beats = {
        "session": "w", "command": ["test", "-e", str(well)], "interval": "1s", "retry_interval": "100ms",
        "timeout": "500ms", "grace": "0s", "after": 2, "may": ["respawn"],
    }  # fmt: skip
    eventually(well.exists, "its begin")
    with service(tmux, rules, heartbeats=[beats]) as sidecar:
        runs(sidecar, "w")
        well.unlink()
        row = sidecar.verified("w")
        steps = sidecar.get(f"/api/v1/recoveries/{row['id']}")["recovery"]["steps"]
        assert [(step["kind"], step["state"]) for step in steps] == [
            ("save", "done"), ("end", "done"), ("respawn_pane", "done"),
        ]  # fmt: skip
        assert notes.read_text().split() == ["began", *(["asked"] if how == "heeds" else []), "began"]
        assert alive(pane, tmux)


def test_a_crash_of_ours_forgets_nothing(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "loop", "-n", "good", "sleep 1001")
    tmux.run("new-window", "-d", "-t", "=loop:", "-n", "bad", "sleep 1002")
    fails = [sys.executable, "-c", "raise SystemExit(7)"]
    rules = [
        {"session": "loop", "name": "bad", "window": "bad", "run": fails, "intensity": "3 per 10m"},
        {"session": "loop", "name": "good", "window": "good"},
    ]
    with service(tmux, rules) as sidecar:
        runs(sidecar, "bad", "good")
        os.kill(programs(sidecar)["bad"]["pid"], signal.SIGKILL)
        eventually(lambda: sidecar.recoveries("loop"), "a restart")
        sidecar.stop(signal.SIGKILL)
        sidecar.start()
        eventually(lambda: programs(sidecar).get("bad", {}).get("state") == "given_up", "given up", PATIENCE)
        assert programs(sidecar)["bad"]["restarts"] == 3
        assert len(sidecar.recoveries("loop")) == 3
        eventually(lambda: sidecar.sessions()["loop"]["health"] == "given_up", "its health")
        # A healthy sibling is as well off as before, and its own restart is not refused.
        pid = programs(sidecar)["good"]["pid"]
        os.kill(pid, signal.SIGKILL)
        back(sidecar, "good", pid)
        sidecar.stop(signal.SIGKILL)
        sidecar.start()
        eventually(lambda: programs(sidecar).get("bad", {}).get("state") == "given_up", "still given up")
        assert len(sidecar.recoveries("loop")) == 4
        page = sidecar.get("/metrics", raw=True)
        assert 'sidecar_programs{state="given_up"} 1.0' in page


def test_a_program_in_a_shell_is_typed_until_a_person_stops_it(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "s", "-x", "200", "-y", "50", "bash --norc")
    pane = tmux.panes("#{pane_id}")[0]
    argv = ["sleep", "1003"]
    with service(tmux, [{"session": "s", "name": "sleeper", "run": argv, "restart": "always"}]) as sidecar:
        runs(sidecar, "sleeper")
        pid = programs(sidecar)["sleeper"]["pid"]
        assert Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1] == argv
        os.kill(pid, signal.SIGTERM)
        back(sidecar, "sleeper", pid)
        tmux.run("send-keys", "-t", pane, "C-c")
        eventually(lambda: programs(sidecar)["sleeper"]["state"] == "stopped", "it stays")
        assert [one["strategy"] for one in sidecar.recoveries("s")] == ["resume_program"] * 2
        # Ctrl-D closes the shell, and nobody brings it back.
        tmux.run("new-session", "-d", "-s", "keeps", "sleep 1004")
        tmux.run("send-keys", "-t", pane, "C-d")
        eventually(lambda: "s" not in tmux.sessions(), "the end of the shell")
        eventually(lambda: "s" not in sidecar.sessions(), "it is let go")
        assert len(sidecar.recoveries("s")) == 2


def test_the_last_words_of_a_program_stay_in_its_history(tmux: TmuxBox) -> None:
    words = "import time; print('WHY IT DIED', flush=True); time.sleep(1005)"
    tmux.run("new-session", "-d", "-s", "v", shlex.join([sys.executable, "-c", words]))
    pane = tmux.panes("#{pane_id}")[0]
    with service(tmux, [{"session": "v", "name": "v"}]) as sidecar:
        runs(sidecar, "v")
        eventually(lambda: "WHY IT DIED" in tmux.run("capture-pane", "-p", "-t", pane), "its words")
        pid = programs(sidecar)["v"]["pid"]
        os.kill(pid, signal.SIGKILL)
        back(sidecar, "v", pid)
        eventually(lambda: "WHY IT DIED" in tmux.run("capture-pane", "-p", "-t", pane), "its words again")
        assert tmux.run("capture-pane", "-p", "-S", "-", "-t", pane).count("WHY IT DIED") == 2


def test_a_critical_process_that_is_missing_is_told_once(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "c", "-x", "200", "-y", "50", "bash --norc")
    tmux.run("send-keys", "-t", "=c:", "sleep 1006", "Enter")
    overrides = {"c": {"critical_processes": ["^sleep 1006$", "bash"]}}
    with service(tmux, [], sessions={"overrides": overrides}) as sidecar:
        sidecar.stored("c")
        assert sidecar.sessions()["c"]["health"] == "healthy"
        tmux.run("send-keys", "-t", "=c:", "C-c")
        gone = "^sleep 1006$"
        eventually(lambda: tmux.show("=c:", "#{pane_current_command}") == "bash", "its end")
        # What happens in tmux has it looked at sooner than by the clock.
        tmux.run("new-window", "-d", "-t", "=c:", "sleep 1007")
        incident = eventually(
            lambda: sidecar.get("/api/v1/incidents")["incidents"], "it is missed", PATIENCE
        )[0]
        assert (incident["failure"], incident["cause"]) == ("unhealthy", "process_missing")
        assert [fact["fact"] for fact in incident["evidence"]] == [
            f"no process of the session matches {gone!r}"
        ]
        eventually(lambda: refused(sidecar, "report_only"), "nothing is done")
        eventually(lambda: sidecar.sessions()["c"]["health"] == "crashed", "its health")
        tmux.run("new-window", "-d", "-t", "=c:", "sleep 1006")
        eventually(lambda: sidecar.sessions()["c"]["health"] == "healthy", "it is there again", PATIENCE)
        assert sidecar.recoveries("c") == []
