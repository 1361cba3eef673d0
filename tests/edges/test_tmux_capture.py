"""A capture holds everything a checkpoint needs, or it is an error."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from sidecar.edges.tmux.capture import capture_script, read_capture, request
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.errors import Temporary, TmuxAbsent, TmuxUnknown
from sidecar.model.session import Look, ServerId, Session
from tests.box import TmuxBox, eventually


async def seen(door: TmuxDoor, name: str = "web") -> tuple[Look, Session]:
    look = await door.look()
    session = look.find(name)
    assert session is not None
    return look, session


async def test_text_and_environment_are_taken(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run(
        "new-session", "-d", "-E", "-s", "web", "-x", "90", "-y", "30",
        "-e", "A=x\"$`\\y", "-e", "B=two\nlines",
        r"printf '\033[31mred\033[0m\nplain\n'; sleep 1000",
    )  # fmt: skip
    tmux.run("set-environment", "-r", "-t", "=web:", "GONE")
    tmux.run("split-window", "-t", "=web:", "sleep 1000")
    eventually(lambda: "plain" in tmux.run("capture-pane", "-p", "-t", "=web:.0"), "the text")
    look, session = await seen(door)
    capture = await door.capture(session, look, 100, 12.5, private=False)
    image = capture.image
    assert (image.name, image.width, image.height, capture.taken) == ("web", 90, 30, 12.5)
    assert image.environment == (("A", 'x"$`\\y'), ("B", "two\nlines"), ("GONE", None))
    assert dict(image.origin.environment)["TMUX_TMPDIR"] == str(tmux.folder)
    assert image.origin.config_files == "/dev/null"
    assert image.origin.cwd == str(tmux.folder)
    assert capture.instance == f"{look.server}/{session.id}"
    talker, silent = image.windows[0].panes
    assert capture.scrollbacks == {talker.scrollback: b"\x1b[31mred\n\x1b[39mplain\n"}
    assert talker.scrollback == hashlib.sha256(capture.scrollbacks[talker.scrollback]).hexdigest()
    assert silent.scrollback == ""


async def test_a_private_session_keeps_its_text_and_environment_to_itself(
    tmux: TmuxBox, door: TmuxDoor
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-e", "SECRET=1", "echo secret; sleep 1000")
    eventually(lambda: "secret" in tmux.run("capture-pane", "-p", "-t", "=web:"), "the text")
    look, session = await seen(door)
    capture = await door.capture(session, look, 100, 1.0, private=True)
    assert (capture.scrollbacks, capture.image.environment) == ({}, ())
    assert capture.image.origin.environment == ()


async def test_of_a_full_screen_program_only_the_history_is_taken(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run(
        "new-session", "-d", "-s", "web", "-x", "80", "-y", "10",
        r"seq 1 30; printf '\033[?1049hpicture'; sleep 1000",
    )  # fmt: skip
    eventually(lambda: tmux.show("=web:", "#{alternate_on}") == "1", "the alternate screen")
    look, session = await seen(door)
    (text,) = (await door.capture(session, look, 100, 1.0, private=False)).scrollbacks.values()
    assert text.startswith(b"1\n2\n")
    assert b"picture" not in text


async def test_only_so_many_lines_of_history(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "80", "-y", "10", "seq 1 100; sleep 1000")
    eventually(lambda: tmux.show("=web:", "#{history_size}") == "91", "the text")
    look, session = await seen(door)
    (text,) = (await door.capture(session, look, 5, 1.0, private=False)).scrollbacks.values()
    assert text.startswith(b"87\n88\n")
    assert (await door.capture(session, look, 0, 1.0, private=False)).scrollbacks == {}


async def test_text_cannot_pass_for_a_part_of_the_answer(
    tmux: TmuxBox, runner: TmuxRunner, door: TmuxDoor
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "echo sidecar-0 end; echo; sleep 1000")
    eventually(lambda: "end" in tmux.run("capture-pane", "-p", "-t", "=web:"), "the text")
    look, session = await seen(door)
    (text,) = (await door.capture(session, look, 100, 1.0, private=False)).scrollbacks.values()
    assert text == b"sidecar-0 end\n"


async def test_a_session_that_has_changed_is_not_captured(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    tmux.run("split-window", "-t", "=web:", "sleep 1000")
    look, session = await seen(door)
    tmux.run("kill-pane", "-t", "=web:.0")
    with pytest.raises(Temporary, match="changed during the capture"):
        await door.capture(session, look, 100, 1.0, private=False)


async def test_a_dead_server_is_not_captured(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    look, session = await seen(door)
    tmux.run("kill-server")
    with pytest.raises((TmuxAbsent, TmuxUnknown)):
        await door.capture(session, look, 100, 1.0, private=False)


async def test_another_server_is_not_captured(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    look, session = await seen(door)
    other = replace(look, server=ServerId("boot", 1, 1))
    with pytest.raises(Temporary, match="another tmux server"):
        await door.capture(session, other, 100, 1.0, private=False)


async def test_a_cut_answer_is_an_error(tmux: TmuxBox, runner: TmuxRunner, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "echo text; sleep 1000")
    look, session = await seen(door)
    wanted = request(session, look, 100, private=False)
    raw = await runner.source(capture_script(wanted))
    await asyncio.sleep(0)
    for length in range(0, len(raw) - 1, 7):
        with pytest.raises(TmuxUnknown):
            read_capture(raw[:length], wanted, taken=1.0, cwd="/")
