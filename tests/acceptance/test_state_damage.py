"""Garbage in the place of any file of the state folder: the service starts, says it, and loses nothing."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sidecar.app import Sidecar
from sidecar.config import HttpSettings, Settings, TmuxSettings
from sidecar.edges.store.database import open_database
from sidecar.errors import SidecarError
from sidecar.model.record import Action
from tests.box import TmuxBox, sidecar_box, tmux_box

FILES = (
    "sidecar.db", "sidecar.db-wal", "sidecar.db-shm", "sidecar.lock", "token", "address",
    "config.last-good.json", "reserve", "scrollback", "rehearsal",
)  # fmt: skip


def empty(path: Path) -> None:
    _gone(path)
    path.touch(0o600)


def cut(path: Path) -> None:
    raw = path.read_bytes() if path.is_file() else b"half a file"
    _gone(path)
    _write(path, raw[: len(raw) // 2])


def noise(path: Path) -> None:
    size = max(path.stat().st_size, 100) if path.is_file() else 100
    _gone(path)
    _write(path, random.Random(7).randbytes(size))


def zeros(path: Path) -> None:
    size = max(path.stat().st_size, 100) if path.is_file() else 100
    _gone(path)
    _write(path, bytes(size))


def folder(path: Path) -> None:
    _gone(path)
    (path / "inside").mkdir(parents=True)


def pipe(path: Path) -> None:
    _gone(path)
    os.mkfifo(path, 0o600)


def dangling(path: Path) -> None:
    _gone(path)
    path.symlink_to("nowhere/at/all")


def stranger(path: Path) -> None:
    """A file of another user, where the tests may make one."""
    if not path.exists():
        path.touch(0o600)
    if os.getuid():
        pytest.skip("only root can give files away")
    os.chown(path, 65534, 65534)


def _gone(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _write(path: Path, raw: bytes) -> None:
    path.write_bytes(raw)
    path.chmod(0o600)


GARBAGE: tuple[Callable[[Path], None], ...] = (empty, cut, noise, zeros, folder, pipe, dangling, stranger)

SENTENCES = {
    ("sidecar.lock", "folder"): "cannot be written: Is a directory",
    ("sidecar.lock", "pipe"): "cannot be written: Invalid argument",
    ("sidecar.lock", "dangling"): "cannot be written: Too many levels of symbolic links",
    ("sidecar.db", "dangling"): "cannot be opened: No such file or directory",
    ("token", "stranger"): "belongs to another user",
    ("token", "dangling"): "cannot be used",
}
"""Where a person has to decide: one sentence, and everything is left as it is."""


TOLD = (Action.DATABASE_LOG_DAMAGED, Action.DATABASE_SET_ASIDE, Action.DATABASE_LOST)
"""One of these is said where something that was recorded is gone."""


@pytest.fixture(scope="module")
def killed() -> Iterator[tuple[TmuxBox, Path]]:
    """A tmux server, and the state folder of a sidecar for it that was killed."""
    with tmux_box() as tmux:
        tmux.run("new-session", "-d", "-s", "web", "-n", "one", "cat")
        with sidecar_box(tmux) as sidecar:
            sidecar.stored("web")
            sidecar.stop(9)
            yield tmux, sidecar.state


def settings(tmux: TmuxBox) -> Settings:
    return Settings(tmux=TmuxSettings(socket_name=tmux.name), http=HttpSettings(listen=("127.0.0.1:0",)))


def checkpoints(state: Path) -> set[tuple[int, str]]:
    with closing(sqlite3.connect(state / "sidecar.db")) as db:
        return set(db.execute("SELECT id, seal FROM checkpoints"))


async def started(tmux: TmuxBox, state: Path) -> Sidecar:
    sidecar = Sidecar(settings(tmux), state, environment=tmux.environment, log_level="error")
    await sidecar.start()
    return sidecar


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("damage", GARBAGE, ids=lambda damage: damage.__name__)
async def test_it_starts_says_it_and_loses_nothing(
    killed: tuple[TmuxBox, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    name: str,
    damage: Callable[[Path], None],
) -> None:
    tmux, left = killed
    state = shutil.copytree(left, tmp_path / "state")
    wanted = checkpoints(shutil.copytree(left, tmp_path / "copy"))
    assert wanted
    damage(state / name)
    sentence = SENTENCES.get((name, damage.__name__))
    if sentence is not None:
        with pytest.raises(SidecarError, match=sentence):
            await started(tmux, state)
        return
    sidecar = await started(tmux, state)
    try:
        async with asyncio.timeout(20):
            while not any(one.checkpoints for one in sidecar.status.sessions):
                await asyncio.sleep(0.01)
        assert stat.S_IMODE((state / "token").stat().st_mode) == 0o600
        said = capfd.readouterr().err
        assert "Traceback" not in said
        assert not [
            line for line in said.splitlines() if f'"{Action.TASK_FAILED}"' in line and "config" not in line
        ]
    finally:
        await sidecar.stop()
    if name != "sidecar.db-wal":
        assert wanted <= checkpoints(state)
    elif damage is not cut and not wanted <= checkpoints(state):
        # A log that ends early is what a power cut leaves: nothing tells that there was more.
        assert any(word in said for word in TOLD)
    if name == "token" and damage not in (stranger, cut):
        assert Action.STATE_SET_ASIDE in said


@pytest.mark.parametrize("damage", [empty, folder, pipe, noise], ids=lambda damage: damage.__name__)
@pytest.mark.parametrize("name", ["scrollback", "rehearsal"])
async def test_a_lost_session_comes_back_whatever_has_the_name_of_a_folder(
    tmux: TmuxBox, name: str, damage: Callable[[Path], None]
) -> None:
    tmux.run("new-session", "-d", "-s", "web", "cat")
    with sidecar_box(tmux) as sidecar:
        sidecar.stored("web")
        damage(sidecar.state / name)
        os.kill(tmux.server_pid(), 9)
        sidecar.verified("web")


@pytest.mark.parametrize("damage", [cut, noise, zeros, folder], ids=lambda damage: damage.__name__)
async def test_a_database_without_a_log_is_put_aside_as_it_is(
    killed: tuple[TmuxBox, Path],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    damage: Callable[[Path], None],
) -> None:
    tmux, left = killed
    state = shutil.copytree(left, tmp_path / "state")
    with closing(sqlite3.connect(state / "sidecar.db")) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    damage(state / "sidecar.db")
    garbage = (state / "sidecar.db").read_bytes() if damage is not folder else b""
    sidecar = await started(tmux, state)
    await sidecar.stop()
    (aside,) = state.glob("sidecar.db.damaged-*Z")
    assert aside.is_dir() if damage is folder else aside.read_bytes() == garbage
    assert Action.DATABASE_SET_ASIDE in capfd.readouterr().err


def test_two_damages_in_one_second_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.db"
    for number in range(3):
        path.write_bytes(b"garbage %d" % number * 100)
        open_database(tmp_path, 1.0).connection.close()
    kept = {one.read_bytes()[:9] for one in tmp_path.iterdir() if "damaged" in one.name}
    assert kept == {b"garbage 0", b"garbage 1", b"garbage 2"}
