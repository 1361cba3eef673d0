"""Every form of a workspace file means here what it means to tmuxp."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from sidecar.config import SessionSettings
from sidecar.config_workspaces import load_workspaces
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.flow.furnish import furnish
from sidecar.model.workspace import Workspace
from tests.box import TmuxBox, eventually, tmux_box

FORMS = Path(__file__).parent / "forms"
NAMES = sorted(file.stem for file in FORMS.iterdir())
SHAPE = (
    "#{window_index} #{?automatic-rename,,#{window_name}} #{window_layout} #{window_active} #{pane_active} "
    "#{pane_current_path} #{pane_start_command} #{pane_synchronized}"
)
NEWLINE = "\x1e"
_AT_ONCE = 4


@dataclass(frozen=True)
class Rival:
    """The server on which tmuxp has loaded every file."""

    tmux: TmuxBox
    folder: Path


def prepare(folder: Path) -> Path:
    """The forms, in a folder that has the folders they name."""
    for name in ("sub/deeper", "other/deepest", "sub/other"):
        (folder / name).mkdir(parents=True)
    for file in FORMS.iterdir():
        shutil.copy(file, folder)
    return folder


@pytest.fixture(scope="module")
def rival() -> Iterator[Rival]:
    with tmux_box() as tmux:
        folder = prepare(tmux.folder)
        # A server that has started already has read its configuration.
        tmux.run("new-session", "-d", "-s", "keeper", "sleep 5000")
        command = [str(Path(sys.executable).with_name("tmuxp")), "load", "-d", "-y", "-L", tmux.name]
        files = [str(folder / file.name) for file in sorted(FORMS.iterdir())]
        # Else tmuxp asks the terminal that the tests are run from, if there is one.
        environment = tmux.environment | {"COLUMNS": "200", "LINES": "50"}

        def load(files: Sequence[str]) -> None:
            done = subprocess.run(
                [*command, *files], env=environment, cwd=folder, timeout=100, capture_output=True, check=False
            )  # fmt: skip
            assert done.returncode == 0, done.stderr.decode()

        # It waits for the shell of each pane.
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            list(threads.map(load, (files[part::_AT_ONCE] for part in range(_AT_ONCE))))
        yield Rival(tmux, folder)


@pytest.fixture
def forms(tmux: TmuxBox, monkeypatch: pytest.MonkeyPatch) -> dict[str, Workspace]:
    for name in ("HOME", "SHELL"):
        monkeypatch.setenv(name, tmux.environment[name])
    declared = load_workspaces(SessionSettings(workspaces=(str(prepare(tmux.folder)),)))
    assert declared.faults == ()
    return dict(declared.sessions)


@pytest.mark.parametrize("name", NAMES)
async def test_it_means_what_it_means_to_tmuxp(
    name: str, rival: Rival, forms: dict[str, Workspace], tmux: TmuxBox, door: TmuxDoor
) -> None:
    built = await door.build_workspace(forms[name])
    session = (await door.look()).by_id(built)
    assert session is not None
    await furnish(door, forms[name], session, {}, "")
    for facts in (shape, screens, options, environment):
        eventually(
            lambda facts=facts: facts(tmux, name) == told(facts(rival.tmux, name), rival, tmux),
            f"the same {facts.__name__}: {facts(tmux, name)} and {facts(rival.tmux, name)}",
        )


def told(facts: list[str], rival: Rival, tmux: TmuxBox) -> list[str]:
    return [fact.replace(str(rival.folder), str(tmux.folder)) for fact in facts]


def shape(tmux: TmuxBox, name: str) -> list[str]:
    """What tmux tells, without the ids in layouts."""
    listed = tmux.run("list-panes", "-s", "-t", f"={name}:", "-F", f"{SHAPE}{NEWLINE}").split(f"{NEWLINE}\n")
    return [re.sub(r"(?<=\d,)\d+(?=[,\]} ])|[0-9a-f]{4}(?=,\d+x\d+,)", "", line) for line in listed]


def panes(tmux: TmuxBox, name: str, field: str) -> list[str]:
    return tmux.run("list-panes", "-s", "-t", f"={name}:", "-F", field).splitlines()


def screens(tmux: TmuxBox, name: str) -> list[str]:
    """What was typed, as the terminals echo it."""
    if name not in ("panes", "commands", "history", "json", "shells"):
        return []
    return [tmux.run("capture-pane", "-p", "-t", pane) for pane in panes(tmux, name, "#{pane_id}")]


def options(tmux: TmuxBox, name: str) -> list[str]:
    """Every option of the session and of its windows, but those that arm a window."""
    if name != "options":
        return []
    windows = dict.fromkeys(panes(tmux, name, "#{window_id}"))
    local = [line for window in windows for line in tmux.run("show-options", "-w", "-t", window).splitlines()]
    return [
        *tmux.run("show-options", "-t", f"={name}:").splitlines(),
        tmux.run("show-options", "-g", "status-interval"),
        tmux.run("show-options", "-g", "@global"),
        *(line for line in local if not line.startswith(("remain-on-exit", "@sidecar_armed"))),
    ]


def environment(tmux: TmuxBox, name: str) -> list[str]:
    """The variables of the files, in the session and in each process."""
    lines = tmux.run("show-environment", "-t", f"={name}:").splitlines()
    pids = panes(tmux, name, "#{pane_pid}")
    inherited = [
        sorted(word for word in Path(f"/proc/{pid}/environ").read_text().split("\0") if word.startswith("W_"))
        for pid in pids
    ]
    return [*sorted(line for line in lines if line.startswith("W_")), *map(str, inherited)]
