"""A look tells exactly what is there, or says that it does not know."""

from __future__ import annotations

import os
import signal

import libtmux
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.clock import SystemClock
from sidecar.config import TmuxSettings
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.snapshot import LOOK_COMMAND, parse_look
from sidecar.edges.tmux.text import command, literal, script, split_arguments
from sidecar.model.session import Presence
from tests.box import TmuxBox, eventually
from tests.door import open_door

NASTY = [
    "a b;\"$(x)'é",
    "#(touch pwned)",
    "#{pid}",
    "x\\y",
    "a#[z",
    "tab\there",
    "new\nline",
    "$1",
    "%0",
    "=x",
]
_WAITS = ("sh", "-c", "read x")
"""A command that stays, whatever its further arguments are."""


async def test_no_server_is_absent(door: TmuxDoor) -> None:
    look = await door.look()
    assert look.presence is Presence.ABSENT
    assert look.reason


async def test_a_server_without_sessions_is_present(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("start-server", ";", "set-option", "-g", "exit-empty", "off")
    look = await door.look()
    assert (look.presence, look.sessions) == (Presence.PRESENT, ())
    assert look.server is not None
    assert look.server.pid == int(tmux.run("display-message", "-p", "#{pid}"))


async def test_a_stopped_server_is_unknown_until_it_goes_on(tmux: TmuxBox, runner: TmuxRunner) -> None:
    tmux.run("new-session", "-d", "-s", "a", "sleep 1000")
    hasty = open_door(tmux, TmuxRunner(TmuxSettings(socket_name=tmux.name, timeout=0.2), runner.environment))
    server = tmux.server_pid()
    os.kill(server, signal.SIGSTOP)
    try:
        assert (await hasty.look()).presence is Presence.UNKNOWN
    finally:
        os.kill(server, signal.SIGCONT)
    assert (await hasty.look()).presence is Presence.PRESENT


async def test_names_are_told_to_the_letter(tmux: TmuxBox, runner: TmuxRunner, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "plain", "sleep 1000")
    lines = [command("new-session", "-d", "-s", literal(name), "sleep 1000") for name in NASTY]
    lines += [
        command("new-window", "-d", "-t", "=plain:", "-n", literal(name), "sleep 1000") for name in NASTY
    ]
    await runner.source(script(*lines))
    look = await door.look()
    assert {session.name for session in look.sessions} == {"plain", *NASTY}
    plain = look.find("plain")
    assert plain is not None
    assert [window.name for window in plain.windows[1:]] == NASTY
    assert not (tmux.folder / "pwned").exists()


async def test_titles_folders_and_commands_are_told_to_the_letter(
    tmux: TmuxBox, runner: TmuxRunner, door: TmuxDoor
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    printable = [name for name in NASTY if name.isprintable()]
    for name in NASTY:
        folder = tmux.folder / "cwd" / name
        folder.mkdir(parents=True)
        # tmux itself refuses titles with control characters.
        title = name if name in printable else ""
        lines = [
            command("new-window", "-t", "=web:", "-c", literal(str(folder)), "--", *_WAITS, name),
            command("select-pane", "-t", "=web:", "-T", literal(f"t {title}")),
        ]
        await runner.source(script(*lines))
    # The folder is that of the process, which is tmux's own until it has become the command.
    web = None
    while web is None or any(pane.argv[:3] != _WAITS for pane in list(web.panes())[1:]):
        web = (await door.look()).find("web")
    panes = list(web.panes())[1:]
    assert [pane.cwd for pane in panes] == [f"{tmux.folder}/cwd/{name}" for name in NASTY]
    assert [pane.argv for pane in panes] == [(*_WAITS, name) for name in NASTY]
    assert [split_arguments(pane.start_command) for pane in panes] == [pane.argv for pane in panes]
    assert {pane.title for pane in panes} == {"t ", *(f"t {name}" for name in printable)}
    assert not (tmux.folder / "pwned").exists()


async def test_a_look_agrees_with_libtmux(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "120", "-y", "40", "-n", "one", "sleep 1000")
    tmux.run("split-window", "-t", "=web:one", "-h", "sleep 1001")
    tmux.run("resize-pane", "-Z", "-t", "=web:one")
    tmux.run("new-window", "-t", "=web:7", "-n", "two", "sleep 1002")
    tmux.run("new-session", "-d", "-s", "api", "top")
    tmux.run("set-option", "-t", "=api:", "@sidecar", "off")
    tmux.run("set-option", "-p", "-t", "=api:", "@sidecar_resume", "top; echo")
    server = libtmux.Server(socket_path=str(tmux.socket))
    look = await door.look()
    assert {session.name: session.id for session in look.sessions} == {
        session.session_name: session.session_id for session in server.sessions
    }
    for session in look.sessions:
        for window in session.windows:
            witness = server.windows.get(window_id=window.id)
            assert witness is not None
            assert (str(window.index), window.name) == (witness.window_index, witness.window_name)
            assert (window.layout, window.active) == (witness.window_layout, witness.window_active == "1")
            assert [(p.id, str(p.pid), p.active, p.cwd) for p in window.panes] == [
                (p.pane_id, p.pane_pid, p.pane_active == "1", p.pane_current_path) for p in witness.panes
            ]
    web, api = look.find("web"), look.find("api")
    assert web is not None
    assert api is not None
    assert [(w.index, w.zoomed, w.active, w.last) for w in web.windows] == [
        (0, True, False, True), (7, False, True, False),
    ]  # fmt: skip
    assert api.opted == "off"
    assert [pane.resume for pane in api.panes()] == ["top; echo"]
    assert [pane.start_command for pane in api.panes()] == ["top"]


@pytest.mark.parametrize(("end", "code"), [("kill -9 $$", -9), ("exit 3", 3)])
async def test_a_dead_pane_says_how_it_ended(tmux: TmuxBox, door: TmuxDoor, end: str, code: int) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    tmux.run("set-option", "-g", "remain-on-exit", "failed")
    tmux.run("new-window", "-d", "-t", "=web:3", f"sh -c '{end}'")
    eventually(lambda: tmux.show("=web:3", "#{pane_dead}") == "1", "the pane's end")
    look = await door.look()
    session = look.find("web")
    assert session is not None
    (pane,) = session.windows[1].panes
    assert pane.dead
    assert pane.dead_status in (code, None)
    assert session.windows[1].remain_on_exit == "failed"


async def test_a_window_linked_twice_is_told_twice(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    tmux.run("link-window", "-d", "-s", "=web:0", "-t", "=web:5")
    tmux.run("new-session", "-d", "-s", "twin", "-t", "=web")
    look = await door.look()
    assert {session.name: [window.index for window in session.windows] for session in look.sessions} == {
        "web": [0, 5], "twin": [0, 5],
    }  # fmt: skip
    assert len({pane.id for session in look.sessions for pane in session.panes()}) == 1


async def test_a_cut_answer_is_unknown(tmux: TmuxBox, runner: TmuxRunner) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    raw = await runner.call(*LOOK_COMMAND)
    assert parse_look(raw, 1.0, "boot").presence is Presence.PRESENT
    cut = [raw[:length] for length in range(len(raw))] + [raw + b"x"]
    assert {parse_look(part, 1.0, "boot").presence for part in cut} == {Presence.UNKNOWN}


@given(st.binary() | st.text("VSWP $@%019;-").map(str.encode))
def test_anything_else_is_unknown(raw: bytes) -> None:
    look = parse_look(raw, 1.0, "boot")
    assert look.presence is Presence.UNKNOWN
    assert look.reason


class Sleeper(SystemClock):
    """The machine sleeps, or we are stopped, for a minute during each of the first looks."""

    def __init__(self, naps: int) -> None:
        self._naps = naps
        self._slept = 0.0
        self.asked = 0

    def boottime(self) -> float:
        self.asked += 1
        if self.asked % 2 == 0 and self._naps:
            self._naps -= 1
            self._slept += 60.0
        return super().boottime() + self._slept


@pytest.mark.parametrize(("naps", "looks"), [(0, 1), (1, 2), (2, 3)])
async def test_a_look_that_was_slept_through_is_thrown_away(
    tmux: TmuxBox, runner: TmuxRunner, naps: int, looks: int
) -> None:
    tmux.run("new-session", "-d", "-s", "a", "sleep 1000")
    clock = Sleeper(naps)
    look = await open_door(tmux, runner, clock=clock).look()
    assert (look.presence, clock.asked) == (Presence.PRESENT, 2 * looks)


async def test_who_sleeps_through_every_look_knows_nothing(tmux: TmuxBox, runner: TmuxRunner) -> None:
    tmux.run("new-session", "-d", "-s", "a", "sleep 1000")
    look = await open_door(tmux, runner, clock=Sleeper(99)).look()
    assert (look.presence, look.silent) == (Presence.UNKNOWN, False)
    assert "too old" in look.reason
