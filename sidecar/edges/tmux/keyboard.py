"""Typing a declared pane's command lines into it, in order, with their pauses.

The first waits for the shell, as every typed line does. The others follow as soon as the one before is
taken, as a person types ahead and as tmuxp does: what reads them may be the shell, or a program that a
line before has started.
"""

from __future__ import annotations

import asyncio
import fcntl
import struct
import termios
from collections.abc import Sequence

from sidecar.clock import Clock
from sidecar.edges.tmux.prompt import Typist, ask_terminal, edits_lines, terminal_of
from sidecar.errors import Permanent, SidecarError
from sidecar.model.workspace import Command

_AHEAD = 2_000
"""Bytes that may wait to be read; a terminal drops what comes after 4,096."""
_AWAY = 0.02
"""Seconds in which a line has gone from tmux through the terminal to its reader."""
_TAKEN = 1.0
"""Seconds after which a reader that takes nothing is typed ahead of."""


async def type_lines(
    typist: Typist,
    clock: Clock,
    pane: str,
    pid: int,
    lines: Sequence[Command],
    mark: str = "",
    typed: int = 0,
) -> None:
    """Type every line after the first ``typed``, only while the pane's process is ``pid``.

    Each is noted under the ``mark`` in the line that types it.

    Raises:
        Temporary: nothing has been typed; the shell was not ready, or the pane cannot be typed into.
        Permanent: some has been typed, and the rest cannot be.
    """
    await typist.ready(pane, pid)
    waiting = 0
    for number, line in enumerate(lines[typed:], start=typed):
        try:
            await clock.sleep(line.sleep_before)
            waiting += len(line.text.encode()) + 1
            if waiting > _AHEAD:
                await typist.ready(pane, pid)
                waiting = len(line.text.encode()) + 1
            await typist.send(pane, pid, line.text, enter=line.enter, mark=mark, number=number + 1)
            if line is not lines[-1]:
                await _taken(clock, pid)
            await clock.sleep(line.sleep_after)
        except SidecarError as error:
            if number == typed:
                raise
            raise Permanent(
                f"{number} of {len(lines)} lines were typed into {pane}, and then: {error}", hint=error.hint
            ) from error


async def _taken(clock: Clock, pid: int) -> None:
    """Wait until the line editor has what was typed.

    What it leaves in the terminal when it runs a program, that program gets without line ends.
    """
    await clock.sleep(_AWAY)
    deadline = clock.monotonic() + _TAKEN
    while clock.monotonic() < deadline and await asyncio.to_thread(_is_left, pid):
        await clock.sleep(_AWAY)


def _is_left(pid: int) -> bool:
    return ask_terminal(terminal_of(pid), lambda terminal: edits_lines(terminal) and _count(terminal) > 0)


def _count(terminal: int) -> int:
    """Characters that wait to be read."""
    (count,) = struct.unpack("i", fcntl.ioctl(terminal, termios.FIONREAD, b"\0" * 4))
    return int(count)
