"""``sidecar checkpoint ...`` against a real service, and against answers that are hard to come by."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import Result

from tests.box import SidecarBox, TmuxBox, sidecar_box, tmux_box
from tests.command import service
from tests.command.test_service_commands import Stand, stand

__all__ = ["stand"]

LIST = "/api/v1/checkpoints"
ROW = {
    "id": 7, "session": "web", "taken": 1.0, "operation": "interval", "instance": "i", "checksum": "c" * 64,
    "size": 2_500, "windows": 2, "panes": 3, "quarantined": "",
}  # fmt: skip
SPOILED = ROW | {"id": 6, "quarantined": "the checksum does not match\x1b[2J", "windows": 0, "panes": 0}


async def ask(stand: Stand, *words: str) -> Result:
    return await asyncio.to_thread(service.run, stand.state, "checkpoint", *words)


async def test_a_list_with_a_damaged_one_and_an_older_page(stand: Stand) -> None:
    stand.answer("GET", LIST, (200, {"checkpoints": [ROW, SPOILED], "next": 6}))
    done = await ask(stand, "list", "web", "--limit", "2", "--until", "2026-01-31T14:00:00Z", "--good")
    assert done.exit_code == 0, done.output
    head, good, bad, more = done.output.splitlines()
    assert head.split() == ["ID", "SESSION", "TAKEN", "AGE", "WHY", "WINDOWS", "PANES", "SIZE", "STATE"]
    assert good.split()[-5:] == ["interval", "2", "3", "2.5kB", "good"]
    assert bad.split()[-10:-6] == ["interval", "-", "-", "2.5kB"]
    assert bad.endswith("quarantined: the checksum does not match\\x1b[2J")
    assert more == "there are older ones: --before 6"


async def test_an_empty_list(stand: Stand) -> None:
    stand.answer("GET", LIST, (200, {"checkpoints": [], "next": None}))
    assert (await ask(stand, "list")).output == "no checkpoints\n"


async def test_one_in_quarantine(stand: Stand) -> None:
    stand.answer("GET", f"{LIST}/6", (200, {"checkpoint": SPOILED}))
    done = await ask(stand, "show", "6")
    assert done.output.splitlines()[1] == "in quarantine, never used: the checksum does not match\\x1b[2J"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("restore", "web", "--at", "soon"), "'soon' is no time; write it as"),
        (("restore", "web", "--at", "2999-01-01"), "has not come yet"),
        (("restore", "web", "--at", "1h ago", "--id", "3"), "give one"),
        (("restore", "web", "--as", "x", "--replace"), "give one"),
        (("restore", "web", "--as", "x", "--window", "1"), "takes neither"),
        (("restore", "web", "--window", "1", "--replace"), "takes neither"),
        (("restore", "web", "--window", "-1"), "--window"),
        (("list", "--operation", "x"), "--operation"),
        (("show", "x"), "NUMBER"),
        (("export",), "Name a SESSION"),
        (("export", "web", "--id", "3"), "Name a SESSION"),
    ],
)
async def test_wrong_usage_is_status_2(stand: Stand, words: tuple[str, ...], sentence: str) -> None:
    done = await ask(stand, *words)
    assert done.exit_code == 2
    assert sentence in done.stderr
    assert stand.asked == []


async def test_a_checkpoint_of_another_session(stand: Stand) -> None:
    stand.answer("GET", f"{LIST}/7", (200, {"checkpoint": ROW}))
    done = await ask(stand, "restore", "api", "--id", "7")
    assert done.exit_code == 1
    assert done.stderr.splitlines() == [
        "sidecar: checkpoint 7 is one of web, not of api",
        "hint: `sidecar checkpoint list api` shows those that there are.",
    ]


async def test_nothing_to_restore(stand: Stand) -> None:
    stand.answer("GET", LIST, (200, {"checkpoints": [], "next": None}))
    done = await ask(stand, "restore", "web", "--at", "2026-01-31T14:00:00Z")
    assert done.exit_code == 1
    assert done.stderr.startswith(
        "sidecar: there is no good checkpoint of web taken at 2026-01-31T14:00:00Z or before\n"
    )


async def test_a_file_that_cannot_be_written(stand: Stand, tmp_path: Path) -> None:
    answer = {"checkpoint": 7, "session": "web", "taken": 1.0, "workspace": {"session_name": "web"}}
    stand.answer("GET", f"{LIST}/7/export", (200, answer))
    done = await ask(stand, "export", "--id", "7", "-o", str(tmp_path / "no" / "file"))
    assert done.exit_code == 1
    assert "cannot be written: No such file or directory" in done.stderr


@pytest.mark.parametrize(
    "words", [("list",), ("create", "web"), ("show", "1"), ("diff", "1"), ("prune",), ("export", "web")]
)
def test_without_the_service_one_line_says_so(tmp_path: Path, words: tuple[str, ...]) -> None:
    done = service.run(tmp_path, "checkpoint", *words)
    assert done.exit_code == 1
    assert done.stderr.startswith("sidecar: no sidecar has run with the state folder")
    assert len(done.stderr.splitlines()) == 2


def test_verify_without_a_database(tmp_path: Path) -> None:
    done = service.run(tmp_path, "checkpoint", "verify")
    assert (done.exit_code, done.stderr.splitlines()[0]) == (
        1,
        f"sidecar: there is no database in {tmp_path}",
    )


@pytest.fixture(scope="module")
def running() -> Iterator[SidecarBox]:
    """One service with one session and a checkpoint or two, for all that only looks."""
    with tmux_box() as tmux, sidecar_box(tmux) as box:
        tmux.run("new-session", "-d", "-s", "web", "-x", "120", "-y", "40", "-n", "main", "bash --norc")
        tmux.run("new-window", "-d", "-t", "=web:", "-n", "top", "sleep 5001 # --password hunter2")
        tmux.run("set-environment", "-t", "=web:", "API_KEY", "hunter3")
        box.stored("web")
        yield box


def run(running: SidecarBox, *words: str) -> Result:
    return service.run(running.state, "checkpoint", *words)


def as_json(running: SidecarBox, *words: str) -> Any:
    done = run(running, *words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.output)


def test_create_list_show_and_diff(running: SidecarBox) -> None:
    first = as_json(running, "create", "web")["checkpoint"]["id"]
    done = run(running, "create", "web")
    assert done.output == f"nothing has changed since checkpoint {first} of web\n"
    running.tmux.run("new-window", "-d", "-t", "=web:7", "-n", "more")
    done = run(running, "create", "web")
    assert re.search(r"(checkpoint \d+ of web: 3 windows, 3 panes|nothing has changed since)", done.output)
    listed = as_json(running, "list", "web")["checkpoints"]
    assert [row["id"] for row in listed] == sorted((row["id"] for row in listed), reverse=True)
    shown = run(running, "show", str(first)).output
    assert "API_KEY" in shown
    assert "hunter" not in shown
    assert "window 1 top" in shown
    done = run(running, "diff", str(first), str(listed[0]["id"]))
    assert done.output.splitlines()[0].split() == [
        "WHERE",
        "FIELD",
        "IN",
        str(first),
        "IN",
        str(listed[0]["id"]),
    ]
    assert "window 7  presence  absent  present" in done.output
    assert "window 7" in run(running, "diff", str(first)).output
    assert run(running, "diff", str(first), str(first)).output == "no differences\n"


def test_export_is_a_tmuxp_file_without_secrets(running: SidecarBox, tmp_path: Path) -> None:
    done = run(running, "export", "web")
    body = yaml.safe_load(done.output)
    assert (body["session_name"], body["windows"][0]["window_name"]) == ("web", "main")
    assert "hunter" not in done.output
    file = tmp_path / "web.yaml"
    file.touch(0o644)
    assert run(running, "export", "web", "-o", str(file)).output.startswith(f"{file}: checkpoint ")
    assert yaml.safe_load(file.read_text()) == body
    assert os.stat(file).st_mode & 0o777 == 0o600


def test_prune_shows_before_it_acts(running: SidecarBox) -> None:
    assert run(running, "prune", "--dry-run").output == "0 would go\n"
    assert as_json(running, "prune") == {"dry_run": False, "checkpoints": []}


def test_verify_beside_the_service(running: SidecarBox) -> None:
    done = run(running, "verify")
    assert done.exit_code == 0, done.output
    assert done.output.endswith("all good\n")
    assert as_json(running, "verify")["faults"] == []


def test_a_restore_that_is_refused_and_one_that_is_rehearsed(running: SidecarBox) -> None:
    done = run(running, "restore", "web", "--wait")
    assert done.exit_code == 1
    assert done.stderr.splitlines()[0] == (
        "sidecar: occupied: web lives, and a living session is not restored over"
    )
    assert "--as NAME" in done.stderr
    done = run(running, "restore", "web", "--replace", "--dry-run", "--at", "now")
    assert done.exit_code == 0, done.stderr
    assert done.output.splitlines()[-2:] == ["would be done: restore_checkpoint", "  replace session"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("create", "nobody"), "there is no living session 'nobody'"),
        (("show", "99999"), "there is no checkpoint '99999'"),
        (("diff", "99999"), "there is no checkpoint '99999'"),
        (("export", "--id", "99999"), "there is no checkpoint '99999'"),
        (("export", "nobody"), "there is no good checkpoint of nobody"),
        (("restore", "web", "--id", "99999"), "there is no checkpoint '99999'"),
    ],
)
def test_what_is_not_there(running: SidecarBox, words: tuple[str, ...], sentence: str) -> None:
    done = run(running, *words)
    assert done.exit_code == 1
    said, hint = done.stderr.splitlines()
    assert sentence in said
    assert hint.startswith("hint: ")


def test_a_restore_is_waited_for_and_can_be_undone(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "120", "-y", "40", "sleep 5001")
    sidecar.stored("web")
    tmux.run("new-window", "-d", "-t", "=web:4", "sleep 5002")
    done = run(sidecar, "restore", "web", "--id", "1", "--replace", "--wait")
    assert done.exit_code == 0, done.output
    begun, undo, _, verdict = done.output.splitlines()
    assert re.fullmatch(r"recovery 1 of web from checkpoint 1, taken .*, has begun \(trace \w+\)", begun)
    assert verdict.startswith("verified")
    assert tmux.panes("#{window_index}") == ["0"]
    words = undo.partition("sidecar checkpoint ")[2].split()
    assert run(sidecar, *words, "--wait").exit_code == 0
    assert tmux.panes("#{window_index}") == ["0", "4"]


def test_verify_names_what_is_wrong(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 5001")
    sidecar.stored("web")
    with sqlite3.connect(sidecar.state / "sidecar.db") as connection:
        connection.execute("UPDATE checkpoints SET body = replace(body, '5001', '5002')")
    connection.close()
    done = run(sidecar, "verify")
    assert done.exit_code == 1
    assert done.output.splitlines()[0] == "checkpoint 1 of web: the checksum does not match"
    assert done.output.splitlines()[-1].endswith(": 1 faults")
