"""The way to a real server, found out from the file system and the kernel."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.reach import examine, listener
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.server import find_servers
from sidecar.errors import Permanent, TmuxUnknown
from sidecar.model.reach import Kind, Place
from sidecar.model.session import Presence
from tests.box import TmuxBox, eventually

NOBODY = 65534
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can act as another user")


@pytest.fixture
def server(tmux: TmuxBox, runner: TmuxRunner) -> int:
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    return tmux.server_pid()


def abandon(tmux: TmuxBox) -> None:
    """Another server takes the path, and is killed."""
    tmux.socket.rename(tmux.socket.with_name("aside"))
    tmux.run("new-session", "-d", "-s", "other", "sleep 1000")
    tmux.lose()


async def test_a_server_that_answers(tmux: TmuxBox, server: int, door: TmuxDoor) -> None:
    reach = await door.reach()
    assert (reach.file.kind, reach.folder) == (Kind.SOCKET, Place(Kind.FOLDER, os.getuid(), 0o700))
    assert reach.servers == (server,)
    assert reach.listener
    assert (reach.listener.pid, reach.listener.uid, reach.uid) == (server, os.getuid(), os.getuid())
    assert (await door.look()).presence is Presence.PRESENT


async def test_a_stopped_server_still_listens(tmux: TmuxBox, server: int, door: TmuxDoor) -> None:
    os.kill(server, signal.SIGSTOP)
    try:
        reach = await door.reach()
        assert reach.listener
        assert reach.listener.pid == server
    finally:
        os.kill(server, signal.SIGCONT)


async def test_a_socket_that_a_dead_server_has_left(tmux: TmuxBox, server: int, door: TmuxDoor) -> None:
    tmux.lose()
    reach = await door.reach()
    assert (reach.file.kind, reach.servers, reach.listener) == (Kind.SOCKET, (), None)
    assert reach.complaint == "Connection refused"


async def test_nothing_was_ever_there(tmux: TmuxBox, door: TmuxDoor) -> None:
    reach = await door.reach()
    assert (reach.file.kind, reach.folder.kind, reach.servers) == (Kind.MISSING, Kind.MISSING, ())


async def test_a_server_whose_path_another_one_has_taken(tmux: TmuxBox, server: int, door: TmuxDoor) -> None:
    tmux.socket.unlink()
    tmux.run("new-session", "-d", "-s", "other", "sleep 1000")
    other = tmux.server_pid()
    reach = await door.reach()
    assert set(reach.servers) == {server, other}
    assert reach.listener
    assert reach.listener.pid == other
    # As the refusal's hint says it.
    tmux.socket.rename(tmux.socket.with_name("box-2"))
    os.kill(server, signal.SIGUSR1)
    eventually(lambda: listener(tmux.socket) == server, "the old server")
    assert listener(tmux.socket.with_name("box-2")) == other
    os.kill(other, signal.SIGKILL)


@pytest.mark.parametrize(
    "harm",
    [
        lambda tmux: tmux.socket.unlink(),
        lambda tmux: shutil.rmtree(tmux.socket.parent),
        lambda tmux: tmux.socket.parent.chmod(0o777),
        lambda tmux: (tmux.socket.unlink(), tmux.socket.write_text("not a socket")),
        abandon,
    ],
)
async def test_the_server_makes_its_socket_again(
    tmux: TmuxBox, server: int, door: TmuxDoor, harm: object
) -> None:
    assert callable(harm)
    harm(tmux)
    assert (await door.look()).presence is not Presence.PRESENT
    await door.recreate_socket()
    look = await door.look()
    assert look.server
    assert look.server.pid == server
    assert stat.S_IMODE(tmux.socket.parent.stat().st_mode) == 0o700


@AS_ROOT
async def test_a_socket_that_was_given_away_is_made_again(tmux: TmuxBox, server: int, door: TmuxDoor) -> None:
    os.chown(tmux.socket, NOBODY, NOBODY)
    look = await door.look()
    assert look.presence is Presence.UNKNOWN
    assert f"belongs to uid {NOBODY}" in look.reason
    await door.recreate_socket()
    assert (await door.look()).presence is Presence.PRESENT


@AS_ROOT
async def test_a_folder_that_belongs_to_another_is_left_as_it_is(
    tmux: TmuxBox, server: int, door: TmuxDoor
) -> None:
    os.chown(tmux.socket.parent, NOBODY, NOBODY)
    tmux.socket.parent.chmod(0o555)
    tmux.socket.unlink()
    with pytest.raises(Permanent, match="cannot hold the socket") as refused:
        await door.recreate_socket()
    assert "mode 0700" in refused.value.hint
    assert stat.S_IMODE(tmux.socket.parent.stat().st_mode) == 0o555


@pytest.fixture
def foreign(tmux: TmuxBox) -> Iterator[int]:
    """A server of another user at the path of our socket."""
    tmux.folder.chmod(0o711)
    tmux.socket.parent.mkdir(mode=0o700)
    os.chown(tmux.socket.parent, NOBODY, NOBODY)
    subprocess.run(
        ["tmux", "-S", str(tmux.socket), "-f", "/dev/null", "new-session", "-d", "sleep 1000"],
        user=NOBODY, group=NOBODY, extra_groups=[], env={"PATH": os.environ["PATH"], "SHELL": "/bin/sh"},
        cwd="/", timeout=20, check=True,
    )  # fmt: skip
    pid = listener(tmux.socket)
    yield pid
    os.kill(pid, signal.SIGKILL)


@AS_ROOT
async def test_a_server_of_another_user_is_not_spoken_to(
    tmux: TmuxBox, runner: TmuxRunner, door: TmuxDoor, foreign: int
) -> None:
    look = await door.look()
    assert (look.presence, look.reason) == (Presence.UNKNOWN, f"{tmux.socket} belongs to uid {NOBODY}")
    with pytest.raises(TmuxUnknown):
        await runner.call("kill-server")
    reach = await door.reach()
    assert reach.listener
    assert (reach.listener.pid, reach.listener.uid, reach.servers) == (foreign, NOBODY, ())


def test_nobody_is_kept_by_a_listener_that_takes_no_more(tmp_path: Path, tmux: TmuxBox) -> None:
    path = tmux.folder / "full"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as first:
        server.bind(str(path))
        server.listen(0)
        first.connect(str(path))
        reach = examine(path, of_tmux=False)
    assert (reach.listener, reach.full) == (None, True)


_BORN = """
import socket, sys
open("/proc/self/comm", "w").write("tmux: server")
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
print("bound", flush=True)
sys.stdin.readline()
server.listen()
print("listens", flush=True)
sys.stdin.readline()
"""


def test_a_server_that_is_being_born_is_none_yet(tmp_path: Path) -> None:
    path = tmp_path / "s"
    born = subprocess.Popen(
        [sys.executable, "-c", _BORN, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert born.stdin
    assert born.stdout
    try:
        assert born.stdout.readline() == "bound\n"
        assert find_servers(path) == ()
        print(file=born.stdin, flush=True)
        assert born.stdout.readline() == "listens\n"
        assert find_servers(path) == (born.pid,)
    finally:
        born.communicate("\n")


_BUSY = """
import os, socket, sys
open("/proc/self/comm", "w").write("tmux: server")
low = [os.open("/dev/null", os.O_RDONLY) for _ in range(200)]
server = socket.socket(socket.AF_UNIX)
server.bind(sys.argv[1])
server.listen()
print("listens", flush=True)
while True:
    for number in low:
        os.close(number)
    for number in low:
        os.open("/dev/null", os.O_RDONLY)
"""


def test_a_server_whose_clients_come_and_go_is_always_found(tmp_path: Path) -> None:
    path = tmp_path / "s"
    busy = subprocess.Popen([sys.executable, "-c", _BUSY, str(path)], stdout=subprocess.PIPE, text=True)
    assert busy.stdout
    try:
        assert busy.stdout.readline() == "listens\n"
        assert {find_servers(path) for _ in range(200)} == {(busy.pid,)}
    finally:
        busy.kill()
        busy.communicate()
