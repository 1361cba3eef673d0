"""What programs in real panes are about, seen from outside."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
from collections.abc import Callable
from pathlib import Path

import pytest

from sidecar.clock import SystemClock
from sidecar.edges.probes import attitude as door
from sidecar.edges.probes.vitals import VitalsDoor
from sidecar.model.session import Pane
from sidecar.model.vitals import Attitude, Vitals
from tests.box import TmuxBox, eventually

INPUT = "input('? ')"
ASYNC = """
import asyncio, sys
async def main():
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.readline()
asyncio.run(main())
"""
KEYS = """
import select, sys, tty
tty.setcbreak(0)
select.select([0, 2], [], [])
"""
SERVER = """
import socket
one = socket.socket(); one.bind(("127.0.0.1", 0)); one.listen(); one.accept()
"""
PATIENT = """
import select, socket
one = socket.socket(); one.bind(("127.0.0.1", 0)); one.listen()
select.select([one, 0 + one.fileno()], [], [])
"""
THREADED = """
import threading, time
threading.Thread(target=time.sleep, args=(1001,)).start()
input()
"""


class Panes:
    def __init__(self, tmux: TmuxBox) -> None:
        self.tmux = tmux
        self.senses = VitalsDoor(SystemClock())

    def pane(self) -> Pane:
        line = self.tmux.panes("#{pane_id} #{pane_pid} #{pane_tty}")[0]
        number, pid, tty = line.split()
        return Pane(
            number, 0, int(pid), tty, "", "/", "", True, False, None, 80, 24, 0, 0, False, ""
        )  # fmt: skip

    async def vitals(self) -> Vitals:
        found = await self.senses.measure([self.pane()])
        return found[self.pane().id]

    async def until(self, question: Callable[[Vitals], bool]) -> Vitals:
        async with asyncio.timeout(10):
            while True:
                vitals = await self.vitals()
                if question(vitals):
                    return vitals
                await asyncio.sleep(0.02)


@pytest.fixture
async def panes(tmux: TmuxBox) -> Panes:
    tmux.run("new-session", "-d", "-s", "web", "-x", "200", "-y", "50", "bash --norc")
    eventually(lambda: "bash" in tmux.run("capture-pane", "-p", "-t", "=web:"), "a prompt")
    return Panes(tmux)


def run(panes: Panes, *argv: str) -> None:
    panes.tmux.run("respawn-pane", "-k", "-t", "=web:", *argv)


@pytest.mark.parametrize(
    ("program", "wanted"),
    [
        (INPUT, Attitude.READING),
        (ASYNC, Attitude.LISTENING),
        (KEYS, Attitude.LISTENING),
        (THREADED, Attitude.READING),
        (SERVER, Attitude.WORKING),
        (PATIENT, Attitude.WORKING),
        ("import time; time.sleep(1001)", Attitude.WORKING),
        ("while True: pass", Attitude.WORKING),
    ],
)
@pytest.mark.parametrize("secret", [False, True], ids=["calls", "places"])
async def test_what_a_program_waits_for(
    panes: Panes, monkeypatch: pytest.MonkeyPatch, program: str, wanted: Attitude, secret: bool
) -> None:
    """With and without leave to read system calls."""
    if secret:
        read = door._read
        monkeypatch.setattr(door, "_read", lambda path: "" if path.endswith("/syscall") else read(path))
    run(panes, sys.executable, "-c", program)
    vitals = await panes.until(lambda v: v.attitude is wanted and v.age > 0.3)
    assert vitals.evidence


async def test_a_shell_at_its_prompt_reads(panes: Panes) -> None:
    vitals = await panes.until(lambda v: v.attitude is Attitude.READING)
    assert vitals.pid == panes.pane().pid
    assert "waits" in vitals.evidence


async def test_a_program_in_front_of_a_shell_is_the_one_that_counts(panes: Panes) -> None:
    panes.tmux.run("send-keys", "-t", "=web:", "sleep 1001 | cat", "Enter")
    vitals = await panes.until(lambda v: v.pid != panes.pane().pid)
    assert vitals.attitude is Attitude.WORKING
    panes.tmux.run("send-keys", "-t", "=web:", "C-c", "")
    panes.tmux.run("send-keys", "-t", "=web:", "cat", "Enter")
    other = await panes.until(lambda v: v.attitude is Attitude.READING and v.pid != panes.pane().pid)
    assert not other.same(vitals)


async def test_stopped_and_held_up(panes: Panes) -> None:
    run(panes, "sh", "-c", "sleep 1001; true")
    vitals = await panes.until(lambda v: v.attitude is Attitude.WORKING)
    # tmux lets a pane's own process go on at once.
    children = Path(f"/proc/{vitals.pid}/task/{vitals.pid}/children")
    child = int(await asyncio.to_thread(eventually, children.read_text, "a child"))
    os.kill(child, signal.SIGSTOP)
    await panes.until(lambda v: v.attitude is Attitude.STOPPED)
    os.kill(child, signal.SIGCONT)
    terminal = os.open(panes.pane().tty, os.O_RDWR | os.O_NOCTTY)
    try:
        termios.tcflow(terminal, termios.TCOOFF)
        await panes.until(lambda v: v.attitude is Attitude.HELD_UP)
        termios.tcflow(terminal, termios.TCOON)
    finally:
        os.close(terminal)
    await panes.until(lambda v: v.attitude is Attitude.WORKING)


async def test_processor_reading_and_output(panes: Panes) -> None:
    run(panes, "sleep", "1001")
    first = await panes.until(lambda v: v.attitude is Attitude.WORKING)
    assert first.cpu < 0.5
    assert first.io is not None
    assert first.silent == 0.0
    run(panes, "sh", "-c", "sh -c 'cat /dev/zero | head -c 300000000 > /dev/null'; sleep 1001")
    busy = await panes.until(lambda v: (v.io or 0) > 300_000_000)
    assert busy.cpu > 0.0
    file = panes.pane().tty
    os.utime(file, (0, os.stat(file).st_mtime - 100))
    later = await panes.vitals()
    assert later.silent is not None
    assert 85.0 < later.silent < 120.0


async def test_nothing_is_told_of_what_is_gone(panes: Panes) -> None:
    pane = panes.pane()
    panes.tmux.lose()
    eventually(lambda: not os.path.exists(f"/proc/{pane.pid}/stat"), "its end")
    assert await panes.senses.measure([pane]) == {}
