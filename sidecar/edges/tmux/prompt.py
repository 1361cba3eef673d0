"""Typing into a pane's shell, once it is ready to read.

A shell with a line editor takes its terminal out of line mode while it waits at the prompt;
a plain one just sleeps in front of its own terminal. Text typed before that can be eaten by a
start-up file, or be echoed twice.
"""

from __future__ import annotations

import asyncio
import os
import termios
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.tmux import marks
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.text import command, in_one, script
from sidecar.errors import SidecarError, Temporary
from sidecar.model.plan import Entry, Resumption

_PATIENCE = 5.0
_POLL = 0.01
_QUIET = 0.3
"""Seconds of sleep after which a shell without a line editor counts as waiting: start-up files sleep too."""
_EDITOR_QUIET = 3.0
"""The same for a shell that has one, and may have been told not to use it."""
_EDITORS = frozenset({"bash", "zsh", "fish", "ksh", "mksh", "tcsh", "nu", "elvish", "xonsh", "pwsh"})
_LOCAL_FLAGS = 3
_ENTERED = "entered"
_EMPTY_LINE = ("End", "C-u")
"""Keys that empty the line; where a shell does not know the first, the second erases what that has left."""
_STAT_TTY = 4
"""Position of the terminal's device number among the fields of /proc/PID/stat after ``comm``."""
_PTS_MAJORS = range(136, 144)

InFront = Callable[[int], bool]
"""Whether a process is its terminal's foreground group and sleeps."""


class _Calm(Enum):
    """How a shell looks from outside."""

    NO_TERMINAL = "has no terminal, or is gone"
    NONE = "busy, or not in front"
    QUIET = "sleeps in front, perhaps within a start-up file"
    WAITS = "waits for a line"


class Typist:
    """Types into panes. Lines that become due while a client runs share the next one."""

    def __init__(self, runner: TmuxRunner, clock: Clock, in_front: InFront) -> None:
        self._runner = runner
        self._clock = clock
        self._in_front = in_front
        self._due: list[tuple[str, asyncio.Future[frozenset[str]]]] = []
        self._one = asyncio.Lock()

    async def enter(self, pane: str, pid: int, resumption: Resumption, mark: str = "") -> None:
        """Type the line, and Enter if the entry says so, only while the pane's process is ``pid``.

        It takes the place of what stands at the prompt, as a line that was held there before. Only once under
        one ``mark``: tmux notes it in the line that types.

        Raises:
            Temporary: the shell was not ready within 5 s, or the pane cannot be typed into just now.
            TmuxAbsent, TmuxUnknown: there is no server, or no answer.
        """
        await self.ready(pane, pid)
        enter = resumption.entry is Entry.TYPED
        await self.send(pane, pid, resumption.line, enter=enter, mark=mark, before=_EMPTY_LINE)

    async def send(
        self,
        pane: str,
        pid: int,
        text: str,
        *,
        enter: bool,
        mark: str = "",
        number: int = 1,
        before: Sequence[str] = (),
    ) -> None:
        """Type the line at once, only while the pane's process is ``pid``.

        It is the pane's line ``number`` under this ``mark``. The keys ``before`` go first.

        Raises:
            Temporary: the pane cannot be typed into just now.
            TmuxAbsent, TmuxUnknown: there is no server, or no answer.
        """
        # Without the pane's own %, which would be the begin of a time here.
        word = f"{_ENTERED}{pane.removeprefix('%')}"
        # In a mode the keys would steer the mode.
        ready = f"#{{&&:#{{==:#{{pane_pid}},{pid}}},#{{==:#{{pane_dead}}#{{pane_in_mode}},00}}}}"
        guard = f"#{{&&:{ready},{marks.not_typed(mark, number)}}}"
        keys = [command("send-keys", "-t", pane, *before)] if before else []
        if text:
            keys.append(command("send-keys", "-t", pane, "-l", "--", text))
        if enter:
            keys.append(command("send-keys", "-t", pane, "Enter"))
        done = in_one(
            _into_one(pane, in_one(*keys)),
            *marks.typed(pane, mark, number),
            command("display-message", "-p", word),
        )
        if word not in await self._send(command("if-shell", "-F", "-t", pane, guard, done)):
            raise Temporary(
                f"nothing was typed into {pane}: it is in copy mode, or no longer the shell {pid}",
                hint=f"Leave copy mode, or type it yourself: {text}",
            )

    async def _send(self, line: str) -> frozenset[str]:
        """Run the line, with all others that are due, and give the words that came back."""
        answered: asyncio.Future[frozenset[str]] = asyncio.get_running_loop().create_future()
        self._due.append((line, answered))
        async with self._one:
            if not answered.done():
                await self._send_due()
        return await answered

    async def _send_due(self) -> None:
        due, self._due = self._due, []
        try:
            answer = await self._runner.source(script(*(line for line, _ in due)))
        except SidecarError as error:
            for _, answered in due:
                if not answered.done():
                    answered.set_exception(error)
            return
        except BaseException:
            for _, answered in due:
                answered.cancel()
            raise
        words = frozenset(answer.decode("utf-8", "replace").split())
        for _, answered in due:
            if not answered.done():
                answered.set_result(words)

    async def ready(self, pane: str, pid: int) -> None:
        """Wait until the pane's process ``pid`` reads.

        Raises:
            Temporary: it did not within 5 s, or is gone.
        """
        quiet_since = self._clock.monotonic()
        deadline = quiet_since + _PATIENCE
        calm = _Calm.NONE
        while (now := self._clock.monotonic()) < deadline:
            calm = await asyncio.to_thread(self._calm, pid, now - quiet_since)
            if calm is _Calm.WAITS:
                return
            if calm is not _Calm.QUIET:
                quiet_since = now
            await self._clock.sleep(_POLL)
        if calm is _Calm.NO_TERMINAL:
            raise Temporary(f"{pane} no longer holds the shell {pid}", hint="The pane changed meanwhile.")
        raise Temporary(
            f"the shell {pid} was not ready for input within {_PATIENCE:g} s",
            hint="Something runs in front of it, or its start-up files are slow.",
        )

    def _calm(self, pid: int, quiet: float) -> _Calm:
        # A process that has just been made for a pane has no terminal yet.
        tty = terminal_of(pid)
        if not tty:
            return _Calm.NO_TERMINAL
        if not self._in_front(pid):
            return _Calm.NONE
        return _Calm.WAITS if _waits(pid, tty, quiet) else _Calm.QUIET


def _into_one(pane: str, keys: str) -> str:
    """The keys for this pane alone: where panes are synchronized, it is left out for that moment."""
    option = ("set-option", "-p", "-t", pane)
    apart = in_one(
        command(*option, "synchronize-panes", "off"),
        keys,
        command(*option, "-u", "synchronize-panes"),
        # It may have been the pane's own setting.
        command(
            "if-shell", "-F", "-t", pane, "#{!=:#{pane_synchronized},1}",
            command(*option, "synchronize-panes", "on"),
        ),
    )  # fmt: skip
    return command("if-shell", "-F", "-t", pane, "#{pane_synchronized}", apart, keys)


def terminal_of(pid: int) -> str:
    """The terminal of a process; empty if it has none, or is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    device = int(fields[_STAT_TTY])
    return f"/dev/pts/{os.minor(device)}" if os.major(device) in _PTS_MAJORS else ""


def _waits(pid: int, tty: str, quiet: float) -> bool:
    """Whether a shell that has slept in front of its terminal for so many seconds waits for a line."""
    return _line_editor_waits(tty) or quiet >= (_EDITOR_QUIET if _name(pid) in _EDITORS else _QUIET)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return ""


def _line_editor_waits(tty: str) -> bool:
    return ask_terminal(tty, edits_lines)


def edits_lines(descriptor: int) -> bool:
    """Whether whoever reads from this terminal takes characters one by one."""
    return not termios.tcgetattr(descriptor)[_LOCAL_FLAGS] & termios.ICANON


def ask_terminal(tty: str, question: Callable[[int], bool]) -> bool:
    """The answer to a question about an open terminal; False if it has none."""
    try:
        descriptor = os.open(tty, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return question(descriptor)
    except (OSError, termios.error):
        return False
    finally:
        os.close(descriptor)
