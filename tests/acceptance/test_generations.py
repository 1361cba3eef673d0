"""Generations on a real tmux: an older one comes back, and nothing that lives is lost by it."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.edges.store import codec
from sidecar.edges.store.seal import SEALED, seal
from sidecar.edges.tmux.dead import lives
from sidecar.model.session import SessionImage
from tests.acceptance.test_recovery import build, pids
from tests.box import SidecarBox, TmuxBox, eventually

FORM = (
    "#{window_index} #{window_name} #{pane_index} #{window_active} #{pane_active} #{window_zoomed_flag} "
    "#{pane_width}x#{pane_height} #{pane_current_path} #{pane_current_command}"
)

TMUXP = str(Path(sys.executable).with_name("tmuxp"))


def form(tmux: TmuxBox, name: str) -> list[str]:
    """The session as a person sees it, once every process that was just started is in its folder."""

    def whole() -> list[str]:
        lines = tmux.run("list-panes", "-s", "-t", f"={name}:", "-F", FORM).splitlines()
        return lines if all("/" in line for line in lines) else []

    lines: list[str] = eventually(whole, "all folders")
    return lines


def places(lines: list[str]) -> list[list[str]]:
    """Where the panes are and how large, without names, which follow what runs."""
    return [[words[0], *words[2:7]] for words in map(str.split, lines)]


def newest(sidecar: SidecarBox, session: str = "web") -> int:
    number = sidecar.get(f"/api/v1/checkpoints?session={session}&good=true")["checkpoints"][0]["id"]
    assert isinstance(number, int)
    return number


def take(sidecar: SidecarBox, session: str = "web") -> int:
    status, body = sidecar.call("POST", "/api/v1/checkpoints", {"session": session})
    assert status in (200, 201), body
    return int(body["checkpoint"]["id"])


def restore(sidecar: SidecarBox, number: int, **asked: Any) -> dict[str, Any]:
    """Ask for a restore and wait for its end."""
    status, body = sidecar.call("POST", f"/api/v1/checkpoints/{number}/restore", asked)
    assert status == 202, body

    def ended() -> dict[str, Any] | None:
        row: dict[str, Any] = sidecar.get(f"/api/v1/recoveries/{body['id']}")["recovery"]
        return row if row["state"] != "running" else None

    found = eventually(ended, "the end of the recovery")
    return {"undo": body.get("undo"), **found}


@pytest.fixture
def web(tmux: TmuxBox, sidecar: SidecarBox) -> int:
    """A session of two windows, and the checkpoint that holds it."""
    build(tmux)
    sidecar.stored("web")
    eventually(lambda: sidecar.sessions()["web"]["health"] == "healthy")
    return take(sidecar)


def test_a_session_that_is_gone_is_built_as_an_older_generation_has_it(
    tmux: TmuxBox, sidecar: SidecarBox, web: int
) -> None:
    tmux.run("new-session", "-d", "-s", "other")
    before = form(tmux, "web")
    tmux.run("kill-window", "-t", "=web:second")
    eventually(lambda: newest(sidecar) != web, "a newer generation")
    tmux.run("kill-session", "-t", "=web")
    eventually(lambda: "web" not in sidecar.sessions(), "the session is let go")
    row = restore(sidecar, web)
    assert (row["state"], row["strategy"], row["checkpoint"]) == ("verified", "restore_checkpoint", web)
    assert form(tmux, "web") == before
    eventually(lambda: sidecar.sessions().get("web", {}).get("health") == "healthy")


def test_without_a_server_a_new_one_is_started(tmux: TmuxBox, sidecar: SidecarBox, web: int) -> None:
    before = form(tmux, "web")
    tmux.run("kill-server")
    eventually(lambda: "web" not in sidecar.sessions(), "the session is let go")
    assert restore(sidecar, web)["state"] == "verified"
    assert form(tmux, "web") == before


def test_a_living_session_is_not_restored_over(tmux: TmuxBox, sidecar: SidecarBox, web: int) -> None:
    before = pids(tmux)
    for asked in ({}, {"window": 0}, {"dry_run": True}):
        status, body = sidecar.call("POST", f"/api/v1/checkpoints/{web}/restore", asked)
        assert (status, body["reason"]) == (409, "occupied")
        assert body["hint"]
    assert pids(tmux) == before
    assert sidecar.recoveries("web") == []


def test_one_window_comes_back_and_its_siblings_are_not_touched(
    tmux: TmuxBox, sidecar: SidecarBox, web: int
) -> None:
    tmux.run("split-window", "-d", "-t", "=web:second", "sleep 5003")
    web = take(sidecar)
    before, form_before = pids(tmux), form(tmux, "web")
    lost = tmux.run("list-panes", "-t", "=web:second", "-F", "#{pane_id}").splitlines()
    tmux.run("kill-window", "-t", "=web:second")
    row = restore(sidecar, web, window=1)
    assert (row["state"], row["strategy"]) == ("verified", "rebuild_window")
    assert [step["kind"] for step in row["steps"]] == ["save", "rebuild_window"]
    assert form(tmux, "web") == form_before
    kept = {pane: pid for pane, pid in before.items() if pane not in lost}
    assert {pane: pid for pane, pid in pids(tmux).items() if pane in kept} == kept


def test_a_window_that_cannot_be_built_leaves_nothing(tmux: TmuxBox, sidecar: SidecarBox, web: int) -> None:
    status, body = sidecar.call("POST", f"/api/v1/checkpoints/{web}/restore", {"window": 7})
    assert (status, body["reason"], body["hint"]) == (409, "no_checkpoint", "It has 0, 1.")


def test_a_copy_stands_beside_the_living_one_and_starts_nothing_twice(
    tmux: TmuxBox, sidecar: SidecarBox, web: int
) -> None:
    before = {line.split()[0]: line for line in tmux.panes(f"#{{pane_id}} #{{pane_pid}} {FORM}")}
    row = restore(sidecar, web, **{"as": "copy"})
    assert row["state"] == "verified"
    assert tmux.sessions() == {"web", "copy"}
    now = {line.split()[0]: line for line in tmux.panes(f"#{{pane_id}} #{{pane_pid}} {FORM}")}
    assert {pane: now[pane] for pane in before} == before
    commands = tmux.run("list-panes", "-s", "-t", "=copy:", "-F", "#{pane_current_command}")
    assert set(commands.splitlines()) == {"bash"}
    held = tmux.run("capture-pane", "-p", "-t", "=copy:second")
    assert "sleep 5002" in held
    status, body = sidecar.call("POST", f"/api/v1/checkpoints/{web}/restore", {"as": "copy"})
    assert (status, body["reason"]) == (409, "occupied")
    eventually(lambda: sidecar.sessions().get("copy", {}).get("health") == "healthy")


def test_a_copy_of_a_session_that_is_gone_starts_its_commands(
    tmux: TmuxBox, sidecar: SidecarBox, web: int
) -> None:
    tmux.run("new-session", "-d", "-s", "other")
    before = form(tmux, "web")
    tmux.run("kill-session", "-t", "=web")
    eventually(lambda: "web" not in sidecar.sessions(), "the session is let go")
    assert restore(sidecar, web, **{"as": "again"})["state"] == "verified"
    assert form(tmux, "again") == before


def test_a_replaced_session_can_be_brought_back(tmux: TmuxBox, sidecar: SidecarBox, web: int) -> None:
    """The only session there is: the server and its options have to outlive it."""
    tmux.run("set-option", "-s", "@mine", "kept")
    old, server = form(tmux, "web"), tmux.server_pid()
    sleeping = sum(line.endswith("sleep") for line in old)
    tmux.run("rename-window", "-t", "=web:second", "renamed")
    tmux.run("split-window", "-d", "-t", "=web:main", "-c", "/tmp", "sleep 5004")
    # A shell starts it, and is named until it has become it.
    eventually(lambda: sum(line.endswith("sleep") for line in form(tmux, "web")) == sleeping + 1)
    changed, before = form(tmux, "web"), pids(tmux)
    row = restore(sidecar, web, replace=True)
    assert row["state"] == "verified", row
    assert row["undo"] > web
    assert str(row["undo"]) in row["steps"][0]["description"]
    assert form(tmux, "web") == old
    assert not set(before.values()) & set(pids(tmux).values())
    assert not [pid for pid in before.values() if lives(pid)]
    undone = restore(sidecar, row["undo"], replace=True)
    assert undone["state"] == "verified", undone
    assert form(tmux, "web") == changed
    assert tmux.sessions() == {"web"}
    assert (tmux.server_pid(), tmux.run("show-options", "-sv", "@mine")) == (server, "kept")
    eventually(lambda: sidecar.sessions()["web"]["health"] == "healthy")
    assert [row["state"] for row in sidecar.recoveries("web")] == ["verified", "verified"]


def test_a_replacement_that_fails_brings_the_former_state_back(
    tmux: TmuxBox, sidecar: SidecarBox, web: int
) -> None:
    tmux.run("split-window", "-d", "-t", "=web:main", "sleep 5004")
    changed = form(tmux, "web")
    forge(sidecar, web, lambda image: replace(image, environment=(("", None),)))
    row = restore(sidecar, web, replace=True)
    assert row["state"] == "compensated", row
    assert row["verdict"].endswith("what had been done is undone")
    assert row["transaction_outcome"] == "compensated"
    assert form(tmux, "web") == changed
    assert tmux.sessions() == {"web"}
    eventually(lambda: sidecar.sessions()["web"]["health"] == "healthy")


def test_a_replacement_whose_name_is_taken_says_how_to_get_the_former_state(
    tmux: TmuxBox, sidecar: SidecarBox, web: int
) -> None:
    tmux.run("set-hook", "-g", "session-closed", "new-session -d -s web")
    row = restore(sidecar, web, replace=True)
    tmux.run("set-hook", "-gu", "session-closed")
    assert row["state"] == "stuck", row
    command = f"sidecar checkpoint restore web --id {row['undo']}"
    assert (row["transaction_outcome"], row["commands"]) == ("stuck", [command])
    assert command in row["verdict"]
    assert tmux.sessions() == {"web"}


def waiting(sidecar: SidecarBox) -> list[str]:
    return [row["sentence"] for row in sidecar.get("/api/v1/incidents")["incidents"] if not row["closed"]]


def stubborn_command(tmux: TmuxBox) -> str:
    """Outlives the end of its pane, but not that of the test's folder."""
    return f"trap '' HUP; echo ready; while [ -d {tmux.folder} ]; do sleep 0.1; done"


def test_a_replacement_that_was_cut_off_is_finished_by_the_next_start(
    tmux: TmuxBox, sidecar: SidecarBox, web: int
) -> None:
    wanted = form(tmux, "web")
    tmux.run("new-window", "-d", "-t", "=web:7", stubborn_command(tmux))
    eventually(lambda: "ready" in tmux.run("capture-pane", "-p", "-t", "=web:7"))
    stubborn = int(tmux.show("=web:7", "#{pane_pid}"))
    # The one that does not end holds the replacement up, for three seconds.
    assert sidecar.call("POST", f"/api/v1/checkpoints/{web}/restore", {"replace": True})[0] == 202
    eventually(lambda: "web" not in tmux.sessions(), "the session is closed")
    sidecar.stop(signal.SIGKILL)
    os.kill(stubborn, signal.SIGKILL)
    assert "web" not in tmux.sessions()
    sidecar.start()
    sidecar.verified("web")
    assert places(form(tmux, "web")) == places(wanted)
    assert [row["resumed"] for row in sidecar.recoveries("web")] == [1]
    sidecar.stop()
    sidecar.start()
    eventually(lambda: sidecar.sessions()["web"]["health"] == "healthy")
    assert len(sidecar.recoveries("web")) == 1


def test_a_replacement_that_was_cut_off_is_over_once_somebody_has_made_the_session(
    tmux: TmuxBox, sidecar: SidecarBox, web: int
) -> None:
    tmux.run("new-session", "-d", "-s", "other", "sleep 5009")
    tmux.run("new-window", "-d", "-t", "=web:7", stubborn_command(tmux))
    eventually(lambda: "ready" in tmux.run("capture-pane", "-p", "-t", "=web:7"))
    stubborn = int(tmux.show("=web:7", "#{pane_pid}"))
    assert sidecar.call("POST", f"/api/v1/checkpoints/{web}/restore", {"replace": True})[0] == 202
    eventually(lambda: "web" not in tmux.sessions(), "the session is closed")
    sidecar.stop(signal.SIGKILL)
    os.kill(stubborn, signal.SIGKILL)
    tmux.run("new-session", "-d", "-s", "web", "sleep 5010")
    sidecar.start()
    eventually(lambda: sidecar.sessions()["web"]["health"] == "healthy")
    eventually(lambda: not waiting(sidecar), "no incident waits")
    tmux.run("kill-session", "-t", "=web")
    eventually(lambda: "web" not in sidecar.sessions())
    sidecar.stop()
    sidecar.start()
    eventually(lambda: "other" in sidecar.sessions())
    assert sidecar.call("POST", "/api/v1/checkpoints", {"session": "other"})[0] < 300
    assert [row["state"] for row in sidecar.recoveries("web")] == ["stuck"]
    assert "web" not in tmux.sessions()


def forge(sidecar: SidecarBox, number: int, change: Callable[[SessionImage], SessionImage]) -> None:
    """Put other content under a good checksum."""
    with closing(sqlite3.connect(sidecar.state / "sidecar.db", isolation_level=None)) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM checkpoints WHERE id = ?", (number,)).fetchone()
        text = codec.encode(change(codec.decode(row["body"])))
        values = dict(row) | {"checksum": codec.checksum(text), "size": len(text)}
        connection.execute(
            "UPDATE checkpoints SET body = ?, checksum = ?, size = ?, seal = ? WHERE id = ?",
            (text, values["checksum"], len(text), seal([values[key] for key in SEALED]), number),
        )


def test_a_dry_run_leaves_no_trace(tmux: TmuxBox, sidecar: SidecarBox, web: int) -> None:
    before, records = pids(tmux), len(audit(sidecar))
    status, body = sidecar.call(
        "POST", f"/api/v1/checkpoints/{web}/restore", {"replace": True, "dry_run": True}
    )
    assert (status, body["steps"]) == (200, ["replace session"])
    assert pids(tmux) == before
    assert len(audit(sidecar)) == records
    assert sidecar.get("/api/v1/sessions")["incidents"] == []


def audit(sidecar: SidecarBox) -> list[Any]:
    """The records, without those that the watch writes by itself."""
    with closing(sqlite3.connect(f"file:{sidecar.state / 'sidecar.db'}?mode=ro", uri=True)) as connection:
        return connection.execute(
            "SELECT * FROM audit WHERE action NOT IN ('checkpoint_created', 'session_adopted')"
        ).fetchall()


def test_the_exported_file_gives_tmuxp_the_same_shape(
    tmux: TmuxBox, sidecar: SidecarBox, web: int, tmp_path: Path
) -> None:
    odd = tmux.folder / "a#(touch pwned) $HOME é"
    odd.mkdir()
    tmux.run("new-window", "-d", "-t", "=web:5", "-n", "odd ##name", "-c", str(odd).replace("#", "##"))
    tmux.run("send-keys", "-t", "=web:5", "sleep 4321", "Enter")
    tmux.run("select-window", "-t", "=web:second")
    eventually(lambda: "sleep" in tmux.show("=web:5", "#{pane_current_command}"))
    eventually(lambda: "4321" in str(sidecar.get(f"/api/v1/checkpoints/{take(sidecar)}")))
    number = take(sidecar)
    before = form(tmux, "web")
    workspace = sidecar.get(f"/api/v1/checkpoints/{number}/export")["workspace"]
    assert workspace
    file = tmp_path / "web.yaml"
    cli(sidecar, "export", "web", "-o", str(file))
    assert file.stat().st_mode & 0o777 == 0o600
    sidecar.stop()
    tmux.run("kill-server")
    eventually(lambda: not tmux.server_pid())
    done = subprocess.run(
        [TMUXP, "load", "-d", "-L", tmux.name, "-f", "/dev/null", str(file)],
        env=tmux.environment | {"LC_ALL": "C.UTF-8"}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    held = [line.replace(" sleep", " bash") if line.startswith("5 ") else line for line in before]
    eventually(lambda: form(tmux, "web") == held, f"{held} like {form(tmux, 'web')}")
    assert "sleep 4321" in tmux.run("capture-pane", "-p", "-t", "=web:5")
    assert not (tmux.folder / "pwned").exists()


def cli(sidecar: SidecarBox, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sidecar", "checkpoint", words[0], "--state", str(sidecar.state), *words[1:]],
        env=sidecar.tmux.environment, capture_output=True, text=True, timeout=60, check=False,
        cwd=Path(__file__).parent.parent.parent,
    )  # fmt: skip
