"""Heals with a running service: on a real disk, of a real process, and through a kill -9 in their middle."""

from __future__ import annotations

import os
import sys
from typing import Any

from sidecar.edges import process
from tests.acceptance.test_checks import configure, passes
from tests.acceptance.test_killed import kill_when
from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box
from tests.heals.bench import heard, listening

QUICK = {"interval": "1s", "retry_interval": "100ms", "timeout": "800ms", "after": 1}
LONG_AGO = 1_000_000_000


def fails_while(condition: str) -> dict[str, Any]:
    return {"command": ["/bin/sh", "-c", f"! {condition}"]}


def said(sidecar: SidecarBox, subject: str) -> list[str]:
    """What the steps of the newest recovery have done."""
    row = sidecar.verified(subject)
    return [step["said"] for step in sidecar.get(f"/api/v1/recoveries/{row['id']}")["recovery"]["steps"]]


def test_a_folder_that_fills_up_is_emptied_of_what_is_old(tmux: TmuxBox) -> None:
    logs, made = tmux.folder / "logs", tmux.folder / "made"
    made.mkdir()
    for number in range(6):
        (made / f"{number}.log").touch()
        os.utime(made / f"{number}.log", (LONG_AGO, LONG_AGO))
    (made / "fresh.log").touch()
    (made / "link.log").symlink_to("fresh.log")
    heal = {"delete": {"folder": str(logs), "match": "*.log", "older": "1h", "keep": 1}}
    check = {"name": "room", **fails_while(f"[ -e {logs}/5.log ]"), **QUICK, "heal": heal}
    with sidecar_box(tmux, *configure(tmux, check)) as sidecar:
        passes(sidecar, "room")
        made.rename(logs)
        (words,) = said(sidecar, "check:room")
        assert words.startswith("deleted 6 files in")
        assert sorted(each.name for each in logs.iterdir()) == ["fresh.log", "link.log"]
        rows = sidecar.get("/api/v1/audit?action=step_ended")["records"]
        assert any("deleted 6 files" in str(row["detail"]) for row in rows)


def test_a_process_is_told_to_read_its_configuration_again(tmux: TmuxBox) -> None:
    with listening("--serve", str(tmux.folder)) as program:
        pidfile, bad = tmux.folder / "program.pid", tmux.folder / "bad"
        pidfile.write_text(f"{program.pid}\n")
        heal = {"signal": {"pidfile": str(pidfile), "expect": "--serve", "signal": "HUP"}}
        check = {"name": "fresh", **fails_while(f"[ -e {bad} ]"), **QUICK, "heal": heal}
        with sidecar_box(tmux, *configure(tmux, check)) as sidecar:
            passes(sidecar, "fresh")
            bad.touch()
            assert heard(program) == "SIGHUP"
            bad.unlink()
            assert said(sidecar, "check:fresh")[0].startswith(f"sent SIGHUP to process {program.pid} (")


HEAL = """
import os, sys, time
folder = sys.argv[1]
with open(folder + "/runs", "a") as file:
    file.write(f"{os.getpid()} {os.environ['SIDECAR_AGAIN']}\\n")
if not os.environ["SIDECAR_AGAIN"]:
    time.sleep(1001)
os.unlink(folder + "/bad")
"""


def test_a_command_that_a_kill_has_cut_off_is_ended_and_run_again(tmux: TmuxBox) -> None:
    program, runs, bad = (tmux.folder / name for name in ("heal.py", "runs", "bad"))
    program.write_text(HEAL)
    heal = {"command": [sys.executable, str(program), str(tmux.folder)]}
    check = {"name": "good", **fails_while(f"[ -e {bad} ]"), **QUICK, "heal": heal}
    with sidecar_box(tmux, *configure(tmux, check)) as sidecar:
        passes(sidecar, "good")
        bad.touch()
        eventually(lambda: runs.exists() and runs.read_text().endswith("\n"), "the first run")
        kill_when(sidecar, "SELECT 1 FROM steps WHERE kind = 'heal' AND state = 'begun'")
        first = int(runs.read_text().split()[0])
        assert process.state(first) is not None
        sidecar.start()
        row = sidecar.verified("check:good")
        assert (row["resumed"], row["transaction_outcome"]) == (1, "committed")
        assert [line.split()[1:] for line in runs.read_text().splitlines()] == [[], ["1"]]
        eventually(lambda: process.state(first) is None, "the end of the first run")
        assert len(sidecar.recoveries("check:good")) == 1


def test_the_sidecar_itself_is_never_signalled(tmux: TmuxBox) -> None:
    pidfile, bad = tmux.folder / "sidecar.pid", tmux.folder / "bad"
    heal = {"signal": {"pidfile": str(pidfile), "expect": "sidecar", "signal": "TERM"}}
    check = {"name": "good", **fails_while(f"[ -e {bad} ]"), **QUICK, "tries": 1, "heal": heal}
    with sidecar_box(tmux, *configure(tmux, check)) as sidecar:
        passes(sidecar, "good")
        assert sidecar.process is not None
        pidfile.write_text(str(sidecar.process.pid))
        bad.touch()
        rows = eventually(lambda: [r for r in sidecar.recoveries("check:good") if r["state"] == "failed"])
        assert "is the sidecar itself, which is never signalled" in rows[0]["verdict"]
        assert sidecar.process.poll() is None


def test_long_scrollback_is_cleared_and_comes_back_from_its_checkpoint(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "80", "-y", "24", "seq 1500; exec sleep 1001")
    eventually(lambda: int(tmux.show("=web:", "#{history_size}")) > 1400, "the scrollback")
    bad = tmux.folder / "bad"
    heal = {"trim_history": {"session": "web", "lines": 1000}}
    check = {"name": "memory", **fails_while(f"[ -e {bad} ]"), **QUICK, "heal": heal}
    with sidecar_box(tmux, *configure(tmux, check)) as sidecar:
        passes(sidecar, "memory")
        sidecar.stored("web")
        pid = tmux.show("=web:", "#{pane_pid}")
        bad.touch()
        eventually(lambda: tmux.show("=web:", "#{history_size}") == "0", "an empty history")
        bad.unlink()
        assert said(sidecar, "check:memory")[0].startswith("cleared the history of 1 pane (")
        assert tmux.show("=web:", "#{pane_pid}") == pid
        rows = sidecar.get("/api/v1/checkpoints?session=web&good=true")["checkpoints"]
        # Where nothing had changed since the last one, that one has the text.
        full = next((row for row in rows if row["operation"] == "before_recovery"), rows[-1])
        status, body = sidecar.call("POST", f"/api/v1/checkpoints/{full['id']}/restore", {"as": "old"})
        assert status == 202, body
        shown = ("capture-pane", "-p", "-S", "-", "-t", "=old:")
        eventually(lambda: {"100", "1499"} <= set(tmux.run(*shown, check=False).split()), "its scrollback")
