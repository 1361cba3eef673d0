"""Declared sessions on a real server: to the letter, all or nothing, and typed in order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.clock import SystemClock
from sidecar.edges import process
from sidecar.edges.tmux import keyboard, prompt
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.prompt import Typist
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.errors import Permanent, Temporary, TmuxRefused
from sidecar.model.session import Presence
from sidecar.model.workspace import Command, DeclaredPane, DeclaredWindow, Workspace
from tests.box import TmuxBox, eventually

NASTY = ["a b;\"$(x)'é", "#(touch pwned)", "#{pid}", "x\\y", "a#[z", "$1", "%0", "=x", "-x", "@", "+1", "^"]


def one_pane(tmux: TmuxBox, *commands: Command, shell: str = "", **words: object) -> Workspace:
    panes = (DeclaredPane(str(tmux.folder), shell=shell, commands=commands),)
    plain = Workspace("web", (DeclaredWindow(panes, name="one"),), cwd=str(tmux.folder))
    return replace(plain, **words)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NASTY)
async def test_names_and_folders_are_kept_to_the_letter(tmux: TmuxBox, door: TmuxDoor, name: str) -> None:
    folder = tmux.folder / name
    folder.mkdir()
    pane = DeclaredPane(str(folder), title=name, environment=(("ODD", name),))
    workspace = Workspace(
        name,
        (DeclaredWindow((pane, pane), name=name), DeclaredWindow((pane,), name=name, index=5)),
        cwd=str(folder),
        environment=(("ODD", name),),
        options=(("@odd", name),),
    )
    built = await door.build_workspace(workspace)
    look = await door.look()
    session = look.by_id(built)
    assert session is not None
    assert session.name == name
    assert [(window.index, window.name) for window in session.windows] == [(0, name), (5, name)]
    assert [pane.title for pane in session.panes()] == [name] * 3
    # Forked processes take a moment to be where they belong.
    eventually(
        lambda: [os.readlink(f"/proc/{pane.pid}/cwd") for pane in session.panes()] == [str(folder)] * 3
    )
    assert tmux.run("show-options", "-v", "-t", built, "@odd") == name
    assert tmux.run("show-environment", "-t", built, "ODD") == f"ODD={name}"
    for live in session.panes():
        environ = Path(f"/proc/{live.pid}/environ")
        eventually(lambda environ=environ: f"ODD={name}" in environ.read_text().split("\0"), "the variable")
    assert not list(tmux.folder.rglob("pwned"))


async def test_what_cannot_be_built_leaves_nothing_behind(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "keep", "sleep 1000")
    with pytest.raises(TmuxRefused, match="no-such-option"):
        await door.build_workspace(one_pane(tmux, options=(("no-such-option", "1"),)))
    assert tmux.sessions() == {"keep"}


async def test_a_live_session_is_never_built_over(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-n", "mine", "sleep 1000")
    with pytest.raises(TmuxRefused, match="duplicate session"):
        await door.build_workspace(one_pane(tmux))
    assert tmux.panes("#{session_name} #{window_name}") == ["web mine"]


async def test_a_folder_that_is_gone_gives_way_to_its_parent(tmux: TmuxBox, door: TmuxDoor) -> None:
    workspace = one_pane(tmux, cwd=f"{tmux.folder}/gone")
    panes = (DeclaredPane(f"{tmux.folder}/gone/too"),)
    await door.build_workspace(replace(workspace, windows=(DeclaredWindow(panes),)))
    eventually(lambda: tmux.panes("#{pane_current_path}") == [str(tmux.folder)], "the parent")


async def test_windows_keep_their_indexes_where_windows_are_renumbered(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "keep", "sleep 1000")
    tmux.run("set-option", "-g", "renumber-windows", "on")
    tmux.run("set-option", "-g", "base-index", "1")
    pane = (DeclaredPane("/"),)
    windows = tuple(DeclaredWindow(pane, index=index) for index in (7, None, 3))
    await door.build_workspace(Workspace("web", windows))
    listed = tmux.run("list-windows", "-t", "=web", "-F", "#{window_index}#{window_active}").splitlines()
    assert listed == ["10", "30", "71"]


async def test_many_panes_find_room(tmux: TmuxBox, door: TmuxDoor) -> None:
    many = tuple(DeclaredPane("/", shell="sleep 1000") for _ in range(16))
    windows = tuple(DeclaredWindow(many, layout=layout) for layout in ("", "main-vertical", "tiled"))
    await door.build_workspace(Workspace("web", windows))
    assert len(tmux.panes("#{pane_id}")) == 48


async def pane_of(door: TmuxDoor, workspace: Workspace) -> tuple[str, int]:
    built = await door.build_workspace(workspace)
    look = await door.look()
    assert look.presence is Presence.PRESENT
    session = look.by_id(built)
    assert session is not None
    pane = next(session.panes())
    # A process that was only just forked has no terminal yet.
    eventually(lambda: prompt.terminal_of(pane.pid), "the terminal")
    return pane.id, pane.pid


async def test_lines_are_typed_in_order_into_whatever_reads_them(tmux: TmuxBox, door: TmuxDoor) -> None:
    lines = (
        Command(" cat > out"),
        Command("#{pid} $HOME 'é"),
        Command(""),
        Command("last", enter=False),
    )
    pane, pid = await pane_of(door, one_pane(tmux))
    await door.type_lines(pane, pid, lines)
    out = tmux.folder / "out"
    eventually(lambda: out.exists() and out.read_text() == "#{pid} $HOME 'é\n\n", "the lines")
    screen = ("capture-pane", "-p", "-t", pane)
    eventually(lambda: tmux.run(*screen).rstrip().endswith("last"), "the line that is not entered")


async def test_pauses_are_kept(tmux: TmuxBox, door: TmuxDoor) -> None:
    pane, pid = await pane_of(door, one_pane(tmux))
    loop = asyncio.get_running_loop()
    began = loop.time()
    await door.type_lines(pane, pid, (Command(" :", sleep_after=0.2), Command(" :", sleep_before=0.1)))
    assert loop.time() - began >= 0.3


async def test_more_than_a_terminal_holds_is_typed_as_it_is_read(tmux: TmuxBox, door: TmuxDoor) -> None:
    lines = tuple(Command(f" echo {'x' * 900} >> out") for _ in range(12))
    pane, pid = await pane_of(door, one_pane(tmux))
    await door.type_lines(pane, pid, lines)
    out = tmux.folder / "out"
    eventually(lambda: out.exists() and out.read_text() == f"{'x' * 900}\n" * 12, "every line")


async def test_nothing_is_typed_into_another_process(tmux: TmuxBox, door: TmuxDoor) -> None:
    pane, pid = await pane_of(door, one_pane(tmux))
    with pytest.raises(Temporary, match="no longer holds"):
        await door.type_lines(pane, pid + 1, (Command("touch pwned"),))
    assert not (tmux.folder / "pwned").exists()


class PauseUntil(SystemClock):
    """A clock whose longest pause lasts until something is true."""

    def __init__(self, question: Callable[[], object]) -> None:
        self._question = question

    async def sleep(self, seconds: float) -> None:
        if seconds == 600.0:
            eventually(self._question, "the end of the pause")
        else:
            await super().sleep(seconds)


async def test_what_is_half_typed_is_not_tried_again(
    tmux: TmuxBox, door: TmuxDoor, runner: TmuxRunner
) -> None:
    pane, pid = await pane_of(door, one_pane(tmux))
    clock = PauseUntil(lambda: tmux.show(pane, "#{pane_in_mode}") == "1")
    lines = (Command(" tmux copy-mode", sleep_after=600.0), Command(" touch pwned"))
    with pytest.raises(Permanent, match=r"1 of 2 lines were typed into .*copy mode"):
        await keyboard.type_lines(Typist(runner, clock, process.in_front), clock, pane, pid, lines)
    assert not (tmux.folder / "pwned").exists()


async def test_options_of_a_window(tmux: TmuxBox, door: TmuxDoor) -> None:
    await pane_of(door, one_pane(tmux))
    window = tmux.show("=web:", "#{window_id}")
    await door.set_options(window, (("@a", "#(touch pwned)"), ("synchronize-panes", "on")))
    assert tmux.run("show-options", "-w", "-v", "-t", window, "@a") == "#(touch pwned)"
    with pytest.raises(TmuxRefused):
        await door.set_options(window, (("no-such-option", "1"),))
