"""Strategies of one's own on a real tmux, with a real sidecar, whatever they do."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box
from tests.guestbook import example, on_path, package

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "restart-notebook"
NOTEBOOK = """
import os, sys, time
if os.path.exists("notebook.lock"):
    sys.exit("another server works in this folder")
open("notebook.lock", "w").close()
time.sleep(100000)
"""
KIT = """
HERE = os.path.dirname(__file__)
def note(context, word):
    with open(f"{HERE}/trail", "a") as trail:
        trail.write(f"{word}\\n")
def trail():
    return open(f"{HERE}/trail").read().split()
def revive(context):
    note(context, "revive")
    context.pane.cmd("respawn-pane")
def retype(context):
    note(context, "retype")
    context.pane.send_keys(" ".join(context.finding.parts[0].argv), enter=True)
def first(context):
    note(context, "first")
def back(context):
    note(context, "back")
def kit(do, **more):
    about = dict(idempotent=True, nothing_to_undo="tests") | more
    before = Step("first", first, undo=back, idempotent=True, by_hand=("tidy {session} up",))
    return Strategy(("crashed",), ("pane", "program"), (before, Step("second", do, **about)))
"""
CONFIG = """
recovery:
  retry: {{max_attempts: 2, initial_delay: 10ms, max_delay: 20ms}}
  ladders:
    crashed: [{ladder}]
"""


@contextmanager
def with_ladder(
    tmux: TmuxBox, ladder: str = "'custom:kit'", *arguments: str, start: bool = True
) -> Iterator[SidecarBox]:
    file = tmux.folder / "config.yml"
    file.write_text(CONFIG.format(ladder=ladder))
    with sidecar_box(tmux, "--config", str(file), *arguments, start=start) as box:
        yield box


@pytest.fixture
def kit(tmux: TmuxBox, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder for packages that the sidecar finds."""
    folder = tmux.folder / "kit"
    folder.mkdir()
    on_path(folder, monkeypatch)
    return folder


def trail(folder: Path) -> list[str]:
    file = folder / "trail"
    return file.read_text().split() if file.exists() else []


def build(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "200", "-y", "50", "sleep 5001")
    tmux.run("split-window", "-t", "=web:", "sleep 5002")


def injure(tmux: TmuxBox) -> None:
    """Kill the process of the second pane."""
    (pid,) = (line.split()[0] for line in tmux.panes("#{pane_pid} #{pane_start_command}") if "5002" in line)
    os.kill(int(pid), signal.SIGKILL)


def ended(sidecar: SidecarBox, count: int = 1) -> list[dict[str, Any]]:
    """So many recoveries that have ended, oldest first, with their steps."""

    def those() -> list[dict[str, Any]]:
        rows = [row for row in sidecar.recoveries("web") if row["state"] != "running"]
        return rows if len(rows) >= count else []

    rows = eventually(those, f"{count} recoveries")
    return [sidecar.get(f"/api/v1/recoveries/{row['id']}") for row in reversed(rows)]


def states(row: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(step["phase"], step["kind"], step["state"]) for step in row["recovery"]["steps"]]


def test_the_example_heals_what_the_sidecar_cannot(
    tmux: TmuxBox, kit: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example(kit, EXAMPLE)
    lock = tmp_path / "notebook.lock"
    (tmp_path / "notebook.py").write_text(NOTEBOOK)
    (ladder,) = re.findall(r"crashed: \[(.*)\]", (EXAMPLE / "README.md").read_text())
    tmux.run("new-session", "-d", "-s", "web", "-c", str(tmp_path), "-x", "200", "-y", "50", "sh")
    tmux.run("split-window", "-t", "=web:", "sleep 5002")
    tmux.run("send-keys", "-t", "%0", "python3 notebook.py", "Enter")
    eventually(lock.exists, "the server")
    with with_ladder(tmux, ladder) as sidecar:
        sidecar.stored("web")
        eventually(lambda: tmux.show("%0", "#{pane_current_command}").startswith("python"), "the program")
        before = lock.stat().st_ino
        shell, sibling = tmux.show("%0", "#{pane_pid}"), tmux.show("%1", "#{pane_pid}")
        (server,) = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
        os.kill(int(server), signal.SIGKILL)
        row = sidecar.verified("web")
        assert row["strategy"] == "custom:notebook"
        assert lock.stat().st_ino != before
        assert (tmp_path / "notebook.lock.aside").exists()
        assert tmux.show("%1", "#{pane_pid}") == sibling
        said = [one for one in sidecar.actions() if one["action"] == "strategy_said"]
        assert [(one["session"], one["words"]) for one in said] == [("web", f"{lock} is put aside")]
        assert 'sidecar_recoveries_total{failure="crashed",outcome="verified",strategy="custom"} 1.0' in (
            sidecar.get("/metrics", raw=True)
        )
        assert not list((sidecar.state / "extensions").iterdir())
        assert "custom:notebook" in {one["name"] for one in sidecar.get("/api/v1/circuits")["circuits"]}


@pytest.mark.parametrize(
    ("do", "outcome", "words", "second"),
    [
        ("raise ValueError('no such luck')", "compensated", "ValueError: no such luck", ["failed"] * 2),
        ("raise GiveUp('there is no way')", "compensated", "there is no way", ["refused"]),
        ("time.sleep(1000)", "compensated", "did not end within 3 s and was cut off", ["failed"] * 2),
        ("os.kill(os.getpid(), signal.SIGKILL)", "compensated", "ended its process (-9)", ["failed"] * 2),
        ("return {'status': 'ok'}", "compensated", "returned {'status': 'ok'}; it returns", ["refused"]),
        ("pass", "failed", "a living process other than", ["done"]),
    ],
)
def test_what_goes_wrong_in_a_step_is_taken_back(
    tmux: TmuxBox, kit: Path, do: str, outcome: str, words: str, second: list[str]
) -> None:
    limit = 3 if "sleep" in do else 30
    package(kit, f"{KIT}\ndef do(context):\n    {do}\nstrategy = kit(do, seconds={limit})\n")
    build(tmux)
    with with_ladder(tmux) as sidecar:
        sidecar.stored("web")
        sibling = tmux.show("%0", "#{pane_pid}")
        injure(tmux)
        row = ended(sidecar)[0]
        recovery = row["recovery"]
        assert (recovery["strategy"], recovery["state"]) == ("custom:kit", outcome)
        assert words in recovery["verdict"]
        undone = [("undo", "custom_step", "done")] if outcome == "compensated" else []
        assert states(row) == [
            ("do", "save", "done"),
            ("do", "custom_step", "done"),
            *(("do", "custom_final", state) for state in second),
            *undone,
        ]
        assert trail(kit)[:2] == (["first", "back"] if undone else ["first"])[:2]
        assert tmux.show("%0", "#{pane_pid}") == sibling
        failed = f'failure="crashed",outcome="{outcome}",strategy="custom"'
        assert f"sidecar_recoveries_total{{{failed}}}" in sidecar.get("/metrics", raw=True)
        assert sidecar.get("/-/healthy", raw=True)


def test_what_cannot_be_taken_back_is_left_to_a_person(tmux: TmuxBox, kit: Path) -> None:
    code = KIT.replace('note(context, "back")', 'note(context, "back"); raise OSError("stuck")')
    package(kit, f"{code}\ndef do(context):\n    1 / 0\nstrategy = kit(do)\n")
    build(tmux)
    with with_ladder(tmux) as sidecar:
        sidecar.stored("web")
        injure(tmux)
        row = ended(sidecar)[0]
        assert (row["recovery"]["state"], row["recovery"]["commands"]) == ("stuck", ["tidy web up"])
        assert states(row)[-2:] == [("undo", "custom_step", "failed")] * 2
        assert trail(kit) == ["first", "back", "back"]
        assert "OSError: stuck" in row["recovery"]["steps"][-1]["error"]


def test_the_next_rung_is_tried_when_it_fails(tmux: TmuxBox, kit: Path) -> None:
    package(kit, f"{KIT}\ndef do(context):\n    1 / 0\nstrategy = kit(do)\n")
    build(tmux)
    with with_ladder(tmux, "'custom:kit', respawn_pane") as sidecar:
        sidecar.stored("web")
        injure(tmux)
        assert sidecar.verified("web")["strategy"] == "respawn_pane"
        assert [row["strategy"] for row in sidecar.recoveries("web")] == ["respawn_pane", "custom:kit"]


def test_one_that_kills_the_server_has_failed_and_the_sidecar_heals_it(tmux: TmuxBox, kit: Path) -> None:
    code = "\ndef do(context):\n    note(context, 'kill')\n    context.server.kill()\nstrategy = kit(do)\n"
    package(kit, KIT + code)
    build(tmux)
    with with_ladder(tmux, "'custom:kit', restore_checkpoint") as sidecar:
        sidecar.stored("web")
        injure(tmux)
        assert ended(sidecar)[0]["recovery"]["state"] == "failed"
        status, body = sidecar.call("POST", "/recover", {"session": "web"})
        assert status == 202, body
        eventually(lambda: tmux.sessions() == {"web"}, "the session")
        eventually(lambda: sidecar.sessions()["web"]["health"] == "healthy", "its health")


def test_its_circuit_opens_and_can_be_reset(tmux: TmuxBox, kit: Path) -> None:
    package(kit, f"{KIT}\ndef do(context):\n    1 / 0\nstrategy = kit(do)\n")
    build(tmux)
    ladder = "{strategy: 'custom:kit', circuit: {failure_threshold: 1}}"
    with with_ladder(tmux, ladder) as sidecar:
        sidecar.stored("web")
        injure(tmux)
        ended(sidecar)
        body = {"session": "web", "strategy": "custom:kit"}
        refused = eventually(
            lambda: (found := sidecar.call("POST", "/recover", body)) and found[0] == 409 and found,
            "a refusal",
        )
        assert "custom:kit:web has failed too often" in refused[1]["detail"]
        status, body = sidecar.call("POST", "/api/v1/circuits/custom:kit:web/reset", {})
        assert (status, body["circuit"]["state"]) == (200, "closed")


def end_program(tmux: TmuxBox) -> None:
    """Kill what was typed into the shell of a pane, as nobody who means it does."""
    shell = tmux.show("=typed:", "#{pane_pid}")
    (program,) = Path(f"/proc/{shell}/task/{shell}/children").read_text().split()
    os.kill(int(program), signal.SIGKILL)


def type_program(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "typed", "-x", "200", "-y", "50", "sh")
    tmux.run("send-keys", "-t", "=typed:", "sleep 5003", "Enter")
    eventually(lambda: tmux.show("=typed:", "#{pane_current_command}") == "sleep", "the program")


def test_its_steps_are_shown_before_they_are_done(tmux: TmuxBox, kit: Path) -> None:
    package(kit, f"{KIT}\nstrategy = kit(retype)\n")
    type_program(tmux)
    with with_ladder(tmux, "resume_program, 'custom:kit'", "--observe") as sidecar:
        sidecar.stored("typed")
        end_program(tmux)
        body = {"session": "typed", "strategy": "custom:kit"}
        shown = eventually(
            lambda: (
                (found := sidecar.call("POST", "/recover", {**body, "dry_run": True}))[0] == 200 and found[1]
            ),
            "a plan",
        )
        assert shown["strategy"] == "custom:kit"
        assert shown["steps"] == ["save", "custom step 'first', kit 1.0", "custom final 'second', kit 1.0"]
        assert trail(kit) == []
        status, answer = sidecar.call("POST", "/recover", body)
        assert status == 202, answer
        assert sidecar.verified("typed")["strategy"] == "custom:kit"
        assert trail(kit) == ["first", "retype"]


def test_in_observe_mode_it_is_only_told(tmux: TmuxBox, kit: Path) -> None:
    package(kit, f"{KIT}\nstrategy = kit(retype)\n")
    type_program(tmux)
    with with_ladder(tmux, "'custom:kit'", "--observe") as sidecar:
        sidecar.stored("typed")
        end_program(tmux)
        refused = eventually(
            lambda: [one for one in sidecar.actions() if one.get("reason") == "observe_mode"], "the watcher"
        )[0]
        assert "custom:kit would have been done (save, custom step 'first', kit 1.0" in refused["sentence"]
        assert trail(kit) == []


def test_kill_9_in_the_middle_of_a_step(tmux: TmuxBox, kit: Path) -> None:
    """The function that was running is ended, and its own guard says what it has done already."""
    code = """
def slow(context):
    note(context, "again" if context.again else "begun")
    context.pane.cmd("respawn-pane")
    context.remember(pid=os.getpid())
    open(f"{HERE}/here", "w").close()
    time.sleep(60)
def done(context):
    note(context, f"asked-{context.memory['pid']}")
    return context.pane.pane_dead != "1"
strategy = kit(slow, done=done, idempotent=False, seconds=90)
"""
    package(kit, KIT + code)
    build(tmux)
    with with_ladder(tmux) as sidecar:
        sidecar.stored("web")
        injure(tmux)
        eventually((kit / "here").exists, "the middle of the step")
        sidecar.stop(signal.SIGKILL)
        (guest,) = [int(word) for word in re.findall(r'"pid": (\d+)', _memory(sidecar))]
        assert Path(f"/proc/{guest}").exists()
        sidecar.start()
        row = sidecar.verified("web")
        assert row["strategy"] == "custom:kit"
        assert trail(kit) == ["first", "begun", f"asked-{guest}"]
        eventually(lambda: not Path(f"/proc/{guest}/cmdline").exists(), "the end of the function")
        steps = [one for one in ended(sidecar)[0]["recovery"]["steps"] if one["kind"] == "custom_final"]
        assert [(one["attempt"], one["state"]) for one in steps] == [(1, "begun"), (2, "done")]


def _memory(sidecar: SidecarBox) -> str:
    (file,) = (sidecar.state / "extensions").glob("*.json")
    return file.read_text()


def test_a_package_that_breaks_costs_its_rungs_and_nothing_else(tmux: TmuxBox, kit: Path) -> None:
    package(kit, f"{KIT}\nstrategy = kit(revive)\n")
    build(tmux)
    with with_ladder(tmux, "'custom:kit', respawn_pane") as sidecar:
        sidecar.stored("web")
        sidecar.stop()
        package(kit, "\nraise RuntimeError('half an upgrade')\n")
        sidecar.start()
        sidecar.checked = False
        assert (
            "custom:kit cannot be used: kit:strategy cannot be imported: RuntimeError" in sidecar.last_words()
        )
        injure(tmux)
        assert sidecar.verified("web")["strategy"] == "respawn_pane"


def test_a_package_that_goes_while_its_recovery_is_cut_off(tmux: TmuxBox, kit: Path) -> None:
    code = """
def slow(context):
    open(f"{HERE}/here", "w").close()
    time.sleep(60)
strategy = kit(slow, seconds=90)
"""
    package(kit, KIT + code)
    build(tmux)
    with with_ladder(tmux, "'custom:kit', respawn_pane") as sidecar:
        sidecar.stored("web")
        injure(tmux)
        eventually((kit / "here").exists, "the middle of the step")
        sidecar.stop(signal.SIGKILL)
        (kit / "kit-1.0.dist-info" / "entry_points.txt").unlink()
        sidecar.start()
        sidecar.checked = False
        row = ended(sidecar)[0]["recovery"]
        assert (row["state"], row["commands"]) == ("stuck", ["tidy web up"])
        assert "no installed package brings a strategy 'kit'" in row["verdict"]


def test_the_service_loads_neither_libtmux_nor_the_package(tmux: TmuxBox, kit: Path) -> None:
    package(kit, f"{KIT}\nimport libtmux\nstrategy = kit(revive)\n")
    file = tmux.folder / "config.yml"
    file.write_text(CONFIG.format(ladder="'custom:kit'"))
    code = (
        "import sys, pathlib, sidecar.app, sidecar.cli, sidecar.config_read as read;"
        "ladders = read.load(pathlib.Path(sys.argv[1])).recovery.ladders;"
        "print(ladders['crashed'][0].extension.package, {'libtmux', 'kit'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "kit 1.0 set()\n", done.stderr


def test_what_is_in_the_database_is_read_again(tmux: TmuxBox, kit: Path) -> None:
    package(kit, f"{KIT}\nstrategy = kit(revive)\n")
    build(tmux)
    with with_ladder(tmux) as sidecar:
        sidecar.stored("web")
        injure(tmux)
        sidecar.verified("web")
        sidecar.stop()
        sidecar.start()
        assert [row["strategy"] for row in sidecar.recoveries("web")] == ["custom:kit"]
        counted = 'sidecar_recoveries_total{failure="crashed",outcome="verified",strategy="custom"} 1.0'
        assert counted in sidecar.get("/metrics", raw=True)
        with closing(sqlite3.connect(sidecar.state / "sidecar.db")) as database:
            repaired = database.execute("SELECT COUNT(*) FROM audit WHERE action = 'row_mended'").fetchone()
        assert repaired == (0,)
