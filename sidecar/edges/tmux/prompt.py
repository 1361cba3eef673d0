"""Typing into a pane's shell, once it is ready to read.

A shell with a line editor switches its terminal out of line mode while it waits at the prompt;
a plain one just sleeps in front of its own terminal. Text typed before that can be eaten by a
start-up file, or echoed twice.
"""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Callable

from sidecar.clock import Clock
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.text import command
from sidecar.errors import Temporary
from sidecar.model.plan import Entry, Resumption

_PATIENCE = 5.0
_PAUSE = 0.01
_PLAIN_POLLS = 3
_LOCAL_FLAGS = 3


async def enter(
    runner: TmuxRunner,
    clock: Clock,
    pane: str,
    pid: int,
    tty: str,
    resumption: Resumption,
    in_front: Callable[[int], bool],
) -> None:
    """Type the line, and Enter if the entry says so.

    ``in_front`` tells whether a process is its terminal's foreground group and sleeps.

    Raises:
        Temporary: the shell was not ready within 5 s, or is not ``pid`` any more.
    """
    await _ready(clock, pid, tty, in_front)
    keys = [command("send-keys", "-t", pane, "-l", "--", resumption.line)]
    if resumption.entry is Entry.TYPED:
        keys.append(command("send-keys", "-t", pane, "Enter"))
    keys.append(command("display-message", "-p", "entered"))
    guard = f"#{{&&:#{{==:#{{pane_pid}},{pid}}},#{{!=:#{{pane_dead}},1}}}}"
    script = command("if-shell", "-F", "-t", pane, guard, " ; ".join(keys)) + "\n"
    answer = await runner.call("source-file", "-", stdin=script.encode("utf-8", "surrogateescape"))
    if b"entered" not in answer:
        raise Temporary(f"{pane} no longer holds the shell {pid}", hint="The pane changed meanwhile.")


async def _ready(clock: Clock, pid: int, tty: str, in_front: Callable[[int], bool]) -> None:
    deadline = clock.monotonic() + _PATIENCE
    quiet = 0
    while clock.monotonic() < deadline:
        if await asyncio.to_thread(in_front, pid):
            if await asyncio.to_thread(_line_editor_waits, tty):
                return
            quiet += 1
            if quiet >= _PLAIN_POLLS * 10:
                return
        else:
            quiet = 0
        await clock.sleep(_PAUSE)
    raise Temporary(
        f"the shell {pid} was not ready for input within {_PATIENCE:g} s",
        hint="Something runs in front of it, or its start-up files are slow.",
    )


def _line_editor_waits(tty: str) -> bool:
    try:
        descriptor = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not termios.tcgetattr(descriptor)[_LOCAL_FLAGS] & termios.ICANON
    except termios.error:
        return False
    finally:
        os.close(descriptor)
