"""What a recovery leaves in tmux for the next run: done once, found again, and taken away."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.marks import MARKS_COMMAND
from sidecar.errors import Temporary, TmuxRefused
from sidecar.model.saga import BACK, Marks
from sidecar.model.session import Session, image_of
from sidecar.model.workspace import Beside, Command, DeclaredPane, DeclaredWindow, Workspace
from tests.box import TmuxBox, eventually
from tests.edges.test_tmux_acts import kill, pids, typed

MARK = "0123456789abcdef-7"


async def live(door: TmuxDoor, name: str = "web") -> Session:
    found = (await door.look()).find(name)
    assert found is not None
    return found


async def test_without_a_server_nothing_is_marked(door: TmuxDoor) -> None:
    assert await door.marks(MARK) == Marks()
    await door.remove_marked(MARK)
    await door.unmark(MARK)


async def test_in_a_server_without_sessions_nothing_is_marked(tmux: TmuxBox, door: TmuxDoor) -> None:
    """What a kill -9 leaves in the moment between a server's birth and its first session."""
    tmux.run("start-server", ";", "set-option", "-s", "exit-empty", "off")
    assert tmux.sessions() == set()
    assert await door.marks(MARK) == Marks()
    await door.remove_marked(MARK)
    await door.unmark_others([])


async def test_a_pane_is_respawned_once_under_one_mark(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    await door.arm(["@0"])
    first = kill(tmux, "%0")
    assert await door.respawn("%0", first, "/tmp", (), MARK)
    second = pids(tmux)["%0"]
    assert await door.respawn("%0", first, "/tmp", (), MARK)
    assert pids(tmux)["%0"] == second
    assert not await door.respawn("%0", first, "/tmp", (), "another-8")
    kill(tmux, "%0")
    assert await door.respawn("%0", first, "/tmp", (), MARK)
    assert pids(tmux)["%0"] == second


async def test_a_line_is_typed_once_under_one_mark(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-c", str(tmux.folder), "bash --norc")
    pid = pids(tmux)["%0"]
    await door.enter("%0", pid, typed("echo x >> out"), MARK)
    eventually((tmux.folder / "out").exists)
    assert (await door.marks(MARK)).typed == {"%0": 1}
    assert (await door.marks("another-8")).typed == {}
    with pytest.raises(Temporary, match="nothing was typed"):
        await door.enter("%0", pid, typed("echo x >> out"), MARK)
    await door.enter("%0", pid, typed("echo x >> out"), "another-8")
    eventually(lambda: (tmux.folder / "out").read_text() == "x\nx\n")


async def test_lines_go_on_where_they_were_cut_off(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-c", str(tmux.folder), "bash --norc")
    lines = [Command("echo 1 >> out"), Command("echo 2 >> out", sleep_after=60.0), Command("echo 3 >> out")]
    pid = pids(tmux)["%0"]
    cut_off = asyncio.create_task(door.type_lines("%0", pid, lines, MARK))
    while (await door.marks(MARK)).typed != {"%0": 2}:
        await asyncio.sleep(0.01)
    cut_off.cancel()
    await door.type_lines("%0", pid, lines, MARK, 2)
    eventually(lambda: (tmux.folder / "out").read_text() == "1\n2\n3\n")
    assert (await door.marks(MARK)).typed == {"%0": 3}


@pytest.mark.parametrize("hooks", [False, True])
async def test_a_session_is_marked_whole_and_found_again(tmux: TmuxBox, door: TmuxDoor, hooks: bool) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    tmux.run("new-session", "-d", "-s", "other", "sleep 1000")
    if hooks:
        tmux.run("set-hook", "-t", "=web:", "pane-exited", "set-option -g @x y")
    before = await door.capture(await live(door), await door.look(), 0, 1.0, False)
    tmux.run("kill-session", "-t", "=web")
    built = await door.rebuild(before.image, {}, (), MARK)
    assert await door.marks(MARK) == Marks(built)
    after = await door.capture(await live(door), await door.look(), 0, 1.0, False)
    assert after.image.options == before.image.options
    await door.unmark(MARK)
    assert await door.marks(MARK) == Marks()
    assert MARK not in tmux.run(*MARKS_COMMAND)


async def test_a_session_that_was_begun_is_not_whole_and_alone_is_removed(
    tmux: TmuxBox, door: TmuxDoor
) -> None:
    for name in ("web", "other"):
        tmux.run("new-session", "-d", "-s", name, "sleep 1000")
    tmux.run("set-option", "-t", "=web:", "@sidecar_recovery", f"{MARK}:begun")
    tmux.run("set-option", "-t", "=other:", "@sidecar_recovery", "another-8")
    assert await door.marks(MARK) == Marks(unfinished=True)
    await door.remove_marked(MARK)
    assert tmux.sessions() == {"other"}
    await door.remove_marked("another-8")
    assert tmux.sessions() == set()


async def test_a_window_is_marked_and_alone_is_removed(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    session = await live(door)
    image = image_of(session, width=80, height=24)
    image = replace(image, windows=(replace(image.windows[0], index=5, active=False),))
    await door.rebuild_window(session, image, {}, (), MARK)
    marks = await door.marks(MARK)
    assert (marks.window, marks.session) == ("@1", "")
    await door.remove_marked(MARK)
    assert tmux.panes("#{window_index}") == ["0"]


async def test_a_declared_session_is_marked_too(tmux: TmuxBox, door: TmuxDoor) -> None:
    workspace = Workspace("web", (DeclaredWindow((DeclaredPane(str(tmux.folder)),)),), cwd=str(tmux.folder))
    built = await door.build_workspace(workspace, MARK)
    assert await door.marks(MARK) == Marks(built)


async def test_only_marks_that_are_needed_stay(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    tmux.run("set-option", "-t", "=web:", "@sidecar_recovery", f"{MARK}{BACK}")
    tmux.run("set-option", "-p", "-t", "=web:", "@sidecar_entered", "another-8:1")
    await door.unmark_others([MARK])
    assert tmux.show("=web:", "#{@sidecar_recovery} #{@sidecar_entered}") == f"{MARK}{BACK} "


async def test_a_pane_that_was_built_is_found_by_its_place_and_goes_by_its_mark(
    tmux: TmuxBox, door: TmuxDoor
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "80", "-y", "24", "-c", "/tmp", "sleep 1000")
    tmux.run("split-window", "-d", "-h", "-t", "=web:", "-c", "/tmp", "sleep 1001")
    image = image_of(await live(door), width=80, height=24)
    (window,) = image.windows
    alone = replace(image, windows=(replace(window, panes=window.panes[1:]),))
    beside = Beside("@0", "%0", layout=window.layout, panes=2, sideways=True)
    tmux.run("kill-pane", "-t", "%1")
    built = await door.rebuild_pane(beside, alone, {}, (), MARK)
    assert (await door.marks(MARK)).panes == {(0, 1): built}
    assert (await door.marks("another-8")).panes == {}
    assert tmux.show(built, "#{pane_index} #{pane_current_command} #{pane_left}") == "1 sleep 41"
    await door.remove_marked("another-8")
    assert len(tmux.panes("#{pane_id}")) == 2
    await door.remove_marked(MARK)
    assert tmux.panes("#{pane_id}") == ["%0"]
    again = await door.rebuild_pane(beside, alone, {}, (), MARK)
    await door.unmark(MARK)
    await door.remove_marked(MARK)
    assert tmux.panes("#{pane_id}") == ["%0", again]


async def test_a_pane_is_not_built_into_a_window_that_has_changed(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    tmux.run("new-window", "-d", "-t", "=web:", "sleep 1001")
    image = image_of(await live(door), width=80, height=24)
    alone = replace(image, windows=image.windows[:1])
    for beside in (Beside("@0", "%1"), Beside("@0", "%99")):
        with pytest.raises(TmuxRefused):
            await door.rebuild_pane(beside, alone, {}, (), MARK)
    assert len(tmux.panes("#{pane_id}")) == 2
