"""Taking a living session away, and building one window into another: nothing else is touched."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import pytest

from sidecar.clock import SystemClock
from sidecar.edges import process
from sidecar.edges.tmux import closing
from sidecar.edges.tmux.dead import lives
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.errors import CheckpointUnusable, TmuxAbsent, TmuxRefused
from sidecar.model.session import SavedWindow, Session, SessionImage
from tests.box import TmuxBox, eventually
from tests.edges.test_tmux_rebuild import build_web, capture, keep_alive


async def living(door: TmuxDoor, name: str) -> Session:
    session = (await door.look()).find(name)
    assert session is not None
    return session


def only(image: SessionImage, index: int) -> SessionImage:
    return replace(image, windows=tuple(window for window in image.windows if window.index == index))


def panes(tmux: TmuxBox) -> set[str]:
    return set(tmux.panes("#{pane_id} #{pane_pid} #{window_id} #{window_index} #{window_layout}"))


def form(tmux: TmuxBox, index: int) -> list[str]:
    """The window as a person sees it."""
    words = (
        "#{?automatic-rename,,#{window_name}} #{window_zoomed_flag} #{pane_index} #{pane_active} "
        "#{pane_width}x#{pane_height} #{pane_title} #{pane_current_path} #{pane_current_command}"
    )
    return tmux.run("list-panes", "-t", f"=web:{index}", "-F", words).splitlines()


async def test_the_only_session_goes_with_its_processes_and_the_server_stays(
    tmux: TmuxBox, door: TmuxDoor
) -> None:
    build_web(tmux)
    server, session = tmux.server_pid(), await living(door, "web")
    keeper = await door.close_session(session)
    assert not [pane for pane in session.panes() if lives(pane.pid)]
    assert (tmux.server_pid(), tmux.sessions()) == (server, {keeper})
    assert tmux.run("show-options", "-v", "-t", f"={keeper}:", "@sidecar") == "off"
    again = await door.close_session(session)
    assert tmux.sessions() == {keeper, again}
    await door.let_go(keeper)
    await door.let_go(again)
    await door.let_go(again)
    eventually(lambda: not tmux.sessions())


async def test_other_sessions_are_not_touched(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    before = panes(tmux)
    build_web(tmux)
    await door.let_go(await door.close_session(await living(door, "web")))
    assert panes(tmux) == before


async def test_a_process_that_will_not_end_is_left_to_itself(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    tmux.run("new-session", "-d", "-s", "web", "trap '' HUP; echo ready; while :; do sleep 0.1; done")
    eventually(lambda: "ready" in tmux.run("capture-pane", "-p", "-t", "=web:"))
    session = await living(door, "web")
    (pane,) = session.panes()
    try:
        await door.let_go(await door.close_session(session))
        assert tmux.sessions() == {"keeper"}
        assert lives(pane.pid)
    finally:
        os.kill(pane.pid, signal.SIGKILL)


async def test_windows_that_live_on_elsewhere_are_not_waited_for(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    build_web(tmux)
    tmux.run("link-window", "-d", "-s", "=web:0", "-t", "=keeper:7")
    clock = SystemClock()
    session, began = await living(door, "web"), clock.monotonic()
    await door.let_go(await door.close_session(session))
    assert clock.monotonic() - began < closing._PATIENCE
    shared, *others = session.windows
    assert all(lives(pane.pid) for pane in shared.panes)
    assert not [pane for window in others for pane in window.panes if lives(pane.pid)]


async def test_without_a_server_nothing_is_started(tmux: TmuxBox, door: TmuxDoor) -> None:
    build_web(tmux)
    session = await living(door, "web")
    tmux.run("kill-server")
    eventually(lambda: not tmux.server_pid())
    with pytest.raises(TmuxAbsent):
        await door.close_session(session)
    assert tmux.server_pid() == 0


@pytest.mark.parametrize("index", [0, 4, 9])
async def test_a_window_comes_back_as_it_was(tmux: TmuxBox, door: TmuxDoor, index: int) -> None:
    build_web(tmux)
    image, before = (await capture(door, "web")).image, form(tmux, index)
    tmux.run("select-window", "-t", "=web:9" if index == 0 else "=web:0")
    tmux.run("kill-window", "-t", f"=web:{index}")
    left = panes(tmux)
    await door.rebuild_window(await living(door, "web"), only(image, index), {})
    assert panes(tmux) >= left
    eventually(lambda: form(tmux, index) == before, f"{before} like {form(tmux, index)}")


async def test_the_hooks_of_a_window_come_back_and_do_not_see_its_building(
    tmux: TmuxBox, door: TmuxDoor
) -> None:
    build_web(tmux)
    tmux.run("set-hook", "-w", "-t", "=web:4", "window-layout-changed", "set-option -g @seen yes")
    image = only((await capture(door, "web")).image, 4)
    tmux.run("kill-window", "-t", "=web:4")
    tmux.run("set-option", "-gu", "@seen")
    await door.rebuild_window(await living(door, "web"), image, {})
    assert "@seen" in tmux.run("show-hooks", "-w", "-t", "=web:4")
    assert tmux.run("show-options", "-gqv", "@seen") == ""


async def test_a_window_that_is_there_is_not_replaced(tmux: TmuxBox, door: TmuxDoor) -> None:
    build_web(tmux)
    image, before = (await capture(door, "web")).image, panes(tmux)
    with pytest.raises(TmuxRefused, match="index"):
        await door.rebuild_window(await living(door, "web"), only(image, 4), {})
    assert panes(tmux) == before


async def test_a_window_that_fails_half_way_leaves_nothing(
    tmux: TmuxBox, runner: TmuxRunner, door: TmuxDoor
) -> None:
    build_web(tmux)
    image, before = (await capture(door, "web")).image, panes(tmux)
    (window,) = only(image, 9).windows
    three = tuple(replace(window.panes[0], index=number) for number in range(3))
    # tmux refuses a layout that has too few cells, when the panes are there already.
    layout = only(image, 4).windows[0].layout
    broken: SavedWindow = replace(window, index=12, panes=three, layout=layout)
    trusting = TmuxDoor(
        runner, SystemClock(), boot_id="boot", complete=process.complete, in_front=process.in_front,
        valid_layout=lambda text, count: True, scratch=tmux.folder / "scratch",
    )  # fmt: skip
    with pytest.raises(TmuxRefused, match="panes"):
        await trusting.rebuild_window(await living(door, "web"), replace(image, windows=(broken,)), {})
    assert panes(tmux) == before


async def test_there_is_no_such_window(tmux: TmuxBox, door: TmuxDoor) -> None:
    build_web(tmux)
    image = only((await capture(door, "web")).image, 77)
    with pytest.raises(CheckpointUnusable, match="no such window"):
        await door.rebuild_window(await living(door, "web"), image, {})
