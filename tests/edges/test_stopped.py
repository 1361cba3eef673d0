"""What the kernel says of real processes, and that only the one that is meant is signalled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sidecar.clock import SystemClock
from sidecar.edges import process
from sidecar.edges.stopped import StoppedDoor
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.model.running import Running
from sidecar.model.session import Presence
from tests.box import TmuxBox, eventually

DOOR = StoppedDoor(SystemClock())


@contextmanager
def sleeper() -> Iterator[int]:
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as child:
        try:
            yield child.pid
        finally:
            child.kill()


def running(pid: int) -> Running | None:
    found = process.state(pid)
    return found.running if found else None


async def test_a_stopped_process_goes_on_and_no_other_is_signalled() -> None:
    with sleeper() as pid:
        eventually(lambda: running(pid) is Running.SLEEPING)
        os.kill(pid, signal.SIGSTOP)
        eventually(lambda: running(pid) is Running.STOPPED)
        known = DOOR.state(pid)
        assert known is not None
        assert known.stopped
        assert not await DOOR.let_go_on(pid, known.started + 1)
        assert running(pid) is Running.STOPPED
        assert await DOOR.let_go_on(pid, known.started)
        eventually(lambda: running(pid) is Running.SLEEPING)
    assert DOOR.state(pid) is None
    assert not await DOOR.let_go_on(pid, known.started)


async def test_a_process_in_the_kernel_is_seen_as_such() -> None:
    # Its parent waits for it where no signal reaches, until it has opened a pipe that nobody writes to.
    program = (
        "import os, sys; os.mkfifo(sys.argv[1]); opened = (os.POSIX_SPAWN_OPEN, 0, sys.argv[1], 0, 0); "
        "os.posix_spawn('/bin/true', ['true'], {}, file_actions=[opened])"
    )
    pipe = f"/tmp/sc-pipe-{os.getpid()}"
    with subprocess.Popen([sys.executable, "-c", program, pipe]) as child:
        try:
            eventually(lambda: running(child.pid) is Running.BLOCKED)
            server = await DOOR.server(child.pid)
            assert server is not None
            assert (server.earlier.running, server.now.running) == (Running.BLOCKED, Running.BLOCKED)
            assert server.now.ticks - server.earlier.ticks <= 1
            assert "load" in server.pressure
        finally:
            os.close(os.open(pipe, os.O_WRONLY))
            os.unlink(pipe)


async def test_a_look_does_not_wait_for_a_stopped_server(
    tmux: TmuxBox, runner: TmuxRunner, door: TmuxDoor
) -> None:
    tmux.run("new-session", "-d")
    look = await door.look()
    assert look.server is not None
    os.kill(look.server.pid, signal.SIGSTOP)
    try:
        began = SystemClock().monotonic()
        silent = await door.look()
        took = SystemClock().monotonic() - began
    finally:
        os.kill(look.server.pid, signal.SIGCONT)
    assert (silent.presence, silent.silent) == (Presence.UNKNOWN, True)
    assert "was stopped (state T)" in silent.reason
    assert took < runner.settings.timeout
    assert (await door.look()).presence is Presence.PRESENT
