"""A capture holds everything a checkpoint needs, or it is an error."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sidecar.edges.tmux.capture import capture_script, read_capture, request
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.history import Texts
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.errors import Temporary, TmuxAbsent, TmuxUnknown
from sidecar.model.scrollback import digest_of
from sidecar.model.session import Look, Options, ServerId, Session
from tests.box import TmuxBox, eventually
from tests.edges.texts import only_text, text_of


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
    assert text_of(capture, talker) == b"\x1b[31mred\n\x1b[39mplain\n\x1b[0m"
    assert talker.scrollback == digest_of(capture.manifests[talker.scrollback].encode())
    assert silent.scrollback == ""


async def test_options_hooks_and_bindings_are_taken(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "90", "-y", "30", "sleep 1000")
    tmux.run("split-window", "-t", "=web:", "sleep 1000")
    tmux.run("new-session", "-d", "-s", "api", "sleep 1000")
    tmux.run("set-option", "-t", "=web:", "@mine", "#(x)\n")
    tmux.run("set-hook", "-w", "-t", "=web:", "pane-died", "kill-pane")
    tmux.run("set-option", "-p", "-t", "=web:.1", "@sidecar_resume", "top")
    tmux.run("set-option", "-g", "status", "2")
    tmux.run("set-option", "-s", "escape-time", "7")
    tmux.run("set-option", "-gw", "mode-keys", "vi")
    tmux.run("bind-key", "-T", "root", "F5", "kill-pane")
    tmux.run("set-hook", "-g", "client-attached[3]", "kill-pane")
    tmux.run("set-hook", "-g", "session-closed[900]", "wait-for -S tmux-sidecar")
    look, session = await seen(door)
    image = (await door.capture(session, look, 0, 1.0, private=False)).image
    (window,) = image.windows
    assert image.options == (("@mine", "#(x)\n"), ("default-size", "90x30"))
    assert window.options == (("pane-died[0]", "kill-pane"),)
    assert [(pane.options, pane.last) for pane in window.panes] == [
        ((), True),
        ((("@sidecar_resume", "top"),), False),
    ]
    settings = image.origin.settings
    assert ("escape-time", "7") in settings.server
    assert {("status", "2"), ("client-attached[3]", "kill-pane")} <= set(settings.session)
    assert ("mode-keys", "vi") in settings.window
    assert "bind-key -T root F5 kill-pane" in settings.bindings
    assert "tmux-sidecar" not in repr(settings)


@pytest.mark.parametrize(
    ("everywhere", "here", "kept"),
    [
        ("off", None, ()),
        ("off", "on", (("remain-on-exit", "on"),)),
        ("on", None, ()),
        ("on", "off", (("remain-on-exit", "off"),)),
        ("failed", "off", (("remain-on-exit", "off"),)),
    ],
)
async def test_only_a_users_own_remain_on_exit_is_taken(
    tmux: TmuxBox, door: TmuxDoor, everywhere: str, here: str | None, kept: Options
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    tmux.run("set-option", "-gw", "remain-on-exit", everywhere)
    if here:
        tmux.run("set-option", "-w", "-t", "=web:", "remain-on-exit", here)
    before = tmux.show("=web:", "#{remain-on-exit}")
    await door.arm(["@0"])
    look, session = await seen(door)
    image = (await door.capture(session, look, 0, 1.0, private=False)).image
    assert image.windows[0].options == kept
    await door.disarm(["@0"])
    assert tmux.show("=web:", "#{remain-on-exit}") == before


async def test_arming_between_look_and_capture_is_no_setting_of_the_user(
    tmux: TmuxBox, door: TmuxDoor
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    look, session = await seen(door)
    await door.arm(["@0"])
    image = (await door.capture(session, look, 0, 1.0, private=False)).image
    assert image.windows[0].options == ()


async def test_windows_that_are_shared_are_known_by_a_word(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    tmux.run("new-window", "-d", "-t", "=web:1", "sleep 1000")
    tmux.run("new-window", "-d", "-t", "=web:2", "sleep 1000")
    tmux.run("new-session", "-d", "-s", "api", "sleep 1000")
    tmux.run("link-window", "-d", "-s", "=web:1", "-t", "=api:5")
    tmux.run("link-window", "-d", "-s", "=web:2", "-t", "=web:6")
    tmux.run("set-option", "-w", "-t", "=web:2", "@sidecar_link", "earlier")
    tmux.run("new-session", "-d", "-s", "twin", "-t", "=api")
    images = {}
    for name in ("web", "api", "twin"):
        look, session = await seen(door, name)
        images[name] = (await door.capture(session, look, 0, 1.0, private=False)).image
    one = f"{look.server}/@1"
    assert [(w.index, w.link) for w in images["web"].windows] == [
        (0, ""), (1, one), (2, "earlier"), (6, "earlier"),
    ]  # fmt: skip
    assert {w.link for w in images["api"].windows} == {one, f"{look.server}/@3"}
    assert [(w.index, w.link) for w in images["twin"].windows] == [
        (w.index, w.link) for w in images["api"].windows
    ]
    assert {name: image.group for name, image in images.items()} == {"web": "", "api": "api", "twin": "api"}


async def test_a_private_session_keeps_its_text_and_environment_to_itself(
    tmux: TmuxBox, door: TmuxDoor
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-e", "SECRET=1", "echo secret; sleep 1000")
    eventually(lambda: "secret" in tmux.run("capture-pane", "-p", "-t", "=web:"), "the text")
    look, session = await seen(door)
    capture = await door.capture(session, look, 100, 1.0, private=True)
    assert (capture.manifests, capture.pieces, capture.image.environment) == ({}, {}, ())
    assert capture.image.origin.environment == ()


async def test_of_a_full_screen_program_what_it_covers_is_taken(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run(
        "new-session", "-d", "-s", "web", "-x", "80", "-y", "10",
        r"seq 1 30; printf '\033[?1049hpicture'; sleep 1000",
    )  # fmt: skip
    eventually(lambda: tmux.show("=web:", "#{alternate_on}") == "1", "the alternate screen")
    look, session = await seen(door)
    text = only_text(await door.capture(session, look, 100, 1.0, private=False))
    assert text == b"".join(b"%d\n" % number for number in range(1, 31))


async def test_only_so_many_lines_of_history(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "web", "-x", "80", "-y", "10", "seq 1 100; sleep 1000")
    eventually(lambda: tmux.show("=web:", "#{history_size}") == "91", "the text")
    look, session = await seen(door)
    text = only_text(await door.capture(session, look, 5, 1.0, private=False))
    assert text.startswith(b"87\n88\n")
    assert (await door.capture(session, look, 0, 1.0, private=False)).manifests == {}


async def test_text_cannot_pass_for_a_part_of_the_answer(
    tmux: TmuxBox, runner: TmuxRunner, door: TmuxDoor
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "echo sidecar-0 end; echo; sleep 1000")
    eventually(lambda: "end" in tmux.run("capture-pane", "-p", "-t", "=web:"), "the text")
    look, session = await seen(door)
    text = only_text(await door.capture(session, look, 100, 1.0, private=False))
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
    wanted = request(session, look, private=False)
    raw = await runner.source(capture_script(wanted))
    await asyncio.sleep(0)
    for length in range(0, len(raw) - 1, 7):
        with pytest.raises(TmuxUnknown):
            read_capture(raw[:length], wanted, Texts(), taken=1.0, cwd="/")
