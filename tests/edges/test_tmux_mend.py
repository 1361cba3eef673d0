"""Single declared parts put back on a real server: to the letter, all or nothing, nothing else touched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.decide.layout import checksum, skeleton
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.errors import SidecarError, TmuxRefused
from sidecar.model.session import Session, Window
from sidecar.model.workspace import Beside, DeclaredPane, DeclaredWindow
from tests.box import TmuxBox, eventually

NASTY = ["a b;\"$(x)'é", "#(touch pwned)", "#{pid}", "x\\y", "$1", "%0", "=x", "-x"]


async def live(door: TmuxDoor) -> Session:
    session = (await door.look()).find("web")
    assert session is not None
    return session


async def only(door: TmuxDoor) -> Window:
    (window,) = (await live(door)).windows
    return window


def start(tmux: TmuxBox, panes: int = 1) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "120", "-y", "40", "-n", "one", "sleep 5000")
    for _ in range(panes - 1):
        tmux.run("split-window", "-d", "-t", "=web:", "sleep 5000")
    eventually(lambda: set(tmux.panes("#{pane_current_command}")) == {"sleep"}, "the commands")


@pytest.mark.parametrize("name", NASTY)
async def test_a_window_is_built_to_the_letter(tmux: TmuxBox, door: TmuxDoor, name: str) -> None:
    start(tmux)
    before = tmux.panes("#{pane_id} #{pane_pid} #{window_active}")
    folder = tmux.folder / name
    folder.mkdir()
    pane = DeclaredPane(str(folder), title=name, environment=(("ODD", name),))
    await door.build_declared_window(await live(door), 7, DeclaredWindow((pane, pane), name=name))
    session = await live(door)
    window = session.windows[-1]
    assert (window.index, window.name, window.active) == (7, name, False)
    assert [pane.title for pane in window.panes] == [name, name]
    eventually(lambda: tmux.panes("#{pane_current_path}")[1:] == [str(folder)] * 2, "the folders")
    assert tmux.panes("#{pane_id} #{pane_pid} #{window_active}")[:1] == before
    assert not list(tmux.folder.rglob("pwned"))


async def test_a_window_is_never_built_over_another(tmux: TmuxBox, door: TmuxDoor) -> None:
    start(tmux)
    before = tmux.panes("#{window_id} #{pane_id}")
    with pytest.raises(TmuxRefused, match="in use"):
        await door.build_declared_window(await live(door), 0, DeclaredWindow((DeclaredPane("/"),)))
    assert tmux.panes("#{window_id} #{pane_id}") == before


async def test_half_a_window_is_removed_again(tmux: TmuxBox, door: TmuxDoor) -> None:
    start(tmux)
    bad = DeclaredWindow((DeclaredPane("/"), DeclaredPane("/")), options=(("no-such-option", "1"),))
    with pytest.raises(TmuxRefused, match="no-such-option"):
        await door.build_declared_window(await live(door), 7, bad)
    assert tmux.panes("#{window_index}") == ["0"]


@pytest.mark.parametrize(("before", "place"), [(False, 1), (True, 0)])
async def test_a_pane_comes_beside_its_neighbour(
    tmux: TmuxBox, door: TmuxDoor, before: bool, place: int
) -> None:
    start(tmux, 2)
    window = await only(door)
    beside = Beside(window.id, window.panes[0].id, before=before, layout="even-horizontal", panes=3)
    built = await door.build_declared_pane(beside, DeclaredPane(str(tmux.folder), title="#(touch pwned)"))
    after = await only(door)
    assert after.panes[place].id == built
    assert after.panes[place].title == "#(touch pwned)"
    assert skeleton(after.layout) == "{.,.,.}"
    assert {pane.id: pane.pid for pane in window.panes}.items() <= {p.id: p.pid for p in after.panes}.items()
    assert [pane.id for pane in after.panes if pane.active] == [p.id for p in window.panes if p.active]
    assert not list(tmux.folder.rglob("pwned"))


async def test_a_layout_is_not_given_to_other_panes_than_it_is_for(tmux: TmuxBox, door: TmuxDoor) -> None:
    start(tmux, 2)
    window = await only(door)
    await door.build_declared_pane(
        Beside(window.id, window.panes[0].id, layout="even-horizontal", panes=4), DeclaredPane("/")
    )
    assert skeleton((await only(door)).layout) == "[.,.,.]"


async def test_a_zoomed_window_stays_so(tmux: TmuxBox, door: TmuxDoor) -> None:
    start(tmux, 2)
    tmux.run("resize-pane", "-Z", "-t", "=web:")
    window = await only(door)
    beside = Beside(window.id, window.panes[0].id, layout="tiled", panes=3, zoomed=True)
    await door.build_declared_pane(beside, DeclaredPane("/"))
    after = await only(door)
    assert (after.zoomed, len(after.panes)) == (True, 3)
    assert [pane.id for pane in after.panes if pane.active] == [p.id for p in window.panes if p.active]


async def test_without_a_neighbour_nothing_is_built(tmux: TmuxBox, door: TmuxDoor) -> None:
    start(tmux)
    window = await only(door)
    with pytest.raises(SidecarError):
        await door.build_declared_pane(Beside(window.id, "%99"), DeclaredPane("/"))
    assert len((await only(door)).panes) == 1


async def test_a_folder_that_is_gone_gives_way_to_its_parent(tmux: TmuxBox, door: TmuxDoor) -> None:
    start(tmux)
    window = await only(door)
    gone = DeclaredPane(str(Path(tmux.folder) / "gone" / "too"))
    await door.build_declared_pane(Beside(window.id, window.panes[0].id), gone)
    eventually(lambda: str(tmux.folder) in tmux.panes("#{pane_current_path}"), "the parent")


_GARBAGE = [
    "no-such-layout",
    "dead,80x24,0,0,1",
    f"{checksum('80x24,0,0,1')},80x24,0,0,1",
    "}{",
    "",
    "a" * 10_000,
]


@pytest.mark.parametrize("layout", _GARBAGE)
async def test_garbage_never_reaches_select_layout(tmux: TmuxBox, door: TmuxDoor, layout: str) -> None:
    start(tmux, 2)
    window = await only(door)
    await door.arrange(window.id, layout, 2)
    assert replace(await only(door), activity=0) == replace(window, activity=0)


async def test_a_layout_is_given(tmux: TmuxBox, door: TmuxDoor) -> None:
    start(tmux, 3)
    window = await only(door)
    await door.arrange(window.id, "main-vertical", 3)
    given = (await only(door)).layout
    assert skeleton(given) == "{.,[.,.]}"
    await door.arrange(window.id, "even-vertical", 3)
    await door.arrange(window.id, given, 3)
    assert skeleton((await only(door)).layout) == "{.,[.,.]}"
    # Somebody has closed one meanwhile.
    await door.arrange(window.id, "even-horizontal", 4)
    assert skeleton((await only(door)).layout) == "{.,[.,.]}"
