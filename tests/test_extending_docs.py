"""Whatever ``docs/extending.md`` shows is run, and its words are those of the code."""

from __future__ import annotations

import dataclasses
import os
import re
import tomllib
from pathlib import Path

import pytest

from sidecar import config_read, strategies
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Strategy
from tests.box import TmuxBox, eventually
from tests.guestbook import on_path, package

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text()


def snippets(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def redo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The module of the page, installed as the page says."""
    module, _ = snippets("python")
    (project,) = map(tomllib.loads, snippets("toml"))
    name = project["project"]["name"]
    entries = project["project"]["entry-points"][strategies.GROUP]
    on_path(package(tmp_path, module, name, entries, head=""), monkeypatch)
    return module


def test_the_ladder_of_the_page_is_taken(redo: str) -> None:
    (settings,) = (config_read.parse(text, "page") for text in snippets("yaml"))
    rung = settings.recovery.ladders[FailureKind.CRASHED][0]
    assert rung.strategy == Strategy("custom:redo")
    assert rung.extension is not None
    assert rung.extension.package == "redo 1.0"


def test_the_strategy_of_the_page_can_be_tried_without_the_service(redo: str, tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "work", "sleep 5001")
    tmux.run("set-option", "-w", "-t", "=work:", "remain-on-exit", "on")
    pane, pid = tmux.show("=work:", "#{pane_id} #{pane_pid}").split()
    os.kill(int(pid), 9)
    eventually(lambda: tmux.show(pane, "#{pane_dead}") == "1", "a dead pane")
    scope = {"pane": pane, "socket": str(tmux.socket)}
    exec("\n".join(snippets("python")), scope)
    assert tmux.show(pane, "#{pane_dead}") == "0"


@pytest.mark.parametrize("kind", [strategies.Strategy, strategies.Step, strategies.Part])
def test_every_field_is_explained(kind: type) -> None:
    assert [field.name for field in dataclasses.fields(kind) if f"{field.name}" not in PAGE] == []


def test_every_member_of_the_context_is_explained() -> None:
    context = strategies.Context
    members = {name for name in vars(context) if not name.startswith("_")}
    members |= {field.name for field in dataclasses.fields(context) if not field.name.startswith("_")}
    # Two that only a Context made by hand has to name.
    members -= {"memory_file", "session_id"}
    assert [name for name in sorted(members) if not re.search(rf"`?\b{name}\b", PAGE)] == []
