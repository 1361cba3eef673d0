"""A disk that fills up is seen coming: less is stored, everything is healed, and it comes back by itself."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.box import SidecarBox, TmuxBox, eventually
from tests.disk import fill_up_to, own_disk, sidecar_on

MODE = "sidecar_checkpoint_mode"


@pytest.fixture
def disk(tmux: TmuxBox, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A disk of a few megabytes, of our own."""
    with own_disk(tmux.folder / "disk", f"size=16m{request.param}") as folder:
        yield folder


@pytest.fixture
def sidecar(tmux: TmuxBox, disk: Path) -> Iterator[SidecarBox]:
    file = tmux.folder / "config.yml"
    file.write_text("checkpoints: {interval: 1s, rehearse: off}\n")
    with sidecar_on(disk, tmux, "--config", str(file)) as box:
        yield box


@pytest.mark.parametrize("disk", [""], indirect=True)
def test_a_disk_that_fills_up_is_seen_coming(tmux: TmuxBox, sidecar: SidecarBox, disk: Path) -> None:
    """Structure only, then nothing new; healed all the same; and everything again by itself."""
    tmux.run("new-session", "-d", "-s", "web", "-x", "80", "-y", "20", "seq -f 'old line %g' 60; exec cat")
    eventually(lambda: "old line 60" in tmux.run("capture-pane", "-p", "-t", "=web:"), "the text")
    sidecar.stored("web")
    eventually(lambda: text_of(sidecar, "web"), "stored text")
    first = newest(sidecar, "web")
    fill_up_to(disk / "filler", disk, left=1_200_000)
    eventually(lambda: mode(sidecar) == "structure", "structure only")
    tmux.run("new-window", "-d", "-t", "=web:", "-n", "second", "sleep 5001")
    eventually(lambda: newest(sidecar, "web") != first, "the new window, stored")
    assert "old line 30" in text_of(sidecar, "web"), "the text that was stored stays"
    fill_up_to(disk / "filler", disk, left=400_000)
    eventually(lambda: mode(sidecar) == "paused", "a pause")
    assert "disk" in sidecar.get("/api/v1/sessions")["short"]
    kept = newest(sidecar, "web")
    # The server dies, and with it everything that was not stored.
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    os.kill(tmux.server_pid(), signal.SIGKILL)
    sidecar.verified("web")
    assert newest(sidecar, "web") == kept
    shown = eventually(lambda: tmux.run("capture-pane", "-p", "-S", "-", "-t", "=web:0"), "its text")
    assert "old line 30" in shown
    (disk / "filler").unlink()
    eventually(lambda: mode(sidecar) == "full", "everything again")
    eventually(lambda: newest(sidecar, "web") != kept, "a checkpoint after the recovery")
    modes = [line["mode"] for line in sidecar.actions() if line["action"] == "checkpoint_mode"]
    assert modes == ["structure", "paused", "structure", "full"]


@pytest.mark.parametrize("disk", [",nr_inodes=400"], indirect=True)
def test_without_inodes_structure_is_stored_and_sessions_are_healed(
    tmux: TmuxBox, sidecar: SidecarBox, disk: Path
) -> None:
    tmux.run("new-session", "-d", "-s", "keep", "sleep 5000")
    tmux.run("new-session", "-d", "-s", "web", "seq -f 'old line %g' 60; exec cat")
    sidecar.stored("web", "keep")
    eventually(lambda: text_of(sidecar, "web"), "stored text")
    with contextlib.suppress(OSError):
        for number in itertools.count():
            (disk / f"file-{number}").touch()
    eventually(lambda: mode(sidecar) == "structure", "structure only")
    tmux.run("rename-window", "-t", "=web:", "renamed")
    eventually(lambda: "renamed" in window_names(sidecar, "web"), "the new name, stored")
    os.kill(tmux.server_pid(), signal.SIGKILL)
    row = sidecar.verified("web")
    report = sidecar.get(f"/api/v1/recoveries/{row['id']}")["recovery"]["differences"]
    assert [one["found"] for one in report if one["field"] == "scrollback"] == ["without its old text"]
    assert tmux.show("=web:", "#{window_name}") == "renamed"
    for file in disk.glob("file-*"):
        file.unlink()
    eventually(lambda: mode(sidecar) == "full", "everything again")


def mode(sidecar: SidecarBox) -> str:
    lines = sidecar.get("/metrics", raw=True).splitlines()
    (found,) = [line for line in lines if line.startswith(MODE) and line.endswith(" 1.0")]
    return str(found.split('"')[1])


def newest(sidecar: SidecarBox, session: str) -> int:
    rows = sidecar.get(f"/api/v1/checkpoints?session={session}&good=true&limit=1")["checkpoints"]
    return int(rows[0]["id"])


def window_names(sidecar: SidecarBox, session: str) -> list[str]:
    """The windows of the newest checkpoint."""
    shown = sidecar.get(f"/api/v1/checkpoints/{newest(sidecar, session)}")
    return [window["name"] for window in shown["checkpoint"]["image"]["windows"]]


def text_of(sidecar: SidecarBox, session: str) -> str:
    """The raw text that belongs to the newest checkpoint."""
    address = f"file:{sidecar.state / 'sidecar.db'}?mode=ro"
    with closing(sqlite3.connect(address, uri=True)) as database:
        rows = database.execute(
            "SELECT packed FROM scrollbacks JOIN checkpoint_scrollbacks USING (digest) WHERE checkpoint = ?",
            (newest(sidecar, session),),
        ).fetchall()
    return "".join(zlib.decompress(row[0]).decode() for row in rows)
