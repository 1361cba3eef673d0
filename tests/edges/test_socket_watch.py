"""What the watch upon the socket file tells, and what it does not."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sidecar.clock import SystemClock
from sidecar.edges import inotify
from sidecar.edges.tmux import socket_watch
from sidecar.edges.tmux.socket_watch import SocketWatch

PATIENCE = 5.0


def bind(path: Path) -> None:
    """A socket file, as a server leaves it."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "above" / "tmux-0"
    folder.mkdir(parents=True)
    # A socket's own path may have 107 characters; pytest's folders are longer now and then.
    bind(Path(os.path.relpath(folder / "default")))
    return folder / "default"


@pytest.fixture
def watch(file: Path) -> Iterator[SocketWatch]:
    watch = SocketWatch(file, SystemClock())
    yield watch
    watch.close()


async def told(watch: SocketWatch, what: Callable[[], object]) -> float:
    """Seconds from what is done until the watch tells of it."""
    waiting = asyncio.create_task(watch.changed())
    await asyncio.sleep(0)
    began = time.monotonic()
    what()
    async with asyncio.timeout(PATIENCE):
        await waiting
    return time.monotonic() - began


def wipe(file: Path) -> None:
    shutil.rmtree(file.parent)


def wipe_above(file: Path) -> None:
    shutil.rmtree(file.parent.parent)


def move_above(file: Path) -> None:
    file.parent.parent.rename(file.parent.parent.with_name("elsewhere"))


def replace(file: Path) -> None:
    bind(Path(os.path.relpath(file.with_name("other"))))
    file.with_name("other").rename(file)


@pytest.mark.parametrize(
    "change",
    [
        Path.unlink,
        wipe,
        wipe_above,
        move_above,
        replace,
        lambda file: file.rename(file.with_name("moved")),
        lambda file: file.chmod(0),
        lambda file: file.parent.chmod(0o705),
    ],
)
async def test_what_happens_to_the_socket_is_told_at_once(
    file: Path, watch: SocketWatch, change: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # Were it the poll that tells, it would not be in time.
    monkeypatch.setattr(socket_watch, "_POLL", 2 * PATIENCE)
    assert await told(watch, lambda: change(file)) < PATIENCE


async def test_a_socket_that_comes_back_is_told(file: Path, watch: SocketWatch) -> None:
    assert not watch.wiped
    await told(watch, lambda: wipe_above(file))
    await told(watch, lambda: file.parent.mkdir(parents=True))
    assert watch.wiped
    await told(watch, lambda: bind(Path(os.path.relpath(file))))
    assert not watch.wiped
    await told(watch, file.unlink)


async def test_what_happens_between_two_calls_is_told(file: Path, watch: SocketWatch) -> None:
    await told(watch, file.unlink)
    bind(Path(os.path.relpath(file)))
    async with asyncio.timeout(PATIENCE):
        await watch.changed()


async def test_clients_that_come_and_neighbours_are_no_change(
    file: Path, watch: SocketWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    state = socket_watch._state
    monkeypatch.setattr(socket_watch, "_state", lambda file: looks.append(file) or state(file))
    waiting = asyncio.create_task(watch.changed())
    await asyncio.sleep(0)
    file.chmod(file.stat().st_mode | 0o110)
    file.with_name("neighbour").write_text("")
    async with asyncio.timeout(PATIENCE):
        while len(looks) < 2:
            await asyncio.sleep(0.001)
    assert not waiting.done()
    file.unlink()
    async with asyncio.timeout(PATIENCE):
        await waiting


async def test_without_inotify_the_file_is_looked_at(
    file: Path, watch: SocketWatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(inotify.Inotify, "_checked", staticmethod(full))
    await told(watch, file.unlink)


def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    queue = inotify.Inotify()
    try:
        with pytest.raises(FileNotFoundError):
            queue.watch(str(tmp_path / "gone"), inotify.ENTRIES)
    finally:
        queue.close()
