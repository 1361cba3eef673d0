"""The door to processes and terminals that were stopped: what the kernel says, and letting them go on.

Nothing here ends a process. What is signalled is held by a pidfd first and then asked who it is, so
that a pid which has become another's is never hit.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges import pressure, process
from sidecar.model.running import Holder, Jam, ProcessState, Running, Sending, ServerState

_APART = 0.05
"""Seconds between two looks at a server that does not answer: long enough for a tick of the processor."""
_TERMINAL = "/dev/pts/"
_MULTIPLEXER = ("/dev/ptmx", "/dev/pts/ptmx")
_CLIENT = b"tmux: client"


class StoppedDoor:
    """Implements :class:`sidecar.flow.ports.Stopped`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def state(self, pid: int) -> ProcessState | None:
        """What a process does just now; None if it is gone. Reads one small file, or two."""
        return process.state(pid)

    def age(self, pid: int) -> float | None:
        """Seconds since a process began; None if it is gone."""
        return process.age(pid)

    async def all_stopped(self) -> tuple[ProcessState, ...]:
        """Every process of this machine that was stopped and that we may signal, with its command."""
        return await asyncio.to_thread(_all_stopped)

    async def send_to_group(self, state: ProcessState, what: Sending) -> bool:
        """Signal the group of a process, while it is this one and has the terminal. False: it is not.

        A group that a debugger has to do with is never signalled.
        """
        return await asyncio.to_thread(_send_to_group, state, signal.Signals[what.value])

    async def full_terminals(self, terminals: Sequence[str]) -> Mapping[str, int]:
        """Those that take nothing just now, with the processor time (ticks) of the processes in them."""
        return await asyncio.to_thread(_full_terminals, terminals)

    async def unblock(self, terminal: str, pid: int) -> bool:
        """Undo Ctrl-S without typing, only while it is the terminal of this process. False: it is not."""
        return await asyncio.to_thread(_unblock, terminal, pid)

    async def server(self, pid: int) -> ServerState | None:
        """A server that does not answer, from outside; None if it is gone."""
        earlier, began = process.state(pid), self._clock.monotonic()
        await self._clock.sleep(_APART)
        now = process.state(pid)
        if earlier is None or now is None or not now.same(earlier):
            return None
        apart = self._clock.monotonic() - began
        return await asyncio.to_thread(_server, earlier, now, apart)

    async def let_go_on(self, pid: int, started: int) -> bool:
        """SIGCONT, only while the pid is the process that began then. False: it is not, or not ours."""
        return await asyncio.to_thread(signal_one, pid, started, signal.SIGCONT)


def _full_terminals(terminals: Sequence[str]) -> dict[str, int]:
    full = {_device(terminal): terminal for terminal in terminals if not writable(terminal)}
    if not full:
        return {}
    ticks = dict.fromkeys(full.values(), 0)
    for pid in map(int, filter(str.isdigit, _names("/proc"))):
        terminal = full.get(process.terminal_of(pid))
        state = process.state(pid) if terminal else None
        if terminal and state:
            ticks[terminal] += state.ticks
    return ticks


def _device(terminal: str) -> int:
    """Its number; one that no process has for a terminal that is gone."""
    try:
        return os.stat(terminal).st_rdev
    except OSError:
        return -1


def _unblock(terminal: str, pid: int) -> bool:
    try:
        descriptor = os.open(terminal, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        if process.terminal_of(pid) != os.fstat(descriptor).st_rdev:
            return False
        # The kernel lets go of what it has stopped itself only after it was asked to stop, too.
        termios.tcflow(descriptor, termios.TCOOFF)
        termios.tcflow(descriptor, termios.TCOON)
        return True
    except (OSError, termios.error):
        return False
    finally:
        os.close(descriptor)


def _all_stopped() -> tuple[ProcessState, ...]:
    pids = filter(process.is_stopped, map(int, filter(str.isdigit, _names("/proc"))))
    states = (state for pid in pids if (state := process.state(pid)) is not None and state.stopped)
    return tuple(replace(one, command=process.command_line(one.pid)) for one in states if _ours(one.pid))


def _ours(pid: int) -> bool:
    """Whether we may signal it."""
    try:
        return os.getuid() in (0, os.stat(f"/proc/{pid}").st_uid)
    except OSError:
        return False


def _server(earlier: ProcessState, now: ProcessState, apart: float) -> ServerState:
    return ServerState(earlier, now, apart, _waits_in(now.pid), tuple(_jams(now.pid)), _pressed())


def _waits_in(pid: int) -> str:
    try:
        function = Path(f"/proc/{pid}/wchan").read_text()
    except OSError:
        return ""
    return "" if function == "0" else function


def _pressed() -> str:
    now = pressure.read()
    stalls = {"processor": now.cpu_stalled, "memory": now.memory_stalled}
    told = [f"{name} stalled {share:g} %" for name, share in stalls.items() if share is not None]
    return ", ".join([f"load {now.load:.1f} for each processor", *told])


def _jams(server: int) -> Iterator[Jam]:
    """Terminals of clients that take no more, and for which the server would wait."""
    for number, terminal in _terminals(server):
        if _would_wait(server, number) and not writable(terminal):
            yield Jam(terminal, tuple(_holders(terminal)))


def _terminals(pid: int) -> Iterator[tuple[str, str]]:
    folder = f"/proc/{pid}/fd"
    for number in _names(folder):
        target = _link(f"{folder}/{number}")
        if target.startswith(_TERMINAL) and target not in _MULTIPLEXER:
            yield number, target


def _would_wait(pid: int, number: str) -> bool:
    """tmux opens terminals so that it need not wait; another program may have taken that back."""
    return not _described(pid, number, "flags", 8) & os.O_NONBLOCK


def _described(pid: int, number: str, what: str, base: int) -> int:
    """A number from what the kernel tells of a descriptor; -1 if it does not."""
    try:
        lines = Path(f"/proc/{pid}/fdinfo/{number}").read_text().splitlines()
    except OSError:
        return -1
    return next((int(line.split()[1], base) for line in lines if line.startswith(f"{what}:")), -1)


def writable(terminal: str) -> bool:
    """Whether the terminal takes anything just now. True as well where that cannot be told."""
    try:
        descriptor = os.open(terminal, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        asked = select.poll()
        asked.register(descriptor, select.POLLOUT)
        return bool(asked.poll(0))
    finally:
        os.close(descriptor)


def _holders(terminal: str) -> Iterator[Holder]:
    """The clients that are attached there, and whoever has the terminal's other end."""
    index = int(terminal.removeprefix(_TERMINAL))
    device = _device(terminal)
    for pid in map(int, filter(str.isdigit, _names("/proc"))):
        is_client = process.terminal_of(pid) == device and _comm(pid).startswith(_CLIENT)
        if not is_client and not _has_other_end(pid, index):
            continue
        found = process.state(pid)
        if found is not None:
            yield Holder(found, process.command_line(pid), is_client)


def _has_other_end(pid: int, index: int) -> bool:
    folder = f"/proc/{pid}/fd"
    return any(
        _link(f"{folder}/{number}") in _MULTIPLEXER and _described(pid, number, "tty-index", 10) == index
        for number in _names(folder)
    )


def _comm(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/comm").read_bytes()
    except OSError:
        return b""


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _send_to_group(known: ProcessState, number: signal.Signals) -> bool:
    now = process.state(known.pid)
    if now is None or not now.same(known) or now.group != now.front:
        return False
    pids = map(int, filter(str.isdigit, _names("/proc")))
    states = [state for pid in pids if (state := process.state(pid)) is not None]
    group = [one for one in states if (one.group, one.session) == (now.group, now.session)]
    if any(one.tracer or one.running is Running.TRACED for one in group):
        return False
    # Whoever was stopped hears of it only when it goes on.
    sent = [signal_one(one.pid, one.started, number) for one in group]
    for one in group:
        if one.stopped:
            signal_one(one.pid, one.started, signal.SIGCONT)
    return any(sent)


def signal_one(
    pid: int, started: int, number: signal.Signals, only_if: Callable[[], bool] = lambda: True
) -> bool:
    """Signal a process, only while it began then and ``only_if`` says so. False: it was not signalled."""
    try:
        descriptor = os.pidfd_open(pid)
    except OSError:
        return False
    try:
        # Asked with the descriptor in hand: until then the pid might have become another's.
        found = process.state(pid)
        if found is None or found.started != started or not only_if():
            return False
        signal.pidfd_send_signal(descriptor, number)
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
