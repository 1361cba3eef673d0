"""What is rebuilt is what was there: to the letter, all or nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.edges.tmux.builder import Builder
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.text import command, literal, script, split_arguments
from sidecar.errors import CheckpointUnusable, Temporary, TmuxRefused, TmuxUnknown
from sidecar.model.plan import Start
from sidecar.model.record import Capture
from sidecar.model.session import Presence, SessionImage
from tests.box import TmuxBox, eventually
from tests.edges.texts import texts_of

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
SHAPE = (
    "#{window_index} #{?automatic-rename,,#{window_name}} #{window_layout} #{window_visible_layout} "
    "#{window_active} #{window_last_flag} #{automatic-rename} #{pane_active} "
    "#{n:pane_title}:#{pane_title} #{pane_current_path}"
)


def shape(tmux: TmuxBox, name: str) -> list[str]:
    """The session as tmux tells it, without ids, which are new after a rebuild."""
    listed = tmux.run("list-panes", "-s", "-t", f"={name}:", "-F", f"{SHAPE} #{{pane_id}}\x1e").split("\x1e")
    ids = sorted({line.rpartition(" ")[2] for line in listed}, key=len, reverse=True)
    return [_without_ids(line.rpartition(" ")[0], ids) for line in listed]


def _without_ids(line: str, ids: list[str]) -> str:
    # In a layout a pane is ",WxH,x,y,ID".
    import re

    return re.sub(r"(?<=\d,)\d+(?=[,\]} ])|[0-9a-f]{4}(?=,\d+x\d+,)", "", line) if ids else line


def settles(tmux: TmuxBox, wanted: list[str]) -> None:
    """Programs take a moment to be in their folders."""
    with contextlib.suppress(AssertionError):
        eventually(lambda: shape(tmux, "web") == wanted)
    assert shape(tmux, "web") == wanted


async def capture(door: TmuxDoor, name: str, lines: int = 0) -> Capture:
    look = await door.look()
    session = look.find(name)
    assert session is not None
    return await door.capture(session, look, lines, 1.0, private=False)


async def rebuild(
    tmux: TmuxBox, door: TmuxDoor, image: SessionImage, texts: Mapping[str, bytes] | None = None
) -> str:
    """Kill the session and build it from its image."""
    tmux.run("kill-session", "-t", f"={image.name}:")
    return await door.rebuild(image, texts or {})


def keep_alive(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "keeper", "sleep 1000")


def build_web(tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "150", "-y", "45", "-n", "one", "sleep 1001")
    tmux.run("split-window", "-t", "=web:", "-h", "-l", "40", "sleep 1002")
    tmux.run("split-window", "-t", "=web:", "-v", "-l", "10", "sleep 1003")
    tmux.run("select-pane", "-t", "=web:.1")
    tmux.run("new-window", "-t", "=web:4", "-c", "/usr", "cd /usr/share && exec sleep 1004")
    tmux.run("split-window", "-t", "=web:4", "-c", "/tmp", "--", "sleep", "1005")
    tmux.run("select-pane", "-t", "=web:4", "-T", "a title")
    tmux.run("resize-pane", "-Z", "-t", "=web:4")
    tmux.run("new-window", "-t", "=web:9", "-n", "named", "-c", "/")
    tmux.run("select-window", "-t", "=web:4")
    tmux.run("select-window", "-t", "=web:0")
    eventually(lambda: "/usr/share" in tmux.run("list-panes", "-a", "-F", "#{pane_current_path}"), "the cd")


async def test_a_rebuilt_session_has_the_shape_of_the_old_one(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    build_web(tmux)
    image = (await capture(door, "web")).image
    before = shape(tmux, "web")
    session_id = await rebuild(tmux, door, image)
    settles(tmux, before)
    look = await door.look()
    session = look.by_id(session_id)
    assert session is not None
    assert session.name == "web"
    assert all(window.remain_on_exit == "failed" and window.armed for window in session.windows)
    commands = [pane.start_command for window in image.windows for pane in window.panes]
    assert [pane.start_command for pane in session.panes()] == commands


async def test_a_pane_may_start_another_command_and_later(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    build_web(tmux)
    captured = await capture(door, "web", 10)
    instead = ("sh", "-c", "sleep 1006; exit", "a b", "#{pid}")
    tmux.run("kill-session", "-t", "=web:")
    await door.rebuild(
        captured.image,
        texts_of(captured),
        [Start(0, 0, instead), Start(0, 1, (), 0.3), Start(4, 1, instead, 0.3), Start(7, 7, instead)],
    )
    session = (await door.look()).find("web")
    assert session is not None
    commands = [pane.start_command for window in captured.image.windows for pane in window.panes]
    found = [pane.start_command for pane in session.panes()]
    assert [split_arguments(each) for each in found] == [
        instead, split_arguments(commands[1]), *map(split_arguments, commands[2:4]), instead,
        *map(split_arguments, commands[5:]),
    ]  # fmt: skip
    panes = {(window.index, pane.index): pane.pid for window in session.windows for pane in window.panes}
    for place, argv in {(0, 0): instead, (0, 1): ("sleep", "1002"), (4, 1): instead}.items():
        eventually(lambda place=place, argv=argv: argv_of(panes[place]) == argv, f"the command of {place}")


def argv_of(pid: int) -> tuple[str, ...]:
    return tuple(Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1])


@pytest.mark.parametrize("option", ["base-index 3", "pane-base-index 7", "renumber-windows on", "status 3"])
async def test_indexes_hold_whatever_the_users_options_are(
    tmux: TmuxBox, door: TmuxDoor, option: str
) -> None:
    keep_alive(tmux)
    build_web(tmux)
    image = (await capture(door, "web")).image
    before = shape(tmux, "web")
    tmux.run("set-option", "-g", *option.split())
    await rebuild(tmux, door, image)
    settles(tmux, before)


@pytest.mark.parametrize("name", NASTY)
async def test_names_and_titles_come_back_to_the_letter(
    tmux: TmuxBox, runner: TmuxRunner, door: TmuxDoor, name: str
) -> None:
    keep_alive(tmux)
    folder = tmux.folder / "cwd" / name
    folder.mkdir(parents=True)
    title = name if name.isprintable() else "title"
    await runner.source(
        script(
            command(
                "new-session", "-d", "-s", literal(name), "-n", literal(name), "-c", literal(str(folder)),
                "--", "sh", "-c", "read x", name,
            )
        )
    )  # fmt: skip
    session_id = next(session.id for session in (await door.look()).sessions if session.name == name)
    await runner.source(
        script(
            command("select-pane", "-t", f"{session_id}:", "-T", literal(title)),
            command("new-window", "-t", f"{session_id}:", "-n", literal(f"{name}2")),
        )
    )

    def folder_of(session: str) -> str:
        return tmux.show(f"{session}:0", "#{pane_current_path}")

    # A process that is just being started is not in its folder yet.
    eventually(lambda: folder_of(session_id) == str(folder), "the folder")
    image = (await capture(door, name)).image
    await runner.call("kill-session", "-t", session_id)
    rebuilt = await door.rebuild(image, {})
    again = (await capture(door, name)).image
    eventually(lambda: folder_of(rebuilt) == str(folder), "the folder")
    assert [window.name for window in again.windows] == [name, f"{name}2"]
    assert again.windows[0].panes[0].title == title
    assert again.windows[0].panes[0].start_command == image.windows[0].panes[0].start_command
    assert not list(tmux.folder.rglob("pwned"))


async def test_automatic_names_stay_automatic(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    tmux.run("new-session", "-d", "-s", "web", "-n", "fixed", "sleep 1000")
    tmux.run("new-window", "-t", "=web:", "sleep 1000")
    image = (await capture(door, "web")).image
    assert [window.automatic_rename for window in image.windows] == [False, True]
    tmux.run("set-option", "-gw", "automatic-rename", "off")
    await rebuild(tmux, door, image)
    assert [w.automatic_rename for w in (await capture(door, "web")).image.windows] == [False, True]


async def test_the_environment_comes_back(tmux: TmuxBox, door: TmuxDoor, runner: TmuxRunner) -> None:
    keep_alive(tmux)
    tmux.run("set-environment", "-g", "DISPLAY", ":7")
    show = "env > seen.$(tmux display-message -p -t $TMUX_PANE '#{window_index}'); sleep 1000"
    tmux.run("new-session", "-d", "-E", "-s", "web", "-e", 'A=x"$`\\y #(touch pwned)', "-e", "B=1\n2", show)
    tmux.run("set-environment", "-r", "-t", "=web:", "DISPLAY")
    tmux.run("new-window", "-t", "=web:", show)
    image = (await capture(door, "web")).image
    for file in tmux.folder.glob("seen.*"):
        file.unlink()
    await rebuild(tmux, door, image)
    assert (await capture(door, "web")).image.environment == image.environment
    for number in (0, 1):
        seen = tmux.folder / f"seen.{number}"
        eventually(
            lambda seen=seen: seen.exists() and "\nB=1\n2\n" in f"\n{seen.read_text()}", "the variables"
        )
        assert "DISPLAY" not in seen.read_text()
    again = (await capture(door, "web")).image
    assert [w.panes[0].start_command for w in again.windows] == [
        w.panes[0].start_command for w in image.windows
    ]
    assert not (tmux.folder / "pwned").exists()


async def test_of_old_text_only_its_colours_act_on_the_terminal(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    tmux.run("new-session", "-d", "-s", "web", "-x", "80", "-y", "20", "echo text; exec sleep 1000")
    eventually(lambda: "text" in tmux.run("capture-pane", "-p", "-t", "=web:"), "the text")
    taken = await capture(door, "web", lines=100)
    (digest,) = taken.manifests
    hostile = (
        b"\x1b]2;owned\x07\x1b[?1049h\x1b[2J\x1b[31mred\n" + b"x" * 10_000 + b"\n\xff\x1bc\n"
        b"\x1b]8;;http://there\x1b\\a link\x1b]8;;\x1b\\ \x0elqk\x0f\x1b[6n the end\n"
    )
    await rebuild(tmux, door, taken.image, {digest: hostile})
    eventually(lambda: "the end" in tmux.run("capture-pane", "-p", "-t", "=web:"), "the old text")
    shown = tmux.run("capture-pane", "-p", "-e", "-J", "-S", "-", "-t", "=web:")
    assert "\x1b[31mred" in shown
    assert "x" * 10_000 in shown
    assert "\ufffd" in shown
    assert "a link ┌─┐ the end" in shown
    assert tmux.show("=web:", "#{pane_title} #{alternate_on}") != "owned 1"
    assert "owned" not in tmux.show("=web:", "#{pane_title}")


async def test_scrollback_comes_back_and_its_files_go(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    tmux.run(
        "new-session",
        "-d",
        "-s",
        "web",
        "-x",
        "80",
        "-y",
        "20",
        r"printf '\033[31mred text\n'; exec sleep 1000",
    )
    tmux.run("split-window", "-t", "=web:", "--", "sh", "-c", "echo 'argv text'; exec sleep 1001")
    tmux.run("new-window", "-t", "=web:")
    tmux.run("send-keys", "-t", "=web:1", "echo shell text", "Enter")
    eventually(lambda: "\nshell text" in tmux.run("capture-pane", "-p", "-t", "=web:1"), "the shell")
    eventually(lambda: "argv text" in tmux.run("capture-pane", "-p", "-t", "=web:0.1"), "the text")
    taken = await capture(door, "web", lines=100)
    image = taken.image
    await rebuild(tmux, door, image, texts_of(taken))
    scratch = tmux.folder / "scratch"
    eventually(lambda: not list(scratch.iterdir()), "the files to be read and removed")
    eventually(
        lambda: tmux.run("capture-pane", "-p", "-t", "=web:0.0").count("red text") == 2, "the old text"
    )
    assert "argv text" in tmux.run("capture-pane", "-p", "-t", "=web:0.1")
    assert "shell text" in tmux.run("capture-pane", "-p", "-t", "=web:1")
    assert "\x1b[31mred text" in tmux.run("capture-pane", "-p", "-e", "-t", "=web:0.0")
    session = (await door.look()).find("web")
    assert session is not None
    wanted = [pane.start_command for window in image.windows for pane in window.panes]
    assert [pane.start_command for pane in session.panes()] == wanted
    eventually(lambda: tmux.show("=web:0.0", "#{pane_current_command}") == "sleep", "the program")
    eventually(lambda: tmux.show("=web:1", "#{pane_current_command}") == "bash", "the shell")
    assert os.stat(scratch).st_mode & 0o777 == 0o700


async def test_a_folder_that_is_gone_is_replaced_by_its_nearest_parent(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    deep = tmux.folder / "a" / "b #{pid}" / "c"
    deep.mkdir(parents=True)
    tmux.run("new-session", "-d", "-s", "web", "-c", str(deep).replace("#", "##"), "sleep 1000")
    eventually(lambda: tmux.show("=web:", "#{pane_current_path}") == str(deep), "the folder")
    image = (await capture(door, "web")).image
    tmux.run("kill-session", "-t", "=web")
    shutil.rmtree(deep)
    await door.rebuild(image, {})
    eventually(lambda: tmux.show("=web:", "#{pane_current_path}") == str(deep.parent), "the parent")


async def test_a_folder_that_was_never_known_is_the_home(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    home = tmux.folder / "home"
    home.mkdir()
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    image = (await capture(door, "web")).image
    unknown = replace(image.windows[0], panes=(replace(image.windows[0].panes[0], cwd=""),))
    origin = replace(image.origin, environment=(("HOME", str(home)),))
    await rebuild(tmux, door, replace(image, windows=(unknown,), origin=origin))
    eventually(lambda: tmux.show("=web:", "#{pane_current_path}") == str(home), "the home folder")


async def test_many_panes_in_a_small_window(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    tmux.run("new-session", "-d", "-s", "web", "-x", "60", "-y", "41", "sleep 1000")
    for _ in range(19):
        tmux.run("split-window", "-t", "=web:", "sleep 1000")
        tmux.run("select-layout", "-t", "=web:", "tiled")
    tmux.run("select-layout", "-t", "=web:", "even-vertical")
    before = shape(tmux, "web")
    image = (await capture(door, "web")).image
    await rebuild(tmux, door, image)
    settles(tmux, before)


@pytest.mark.parametrize("layout", ["", "garbage", "0000,80x24,0,0,1", "b25d,80x24,0,0{"])
async def test_a_broken_layout_is_left_out(tmux: TmuxBox, door: TmuxDoor, layout: str) -> None:
    keep_alive(tmux)
    build_web(tmux)
    server = tmux.server_pid()
    image = (await capture(door, "web")).image
    broken = replace(image, windows=tuple(replace(window, layout=layout) for window in image.windows))
    await rebuild(tmux, door, broken)
    assert tmux.server_pid() == server
    assert (await capture(door, "web")).image.pane_count == image.pane_count


async def test_a_taken_name_is_left_alone(tmux: TmuxBox, door: TmuxDoor) -> None:
    build_web(tmux)
    before, panes = shape(tmux, "web"), tmux.panes("#{pane_id} #{pane_pid}")
    image = (await capture(door, "web", lines=10)).image
    with pytest.raises(TmuxRefused, match="duplicate session"):
        await door.rebuild(image, {})
    assert (shape(tmux, "web"), tmux.panes("#{pane_id} #{pane_pid}")) == (before, panes)


async def test_a_taken_name_that_is_no_target_is_left_alone(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "$0 é", "sleep 1000")
    image = (await capture(door, "$0 é")).image
    panes = tmux.panes("#{pane_id} #{pane_pid}")
    with pytest.raises(TmuxRefused, match="duplicate session"):
        await door.rebuild(image, {})
    assert tmux.panes("#{pane_id} #{pane_pid}") == panes


async def test_a_failed_rebuild_leaves_nothing(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    build_web(tmux)
    taken = await capture(door, "web", lines=10)
    first, second, *_ = taken.image.windows
    clash = replace(taken.image, windows=(first, second, replace(second)))
    tmux.run("kill-session", "-t", "=web:")
    with pytest.raises(TmuxRefused, match="in use") as raised:
        await door.rebuild(clash, {pane.scrollback or "x": b"text" for pane in first.panes})
    assert "removed" in raised.value.hint
    assert tmux.sessions() == {"keeper"}
    assert not list((tmux.folder / "scratch").iterdir())


async def test_a_server_that_dies_in_the_middle_is_unknown(tmux: TmuxBox, door: TmuxDoor) -> None:
    keep_alive(tmux)
    build_web(tmux)
    image = (await capture(door, "web")).image
    tmux.run("kill-session", "-t", "=web:")
    server = tmux.server_pid()
    os.kill(server, signal.SIGSTOP)
    building = asyncio.create_task(door.rebuild(image, {}))
    await asyncio.to_thread(eventually, lambda: _waits_in_line(tmux), "the client")
    os.kill(server, signal.SIGKILL)
    with pytest.raises(TmuxUnknown):
        await building


async def test_a_server_without_its_socket_gets_no_twin(tmux: TmuxBox, door: TmuxDoor) -> None:
    build_web(tmux)
    image = (await capture(door, "web")).image
    server = tmux.server_pid()
    tmux.socket.unlink()
    with pytest.raises(Temporary, match="no second one is started") as raised:
        await door.rebuild(image, {})
    assert str(server) in raised.value.hint
    assert not tmux.socket.exists()


async def test_nothing_to_build_is_said(door: TmuxDoor) -> None:
    empty = SessionImage("web", 80, 24, "/bin/sh", "", (), ())
    with pytest.raises(CheckpointUnusable):
        await door.rebuild(empty, {})
    assert (await door.look()).presence is Presence.ABSENT


def _waits_in_line(tmux: TmuxBox) -> bool:
    """A client has connected to the server's socket and is not accepted yet."""
    rows = Path("/proc/net/unix").read_text().splitlines()
    # Column 5 is the state: 02 waits to be accepted; 03 may be an earlier client's, not yet let go of.
    return any(row.endswith(str(tmux.socket)) and row.split()[5] == "02" for row in rows)


@pytest.fixture
def small_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sidecar.edges.tmux.rebuild.LARGEST_LINE", 2)


@pytest.mark.usefixtures("small_lines")
class TestManyLines:
    """A session that is too large for one line."""

    async def test_it_has_its_shape_and_no_mark_is_left(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        keep_alive(tmux)
        build_web(tmux)
        tmux.run("set-option", "-t", "=web:", "@sidecar", "on")
        image = (await capture(door, "web")).image
        before = shape(tmux, "web")
        await rebuild(tmux, door, image)
        settles(tmux, before)
        assert tmux.run("show-options", "-t", "=web:") == "@sidecar on\ndefault-size 150x45"

    async def test_half_of_it_is_in_nobodys_care(
        self, tmux: TmuxBox, door: TmuxDoor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keep_alive(tmux)
        build_web(tmux)
        image = (await capture(door, "web")).image
        tmux.run("kill-session", "-t", "=web:")
        halves: list[str] = []
        after_lines(monkeypatch, 2, lambda: halves.extend(tmux.panes("#{session_name} #{@sidecar}")))
        await door.rebuild(image, {})
        assert {line.partition(" ")[2] for line in halves if not line.startswith("keeper")} == {"off"}
        assert not [line for line in halves if line.startswith("web")]

    async def test_a_taken_name_is_left_alone(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        build_web(tmux)
        before, panes = shape(tmux, "web"), tmux.panes("#{pane_id} #{pane_pid}")
        image = (await capture(door, "web")).image
        with pytest.raises(TmuxRefused, match="duplicate session"):
            await door.rebuild(image, {})
        assert (shape(tmux, "web"), tmux.panes("#{pane_id} #{pane_pid}")) == (before, panes)

    async def test_a_server_that_dies_between_two_lines(
        self, tmux: TmuxBox, door: TmuxDoor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build_web(tmux)
        image = (await capture(door, "web")).image
        before = shape(tmux, "web")
        tmux.lose()
        with monkeypatch.context() as patch:
            after_lines(patch, 2, tmux.lose)
            with pytest.raises(TmuxUnknown, match="lost during the rebuild"):
                await door.rebuild(image, {})
        await door.rebuild(image, {})
        settles(tmux, before)
        assert tmux.sessions() == {"web"}

    async def test_another_server_between_two_lines_is_left_alone(
        self, tmux: TmuxBox, door: TmuxDoor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        build_web(tmux)
        image = (await capture(door, "web")).image
        tmux.lose()

        def replaced() -> None:
            tmux.lose()
            tmux.run("new-session", "-d", "-s", "theirs", "sleep 1000")

        after_lines(monkeypatch, 2, replaced)
        with pytest.raises(TmuxUnknown, match="lost during the rebuild"):
            await door.rebuild(image, {})
        assert tmux.panes("#{session_name} #{window_index}") == ["theirs 0"]

    async def test_what_a_killed_sidecar_has_left_half_done_is_removed(
        self, tmux: TmuxBox, door: TmuxDoor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        keep_alive(tmux)
        build_web(tmux)
        image = (await capture(door, "web")).image
        before = shape(tmux, "web")
        tmux.run("kill-session", "-t", "=web:")

        def killed() -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            after_lines(patch, 2, killed)
            with contextlib.suppress(KeyboardInterrupt):
                await door.rebuild(image, {})
        assert len(tmux.sessions()) == 2
        await door.rebuild(image, {})
        settles(tmux, before)
        assert tmux.sessions() == {"keeper", "web"}


def after_lines(patch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> None:
    """Do something once so many lines of a rebuild have run."""
    judge = Builder._judge
    seen = [0]

    async def counted(self: Builder, *args: Any) -> str:
        answer = await judge(self, *args)
        seen[0] += 1
        if seen[0] == number:
            await asyncio.to_thread(act)
        return answer

    patch.setattr(Builder, "_judge", counted)
