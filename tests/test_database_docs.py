"""The page about the database names every table, view and column, and its commands work."""

from __future__ import annotations

import asyncio
import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.decide import retain
from sidecar.edges.store import Store, views
from sidecar.edges.store.database import FILE
from tests.box import SidecarBox, TmuxBox
from tests.clocks import SetClock
from tests.decide.builders import pane, session
from tests.flow.corridor import corridor

PAGE = (Path(__file__).parent.parent / "docs" / "database.md").read_text()
COMMANDS = [
    line
    for block in re.findall(r"^```console\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("sqlite-utils ")
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("book")

    async def live() -> None:
        async with corridor(folder) as world:
            await world.adopt(session(pane(command="make")))
            world.kill_pane_process()
            await world.recovered()

    asyncio.run(live())
    return folder / "state"


def run(folder: Path, command: str) -> str:
    words = shlex.split(command)
    assert words[0] == "sqlite-utils"
    done = subprocess.run(
        [sys.executable, "-m", "sqlite_utils", *words[1:]],
        cwd=folder, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_column_is_explained(folder: Path) -> None:
    told = {
        name: re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)
        for name, text in re.findall(r"^### `(\w+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    }
    with closing(sqlite3.connect(folder / FILE)) as connection:
        names = connection.execute(
            "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE '%sqlite%'"
        ).fetchall()
        there = {
            name: [row[1] for row in connection.execute(f"PRAGMA table_info({name})")] for (name,) in names
        }
    assert told == there


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_work(folder: Path, command: str) -> None:
    # Nobody has asked for anything here.
    assert run(folder, command).strip() or "asked_by" in command


def test_the_story_of_an_incident(folder: Path) -> None:
    command = "sqlite-utils rows sidecar.db incident_story --where 'incident = 1' -c action -c words --csv"
    lines = run(folder, command).splitlines()
    assert lines[1].startswith("incident_opened,pane's process")
    told = [line.partition(",")[0] for line in lines[1:]]
    # What was seen is written once the recovery is out of the way.
    assert told[-2:] == ["incident_moved", "diagnostics_taken"]


def test_the_database_can_be_read_while_the_service_runs(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 5000")
    sidecar.stored("web")
    for command in (COMMANDS[0], "sqlite-utils rows sidecar.db audit --limit 2 --nl"):
        assert run(sidecar.state, command).strip()
    tmux.run("new-session", "-d", "-s", "api", "sleep 5000")
    sidecar.stored("api")


def test_views_of_another_release_are_made_anew(tmp_path: Path) -> None:
    def reopened() -> dict[str, str]:
        Store(
            tmp_path, SetClock(), retain.keep,
            on_corrupt=lambda count: None, on_write=lambda seconds: None, on_audit=lambda rows: None,
        ).close()  # fmt: skip
        with closing(sqlite3.connect(tmp_path / FILE)) as connection:
            return dict(
                connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'").fetchall()
            )

    assert reopened() == views.wanted()
    with closing(sqlite3.connect(tmp_path / FILE, isolation_level=None)) as connection:
        connection.executescript(
            "DROP VIEW trail; CREATE VIEW trail AS SELECT 1; CREATE VIEW mine AS SELECT 2;"
            "DELETE FROM _sqlite_migrations WHERE name = 'totals'"
        )
    assert reopened() == {**views.wanted(), "mine": "CREATE VIEW mine AS SELECT 2"}
