"""Whether a program waits for somebody to type, by what the kernel says it waits in.

Where the kernel does not let us know, the doubt goes to the program: it is taken to wait.
"""

from __future__ import annotations

import contextlib
import os
import platform
import select
import termios
from collections.abc import Iterator, Mapping

from sidecar.edges.stopped import writable
from sidecar.model.vitals import Attitude

_READS = {"x86_64": {0, 19}, "aarch64": {63, 65}, "riscv64": {63, 65}}
_SELECTS = {"x86_64": {23, 270}, "aarch64": {72}, "riscv64": {72}}
"""Of these, the first argument is one more than the highest descriptor."""
_POLLS = {"x86_64": {7, 271}, "aarch64": {73}, "riscv64": {73}}
_EPOLLS = {"x86_64": {232, 281, 441}, "aarch64": {22, 441}, "riscv64": {22, 441}}
_MACHINE = platform.machine()
_THREADS = 64
_LOCAL_MODES = 3

Told = tuple[Attitude, str]


def attitude(states: Mapping[int, str], terminal: str) -> Told:
    """Of a foreground group, given as the state letter of each of its processes."""
    for pid, state in states.items():
        if state in ("T", "t"):
            return Attitude.STOPPED, f"process {pid} is stopped (state {state})"
    if not writable(terminal):
        return Attitude.HELD_UP, f"{terminal} takes no output"
    best: Told = (Attitude.WORKING, "it does not wait for input")
    for pid in states:
        told = _process(pid, terminal)
        if told[0] is Attitude.READING:
            return told
        if told[0] is Attitude.LISTENING:
            best = told
    return best


def _process(pid: int, terminal: str) -> Told:
    best: Told = (Attitude.WORKING, "")
    for thread in _threads(pid):
        told = _thread(pid, thread, terminal)
        if told[0] is Attitude.READING:
            return told
        if told[0] is Attitude.LISTENING:
            best = told
    return best


def _threads(pid: int) -> Iterator[str]:
    with contextlib.suppress(OSError):
        yield from sorted(os.listdir(f"/proc/{pid}/task"))[:_THREADS]


def _thread(pid: int, thread: str, terminal: str) -> Told:
    words = _read(f"/proc/{pid}/task/{thread}/syscall").split()
    if words and words[0].isdigit() and _MACHINE in _READS:
        return _by_call(pid, int(words[0]), int(words[1], 16), terminal)
    if words[:1] == ["running"]:
        return Attitude.WORKING, ""
    return _by_place(pid, thread, terminal)


def _by_call(pid: int, call: int, first: int, terminal: str) -> Told:
    """What the system call that it is in waits for; ``first`` is its first argument."""
    if call in _READS[_MACHINE] and _is_terminal(pid, first, terminal):
        return Attitude.READING, f"process {pid} waits in a read of {terminal}"
    if call in _SELECTS[_MACHINE] and first == 1 and _is_terminal(pid, 0, terminal):
        return Attitude.READING, f"process {pid} waits for input at {terminal} alone"
    if call in _EPOLLS[_MACHINE] and _epoll_has(pid, first, terminal):
        return Attitude.LISTENING, f"process {pid} waits for input at {terminal} among others"
    if call in _SELECTS[_MACHINE] | _POLLS[_MACHINE]:
        return _by_mode(pid, terminal)
    return Attitude.WORKING, ""


def _by_place(pid: int, thread: str, terminal: str) -> Told:
    """By the kernel's function alone, where the call may not be read."""
    place = _read(f"/proc/{pid}/task/{thread}/wchan")
    if place in ("wait_woken", "n_tty_read") and _is_terminal(pid, 0, terminal):
        return Attitude.READING, f"process {pid} waits in {place}, and reads {terminal}"
    if place.startswith(("ep_poll", "do_epoll_wait")):
        if any(_epoll_has(pid, number, terminal) for number in _epolls(pid)):
            return Attitude.LISTENING, f"process {pid} waits for input at {terminal} among others"
        return Attitude.WORKING, ""
    if place.startswith(("poll_schedule_timeout", "do_select", "do_poll", "do_sys_poll")):
        return _by_mode(pid, terminal)
    return Attitude.WORKING, ""


def _by_mode(pid: int, terminal: str) -> Told:
    """Whoever takes single keys has asked for them, and waits for them too."""
    if _is_terminal(pid, 0, terminal) and _takes_keys(terminal):
        return Attitude.LISTENING, f"process {pid} waits, and {terminal} gives it every key at once"
    return Attitude.WORKING, ""


def _takes_keys(terminal: str) -> bool:
    try:
        descriptor = os.open(terminal, os.O_RDONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return True
    try:
        return not termios.tcgetattr(descriptor)[_LOCAL_MODES] & termios.ICANON
    except termios.error:
        return True
    finally:
        os.close(descriptor)


def _is_terminal(pid: int, number: int, terminal: str) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/fd/{number}") in (terminal, "/dev/tty")
    except OSError:
        return False


def _epolls(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{pid}/fd/{name}") == "anon_inode:[eventpoll]":
                    yield int(name)


def _epoll_has(pid: int, number: int, terminal: str) -> bool:
    """Whether this epoll waits for input at the terminal."""
    for line in _read(f"/proc/{pid}/fdinfo/{number}").splitlines():
        words = line.split()
        told = words[:1] == ["tfd:"] and len(words) > 3
        if told and int(words[3], 16) & select.EPOLLIN and _is_terminal(pid, int(words[1]), terminal):
            return True
    return False


def _read(path: str) -> str:
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
