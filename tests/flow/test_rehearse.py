"""Rehearsals on a real throw-away server, of checkpoints in a real store; only time is in a hurry."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.config import CheckpointSettings, NotifySettings, Settings
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.stage import Stage, stage_folder
from sidecar.errors import TmuxUnknown
from sidecar.model.record import Action, Capture, Pressure
from sidecar.model.scrollback import Manifest, Piece, digest_of
from sidecar.model.session import SavedPane, SavedWindow, SessionImage
from tests.box import TmuxBox, eventually
from tests.theatre import CALM, Theatre


@pytest.fixture
async def theatre(tmux: TmuxBox) -> AsyncIterator[Theatre]:
    theatre = Theatre(tmux)
    yield theatre
    theatre.store.close()
    assert not stage_folder(theatre.state).exists()


def build(tmux: TmuxBox, name: str = "web") -> None:
    """Windows with gaps, names, a zoom, titles, text and a shell."""
    tmux.run("new-session", "-d", "-s", name, "-x", "200", "-y", "50", "-n", "main", "bash --norc")
    tmux.run("set-option", "-g", "history-limit", "5000")
    tmux.run("split-window", "-t", f"={name}:main", "-c", "/usr", "seq 1 2000; exec sleep 1000")
    tmux.run(
        "split-window", "-h", "-t", f"={name}:main", "printf '\\033[31m%s\\033[m é日本\\n' red; exec cat"
    )
    tmux.run("select-pane", "-t", f"={name}:main", "-T", "a b;\"$(x)'é #(touch pwned)")
    tmux.run("resize-pane", "-Z", "-t", f"={name}:main")
    tmux.run("new-window", "-t", f"={name}:7", "-n", "x\\y #{pid}", "sleep 1001")
    tmux.run("set-environment", "-t", name, "SECRET", "a b;\"$(x)'\né")
    tmux.run("set-environment", "-r", "-t", name, "DISPLAY")
    seq = "#{pane_current_command} #{history_size}"
    eventually(lambda: any(int(line.split()[1]) > 1900 for line in tmux.panes(seq) if "sleep" in line))
    eventually(lambda: any(line.startswith("cat") for line in tmux.panes(seq)))


def with_window(capture: Capture, place: int, **more: Any) -> Capture:
    windows = list(capture.image.windows)
    windows[place] = replace(windows[place], **more)
    return replace(capture, image=replace(capture.image, windows=tuple(windows)))


async def test_a_good_checkpoint_comes_back_and_nothing_is_said(theatre: Theatre) -> None:
    build(theatre.tmux)
    capture = await theatre.take("web")
    row = await theatre.play(capture)
    assert [one for one in row.differences if not one.tolerated] == []
    assert row.restorable
    assert theatre.count("passed") == 1
    assert theatre.log.loud() == []
    assert await theatre.audited() == []
    newest = await theatre.store.newest_checkpoint("web")
    assert newest is not None
    assert (row.checkpoint, row.checksum) == (newest.id, newest.checksum)
    assert await theatre.store.rehearsals() == (row,)


async def test_options_groups_and_links_come_back_too(theatre: Theatre) -> None:
    tmux = theatre.tmux
    build(tmux)
    tmux.run("set-option", "-t", "=web:", "status-style", "fg=red")
    tmux.run("set-option", "-t", "=web:", "@mine", "a b;\"$(x)'")
    tmux.run("set-option", "-t", "=web:", "status-right", f"#(touch {tmux.folder}/pwned)")
    tmux.run("set-hook", "-t", "=web:", "window-linked", f"run-shell 'touch {tmux.folder}/pwned'")
    tmux.run("set-window-option", "-t", "=web:main", "synchronize-panes", "on")
    tmux.run("set-option", "-p", "-t", "=web:main.1", "window-style", "bg=blue")
    tmux.run("link-window", "-d", "-s", "=web:main", "-t", "=web:9")
    tmux.run("new-session", "-d", "-s", "other", "sleep 1000")
    tmux.run("link-window", "-d", "-s", "=other:", "-t", "=web:11")
    tmux.run("new-session", "-d", "-t", "=web:", "-s", "second")
    for name in ("web", "second", "other"):
        row = await theatre.play(await theatre.take(name))
        assert row.restorable, row.faults
    (tmux.folder / "pwned").unlink(missing_ok=True)
    tmux.run("kill-session", "-t", "=second:")
    row = await theatre.play(await theatre.take("web"))
    assert row.restorable, row.faults
    assert not (tmux.folder / "pwned").exists()


async def test_panes_may_be_numbered_from_one(theatre: Theatre) -> None:
    theatre.tmux.run("new-session", "-d", "-s", "keep", "sleep 1000")
    theatre.tmux.run("set-option", "-g", "base-index", "1")
    theatre.tmux.run("set-window-option", "-g", "pane-base-index", "1")
    build(theatre.tmux)
    row = await theatre.play(await theatre.take("web"))
    assert row.restorable, row.differences


async def test_a_folder_that_is_gone_does_not_make_it_worthless(theatre: Theatre, tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    theatre.tmux.run("new-session", "-d", "-s", "web", "-c", str(gone), "sleep 1000")
    capture = await theatre.take("web")
    gone.rmdir()
    row = await theatre.play(capture)
    assert row.restorable
    assert "the folder no longer exists" in {one.note for one in row.differences}


async def test_it_is_not_repeated_while_nothing_changes(theatre: Theatre) -> None:
    theatre.tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    capture = await theatre.take("web")
    await theatre.keep(capture)
    async with theatre.playing():
        await theatre.until(lambda: theatre.count("passed") == 1)
        ahead = theatre.clock.ahead
        await theatre.until(lambda: theatre.clock.ahead > ahead + 300)
        assert theatre.count("passed") == 1
        await theatre.keep(with_window(capture, 0, name="other", automatic_rename=False))
        await theatre.until(lambda: theatre.count("passed") == 2)
    # A restart remembers.
    theatre.rehearser = theatre.engage()
    async with theatre.playing():
        ahead = theatre.clock.ahead
        await theatre.until(lambda: theatre.clock.ahead > ahead + 300)
        assert theatre.count("passed") == 2


def lose_texts(theatre: Theatre) -> None:
    connection = sqlite3.connect(theatre.state / "sidecar.db", isolation_level=None)
    connection.execute("UPDATE scrollbacks SET packed = x'00'")
    connection.close()


@pytest.mark.parametrize(
    ("injury", "where", "field", "found"),
    [
        ({"layout": "dead,beef"}, "window 0", "stored layout", "no layout for 3 panes"),
        ({"layout": "0000,200x50,0,0,1"}, "window 0", "stored layout", "no layout for 3 panes"),
        ({"index": 7}, "session web", "rebuild", "index"),
        ({"panes": ()}, "session web", "rebuild", "no windows and panes"),
        ({"width": 0}, "session web", "rebuild", "width"),
    ],
)
async def test_a_broken_one_is_told_with_its_report(
    theatre: Theatre, injury: dict[str, Any], where: str, field: str, found: str
) -> None:
    build(theatre.tmux)
    capture = await theatre.take("web")
    broken = (
        replace(capture, image=replace(capture.image, **injury))
        if "width" in injury
        else with_window(capture, 0, **injury)
    )
    row = await theatre.play(broken)
    assert not row.restorable
    told = next(one for one in row.differences if not one.tolerated)
    assert (told.where, told.field) == (where, field)
    assert found in told.found
    assert theatre.log.loud() == [Action.REHEARSAL_FAILED, Action.NOTIFIED]
    assert await theatre.audited() == [Action.REHEARSAL_FAILED]


async def test_a_text_that_the_store_has_lost_is_missed(theatre: Theatre) -> None:
    build(theatre.tmux)
    await theatre.keep(await theatre.take("web"))
    lose_texts(theatre)
    async with theatre.playing():
        row = await theatre.recorded("web")
    assert not row.restorable
    assert {(one.field, one.found) for one in row.differences if not one.tolerated} == {
        ("scrollback", "missing or damaged")
    }


async def test_a_person_is_called_once_and_told_when_it_is_over(theatre: Theatre) -> None:
    theatre.tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    capture = await theatre.take("web")
    await theatre.keep(with_window(capture, 0, layout="dead,beef"))
    async with theatre.playing():
        await theatre.until(lambda: theatre.count("failed") >= 2)
        assert theatre.log.loud() == [Action.REHEARSAL_FAILED, Action.NOTIFIED]
        await theatre.keep(with_window(capture, 0, layout="dead,beee"))
        await theatre.until(lambda: theatre.log.loud().count(Action.REHEARSAL_FAILED) == 2)
        await theatre.keep(capture)
        await theatre.until(lambda: theatre.log.loud().count(Action.NOTIFIED) == 2)
    assert theatre.log.loud() == [
        Action.REHEARSAL_FAILED,
        Action.NOTIFIED,
        Action.REHEARSAL_FAILED,
        Action.REHEARSAL_PASSED,
        Action.NOTIFIED,
    ]
    assert await theatre.audited() == [
        Action.REHEARSAL_PASSED,
        Action.REHEARSAL_FAILED,
        Action.REHEARSAL_FAILED,
    ]


async def test_nobody_is_called_who_does_not_want_it(theatre: Theatre) -> None:
    theatre.tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    theatre.ward.settings = replace(theatre.ward.settings, notify=NotifySettings(tmux=False))
    row = await theatre.play(with_window(await theatre.take("web"), 0, layout="dead,beef"))
    assert not row.restorable
    assert theatre.log.loud() == [Action.REHEARSAL_FAILED]


async def test_nothing_of_the_user_runs(theatre: Theatre, tmp_path: Path) -> None:
    """Every place of an image from which a command could be run, and a home full of start-up files."""
    touched = tmp_path / "touched"
    run = f"touch {touched}"
    home, binaries = tmp_path / "home", tmp_path / "bin"
    home.mkdir()
    binaries.mkdir()
    for name in (".bashrc", ".profile", ".bash_profile", ".tmux.conf"):
        (home / name).write_text(f"run-shell '{run}'\n" if "tmux" in name else f"{run}\n")
    for name in ("cat", "rm", "sh", "read", "env"):
        (binaries / name).write_text(f"#!/bin/sh\n{run}\n")
        (binaries / name).chmod(0o755)
    hostile = f"#({run})"
    pane = SavedPane(
        index=0, title=hostile, cwd=str(tmp_path), start_command=run, argv=("sh", "-c", run),
        program=("sh", "-c", run), active=True, resume=run, scrollback="",
    )  # fmt: skip
    shell = replace(pane, index=1, start_command="", argv=("-bash",), active=False)
    window = SavedWindow(
        0, hostile, "", zoomed=False, active=True, last=False, automatic_rename=True, panes=(pane, shell),
        options=(("automatic-rename-format", hostile), ("window-renamed[0]", f"run-shell '{run}'")),
    )  # fmt: skip
    image = SessionImage(
        name=hostile, width=80, height=24, default_shell=str(binaries / "sh"), default_command=run,
        environment=(
            ("BASH_ENV", str(home / ".bashrc")), ("BASH_FUNC_cat%%", f"() {{ {run}; }}"),
            ("ENV", str(home / ".profile")), ("HOME", str(home)), ("PATH", str(binaries)),
            ("PS4", f"$({run})"), ("SHELL", str(binaries / "sh")), ("SHELLOPTS", "xtrace"),
        ),
        windows=(window,),
        options=(
            ("default-command", run), ("default-shell", str(binaries / "sh")), ("lock-command", run),
            ("session-window-changed[0]", f"run-shell '{run}'"), ("set-titles-string", hostile),
            ("status-left", hostile), ("after-new-window[0]", f"run-shell '{run}'"),
        ),
    )  # fmt: skip
    text = b"old text\n"
    digest = "ab" * 32
    with_text = replace(window, panes=(replace(pane, scrollback=digest), shell))
    image = replace(image, windows=(with_text,))
    theatre.tmux.run("new-session", "-d", "-s", "keep", "sleep 1000")
    piece = Piece(digest_of(text), 1)
    pieces = {piece.digest: text}
    row = await theatre.play(Capture(image, "i", theatre.clock.wall(), {digest: Manifest((piece,))}, pieces))
    # The layout was left out, and the text was stored under a digest that is not its own.
    told = {one.field for one in row.differences if not one.tolerated}
    assert told == {"stored layout", "scrollback"}
    assert not touched.exists()


async def test_the_real_server_is_not_touched(theatre: Theatre) -> None:
    build(theatre.tmux)
    build(theatre.tmux, "api")

    def everything() -> list[str]:
        asked = (
            ["list-panes", "-a", "-F", "#{pane_pid} #{window_layout} #{pane_title} #{session_id} #{pane_id}"],
            ["show-hooks", "-g"], ["show-options", "-g"], ["show-options", "-s"], ["show-options", "-gw"],
            ["show-environment", "-g"], ["list-keys"], ["list-buffers"], ["list-clients"],
        )  # fmt: skip
        return [theatre.tmux.run(*words) for words in asked]

    await theatre.keep(await theatre.take("api"))
    before, pid = everything(), theatre.tmux.server_pid()
    row = await theatre.play(await theatre.take("web"))
    assert row.restorable
    assert everything() == before
    assert theatre.tmux.server_pid() == pid


@pytest.mark.parametrize(
    ("pressure", "reason"),
    [
        (replace(CALM, cpu_stalled=99.0), "cpu_pressure"),
        (replace(CALM, memory_available=0.01), "memory_pressure"),
    ],
)
async def test_a_pressed_machine_is_spared_and_said_so_once(
    theatre: Theatre, pressure: Pressure, reason: str
) -> None:
    theatre.tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    await theatre.keep(await theatre.take("web"))
    theatre.machine.now = pressure
    async with theatre.playing():
        await theatre.until(lambda: theatre.value(f'rehearsals_held_off_total{{reason="{reason}"}}') > 3)
        assert theatre.log.loud() == [Action.REHEARSALS_HELD_OFF]
        assert theatre.ward.rehearsals == {}
        theatre.machine.now = CALM
        await theatre.until(lambda: theatre.count("passed") == 1)
    assert theatre.log.loud() == [Action.REHEARSALS_HELD_OFF]


async def test_a_recovery_goes_first_and_a_draining_service_begins_nothing(theatre: Theatre) -> None:
    theatre.tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    await theatre.keep(await theatre.take("web"))
    theatre.ward.cases["api"] = object()  # type: ignore[assignment]
    async with theatre.playing():
        series = 'rehearsals_held_off_total{reason="recovery_running"}'
        await theatre.until(lambda: theatre.value(series) > 1)
        theatre.ward.draining = True
        theatre.ward.cases.clear()
        ahead = theatre.clock.ahead
        await theatre.until(lambda: theatre.clock.ahead > ahead + 300)
        assert theatre.ward.rehearsals == {}


async def test_switched_off_nothing_is_begun(theatre: Theatre) -> None:
    theatre.tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    await theatre.keep(await theatre.take("web"))
    theatre.ward.settings = Settings(checkpoints=CheckpointSettings(rehearse=0.0))
    async with theatre.playing():
        await theatre.until(lambda: theatre.clock.ahead > 3000)
    assert theatre.ward.rehearsals == {}


class BadStage:
    """Gives a server that is of no use, or none."""

    def __init__(self, complaint: Exception | None) -> None:
        self.complaint = complaint
        self.cleared = 0

    async def clear(self) -> bool:
        self.cleared += 1
        return False

    @asynccontextmanager
    async def open(self, first_pane: int) -> AsyncIterator[Any]:
        if self.complaint is not None:
            raise self.complaint
        await asyncio.Event().wait()
        yield


@pytest.mark.parametrize(
    ("complaint", "words"),
    [
        (TmuxUnknown("silence"), "silence"),
        (OSError(28, "No space left on device"), "could not be set up"),
        (None, "was not over within"),
    ],
)
async def test_what_says_nothing_about_the_checkpoint_changes_nothing(
    tmux: TmuxBox, monkeypatch: pytest.MonkeyPatch, complaint: Exception | None, words: str
) -> None:
    monkeypatch.setattr("sidecar.flow.rehearse._SECONDS", 0.05)
    theatre = Theatre(tmux, BadStage(complaint))
    try:
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        await theatre.keep(await theatre.take("web"))
        async with theatre.playing():
            await theatre.until(lambda: theatre.count("inconclusive") >= 2)
        assert theatre.ward.rehearsals == {}
        assert set(theatre.log.loud()) == {Action.REHEARSAL_INCONCLUSIVE}
        assert words in str(theatre.log.lines[0][2]["error"])
        assert theatre.stage.cleared == 1
    finally:
        theatre.store.close()


@dataclass
class EventfulStage:
    """Something happens to a real stage as soon as a session is built on it."""

    real: Stage
    happens: Callable[[int], None]
    """Given the server's pid."""

    async def clear(self) -> bool:
        return await self.real.clear()

    @asynccontextmanager
    async def open(self, first_pane: int) -> AsyncIterator[TmuxDoor]:
        async with self.real.open(first_pane) as door:
            rebuild = door.rebuild

            async def rebuild_then(image: SessionImage, texts: Mapping[str, bytes]) -> str:
                built = await rebuild(image, texts)
                look = await door.look()
                assert look.server is not None
                self.happens(look.server.pid)
                return built

            door.rebuild = rebuild_then  # type: ignore[method-assign]
            yield door


@pytest.mark.parametrize(
    ("number", "outcome"), [(signal.SIGSEGV, "failed"), (signal.SIGKILL, "inconclusive")]
)
async def test_a_checkpoint_that_tmux_dies_of_cannot_be_restored(
    theatre: Theatre, number: signal.Signals, outcome: str
) -> None:
    theatre.tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    theatre.stage = EventfulStage(theatre.stage, lambda pid: os.kill(pid, number))
    theatre.rehearser = theatre.engage()
    await theatre.keep(await theatre.take("web"))
    async with theatre.playing():
        await theatre.until(lambda: theatre.count(outcome) >= 1)
    rows = [row.restorable for row in theatre.ward.rehearsals.values()]
    assert rows == ([False] if outcome == "failed" else [])


async def test_it_makes_way_for_a_recovery_that_begins_in_its_middle(theatre: Theatre) -> None:
    theatre.tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    cases: dict[str, Any] = theatre.ward.cases
    theatre.stage = EventfulStage(theatre.stage, lambda pid: cases.update(api=object()))
    theatre.rehearser = theatre.engage()
    await theatre.keep(await theatre.take("web"))
    async with theatre.playing():
        await theatre.until(lambda: theatre.count("inconclusive") >= 1)
    assert theatre.ward.rehearsals == {}
    assert "a recovery has begun" in str(theatre.log.lines[0][2]["error"])


async def test_a_store_that_does_not_take_the_result_is_asked_again(theatre: Theatre) -> None:
    theatre.tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    await theatre.keep(await theatre.take("web"))
    other = sqlite3.connect(theatre.state / "sidecar.db", isolation_level=None)
    other.execute("ALTER TABLE rehearsals RENAME TO elsewhere")
    other.execute("CREATE VIEW rehearsals AS SELECT * FROM elsewhere")
    async with theatre.playing():
        await theatre.until(lambda: theatre.count("inconclusive") >= 1)
        assert theatre.ward.rehearsals == {}
        other.execute("DROP VIEW rehearsals")
        other.execute("ALTER TABLE elsewhere RENAME TO rehearsals")
        await theatre.until(lambda: theatre.ward.rehearsals)
    other.close()
