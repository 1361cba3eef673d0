"""Typing into a pane's shell, once it is ready to read.

A shell with a line editor takes its terminal out of line mode while it waits at the prompt;
a plain one just sleeps in front of its own terminal. Text typed before that can be eaten by a
start-up file, or be echoed twice.
"""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Callable
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.text import command, in_one, script
from sidecar.errors import Temporary
from sidecar.model.plan import Entry, Resumption

_PATIENCE = 5.0
_POLL = 0.01
_QUIET = 0.3
"""Seconds of sleep after which a shell without a line editor counts as waiting: start-up files sleep too."""
_EDITOR_QUIET = 3.0
"""The same for a shell that has one, and may have been told not to use it."""
_EDITORS = frozenset({"bash", "zsh", "fish", "ksh", "mksh", "tcsh", "nu", "elvish", "xonsh", "pwsh"})
_LOCAL_FLAGS = 3
_ENTERED = b"entered"

InFront = Callable[[int], bool]
"""Whether a process is its terminal's foreground group and sleeps."""


async def enter(
    runner: TmuxRunner, clock: Clock, pane: str, pid: int, resumption: Resumption, in_front: InFront
) -> None:
    """Type the line, and Enter if the entry says so, only while the pane's process is ``pid``.

    Raises:
        Temporary: the shell was not ready within 5 s, or the pane cannot be typed into just now.
    """
    tty = await _tty(runner, pane, pid)
    await _ready(clock, pid, tty, in_front)
    # In a mode the keys would steer the mode; with synchronized panes they would go to all of them.
    guard = (
        f"#{{&&:#{{==:#{{pane_pid}},{pid}}},"
        "#{==:#{pane_dead}#{pane_in_mode}#{pane_synchronized},000}}"
    )
    keys = [command("send-keys", "-t", pane, "-l", "--", resumption.line)]
    if resumption.entry is Entry.TYPED:
        keys.append(command("send-keys", "-t", pane, "Enter"))
    done = in_one(*keys, command("display-message", "-p", _ENTERED.decode()))
    answer = await runner.source(script(command("if-shell", "-F", "-t", pane, guard, done)))
    if answer.strip() != _ENTERED:
        raise Temporary(
            f"nothing was typed into {pane}: it is in copy mode, synchronized, or no longer the shell {pid}",
            hint=f"Leave copy mode, or type it yourself: {resumption.line}",
        )


async def _tty(runner: TmuxRunner, pane: str, pid: int) -> str:
    answer = await runner.call("display-message", "-p", "-t", pane, "#{pane_pid} #{pane_tty}")
    found, _, tty = answer.decode().strip().partition(" ")
    if found != str(pid):
        raise Temporary(f"{pane} no longer holds the shell {pid}", hint="The pane changed meanwhile.")
    return tty


async def _ready(clock: Clock, pid: int, tty: str, in_front: InFront) -> None:
    deadline = clock.monotonic() + _PATIENCE
    quiet_since = clock.monotonic()
    while clock.monotonic() < deadline:
        if not await asyncio.to_thread(in_front, pid):
            quiet_since = clock.monotonic()
        elif await asyncio.to_thread(_waits, pid, tty, clock.monotonic() - quiet_since):
            return
        await clock.sleep(_POLL)
    raise Temporary(
        f"the shell {pid} was not ready for input within {_PATIENCE:g} s",
        hint="Something runs in front of it, or its start-up files are slow.",
    )


def _waits(pid: int, tty: str, quiet: float) -> bool:
    """Whether a shell that has slept in front of its terminal for so many seconds waits for a line."""
    return _line_editor_waits(tty) or quiet >= (_EDITOR_QUIET if _name(pid) in _EDITORS else _QUIET)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return ""


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
