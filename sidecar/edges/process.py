"""The door to processes: when one ends, how it ended, and what runs in a pane.

pidfds tell of an end within a millisecond, for processes that are not our children. The
exit status comes from the zombie's ``/proc/PID/stat`` while there is one, else from
``PIDFD_GET_INFO`` (Linux 6.15 and later); on older kernels "unknown" is an answer. Nothing
here ever signals a process.
"""

from __future__ import annotations

import fcntl
import os
import re
import resource
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from sidecar import redact
from sidecar.model.record import Usage
from sidecar.model.running import ProcessState, Running
from sidecar.model.session import Look, Pane, Presence, Process, Session, Window

_INFO_SIZE = 64
_PIDFD_GET_INFO = (3 << 30) | (_INFO_SIZE << 16) | (0xFF << 8) | 11
_PIDFD_INFO_EXIT = 1 << 3
_STAT_PARENT = 1
_STAT_GROUP = 2
_STAT_SESSION = 3
_STAT_TERMINAL = 4
_STAT_TPGID = 5
_STAT_FLAGS = 6
_STAT_TIMES = slice(11, 13)
_STAT_STARTED = 19
_STAT_PAGES = 21
_STAT_EXIT_CODE = 49
"""Positions among the fields after ``comm``: parent, process group, session, terminal, its foreground group,
flags, user and system time in ticks, start in ticks, resident pages, wait status."""
_FORKED_ONLY = 0x40
"""A flag of processes that have not begun their own program since they were forked."""
_CHILDREN = re.compile(rb"do_wait|(anon_)?pipe_(read|wait)|(__do_sys_|do_|sys_)?(rt_)?sigsuspend")
"""Where in the kernel a process sleeps that waits for a child of its own, or for what that prints."""
_GONE = (b"Z", b"X")
_STOPPED = Running.STOPPED.value.encode()
_RUNNING = {each.value.encode(): each for each in Running}
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_ARGV_USUAL = 4096
_ARGV_LIMIT = 256 * 1024


def boot_id() -> str:
    """The kernel's name for this boot."""
    return small_file("/proc/sys/kernel/random/boot_id").decode().strip()


def exit_code(pid: int, pidfd: int) -> tuple[int | None, str]:
    """How an ended process ended, in Python's convention, and the source: zombie, pidfd or none."""
    fields = _stat(pid)
    if fields and fields[0] == b"Z":
        return os.waitstatus_to_exitcode(int(fields[_STAT_EXIT_CODE])), "zombie"
    status = _reaped_status(pidfd)
    return (None, "none") if status is None else (os.waitstatus_to_exitcode(status), "pidfd")


def oom_kills() -> int:
    """Processes the kernel has killed for memory since boot; 0 where it does not count them."""
    for line in small_file("/proc/vmstat").splitlines():
        if line.startswith(b"oom_kill "):
            return int(line.split()[1])
    return 0


def complete(look: Look) -> Look:
    """Fill in what tmux cannot tell: argument vectors, folders, and what runs in front of each shell.

    Reads a few small files of /proc for each pane; call it in a thread.
    """
    if look.presence is not Presence.PRESENT:
        return look
    seen: dict[str, _Facts] = {}
    return replace(look, sessions=tuple(_complete_session(session, seen) for session in look.sessions))


def state(pid: int) -> ProcessState | None:
    """What the process does just now; None if there is none, or only what is left of it."""
    fields = _stat(pid)
    if not fields or fields[0] in _GONE:
        return None
    running = _RUNNING.get(fields[0], Running.OTHER)
    return ProcessState(
        pid=pid,
        started=int(fields[_STAT_STARTED]),
        running=running,
        group=int(fields[_STAT_GROUP]),
        session=int(fields[_STAT_SESSION]),
        front=int(fields[_STAT_TPGID]),
        ticks=sum(map(int, fields[_STAT_TIMES])),
        tracer=_tracer(pid) if running is Running.STOPPED else 0,
    )


def age(pid: int) -> float | None:
    """Seconds since a process began; None if it is gone."""
    began = started(pid)
    return None if began is None else max(uptime() - began, 0.0)


def is_stopped(pid: int) -> bool:
    """Whether a signal has stopped the process. Cheaper than :func:`state`: it is asked of all there are."""
    raw = small_file(f"/proc/{pid}/stat")
    return raw.startswith(_STOPPED, raw.rfind(b")") + 2)


def stat_fields(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat from the state on; empty when there is no such process."""
    return _stat(pid)


def named_stat(pid: int) -> tuple[bytes, list[bytes]]:
    """What the kernel calls it, 15 bytes at most, beside :func:`stat_fields`."""
    raw = small_file(f"/proc/{pid}/stat")
    if not raw:
        return b"", []
    end = raw.rindex(b")")
    return raw[raw.index(b"(") + 1 : end], raw[end + 2 :].split()


def arguments(pid: int) -> tuple[str, ...]:
    """Its command line as it is, secrets included; empty for a zombie, or one that is gone."""
    return _argv(pid)


def terminal_of(pid: int) -> int:
    """The device number of the process's controlling terminal; 0 if it has none, or is gone."""
    fields = _stat(pid)
    return int(fields[_STAT_TERMINAL]) if fields else 0


def command_line(pid: int) -> str:
    """Its command line for people, without its secrets; empty if it cannot be read."""
    return redact.command(_argv(pid))


def in_front(pid: int) -> bool:
    """Whether the process sleeps as its terminal's foreground group: a shell that waits for input.

    One that waits for a command of its start-up file does not; where the kernel does not say what it
    waits for, it may.
    """
    fields = _stat(pid)
    if not fields or fields[0] != b"S" or int(fields[_STAT_TPGID]) != pid:
        return False
    return _CHILDREN.fullmatch(small_file(f"/proc/{pid}/wchan")) is None


def uptime() -> float:
    """Seconds since boot, sleep included: a clock that nobody sets. 0 where the kernel does not tell."""
    fields = small_file("/proc/uptime").split()
    return float(fields[0]) if fields else 0.0


def started(pid: int) -> float | None:
    """When a process began, in the seconds of :func:`uptime`; None if it is gone."""
    fields = _stat(pid)
    return int(fields[_STAT_STARTED]) / _TICKS if fields else None


def raise_descriptor_limit() -> int:
    """Two descriptors for each pane soon exceed the usual soft limit of 1,024. Returns what it was."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft


def usage(roots: Mapping[str, tuple[int, ...]]) -> dict[str, Usage]:
    """Usage of the trees under the given pane processes, by session. Slow: call it in a thread."""
    children: dict[int, list[int]] = {}
    own: dict[int, Usage] = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        if fields := _stat(pid):
            children.setdefault(int(fields[_STAT_PARENT]), []).append(pid)
            own[pid] = _own_usage(fields)
    return {session: _sum_usage(own, tree(pids, children)) for session, pids in roots.items()}


def command_lines(roots: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[tuple[str, ...], ...]]:
    """The argument vectors in the trees under the given processes, by session. Slow: call it in a thread."""
    children: dict[int, list[int]] = {}
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        if fields := _stat(pid):
            children.setdefault(int(fields[_STAT_PARENT]), []).append(pid)
    return {
        session: tuple(argv for pid in tree(pids, children) if (argv := _argv(pid)))
        for session, pids in roots.items()
    }


def _own_usage(fields: list[bytes]) -> Usage:
    ticks = sum(map(int, fields[_STAT_TIMES]))
    return Usage(1, int(fields[_STAT_PAGES]) * _PAGE, ticks / _TICKS)


def tree(roots: Iterable[int], children: Mapping[int, list[int]]) -> set[int]:
    """These processes and all that come from them."""
    found: set[int] = set()
    queue = list(roots)
    while queue:
        pid = queue.pop()
        if pid not in found:
            found.add(pid)
            queue.extend(children.get(pid, ()))
    return found


def _sum_usage(own: Mapping[int, Usage], pids: Iterable[int]) -> Usage:
    there = [own[pid] for pid in pids if pid in own]
    return Usage(
        len(there), sum(each.memory_bytes for each in there), sum(each.cpu_seconds for each in there)
    )


@dataclass(frozen=True, slots=True)
class _Facts:
    """What /proc tells about a pane."""

    argv: tuple[str, ...]
    program: Process | None
    cwd: str


def _complete_session(session: Session, seen: dict[str, _Facts]) -> Session:
    return replace(session, windows=tuple(_complete_window(window, seen) for window in session.windows))


def _complete_window(window: Window, seen: dict[str, _Facts]) -> Window:
    return replace(window, panes=tuple(_complete_pane(pane, seen) for pane in window.panes))


def _complete_pane(pane: Pane, seen: dict[str, _Facts]) -> Pane:
    if pane.dead:
        return pane if pane.dead_status is not None else replace(pane, dead_status=_unreaped(pane.pid))
    # A linked window shows the same panes in several sessions; each is read once.
    if pane.id not in seen:
        seen[pane.id] = _facts(pane.pid)
    known = seen[pane.id]
    return replace(pane, argv=known.argv, program=known.program, cwd=known.cwd)


def _unreaped(pid: int) -> int | None:
    """How a process ended of which tmux knows only that it has; None once nothing is left of it."""
    fields = _stat(pid)
    return exit_code(pid, -1)[0] if fields and fields[0] == b"Z" else None


def _facts(pid: int) -> _Facts:
    # Asked first: what has its own program here has its own words below.
    fields = _stat(pid)
    newborn = bool(fields) and bool(int(fields[_STAT_FLAGS]) & _FORKED_ONLY)
    # Until then they are the words of the tmux that has forked it.
    argv = () if newborn else _argv(pid)
    leader = int(fields[_STAT_TPGID]) if fields else -1
    if leader <= 0 or leader == pid:
        return _Facts(argv, None, _folder(pid))
    command = _argv(leader)
    # The rest of a pipeline may go on in front after its leader has ended.
    program = Process(leader, command) if command or _group_lives(pid, leader) else None
    # The folder is that of what runs in front, as it is for tmux.
    return _Facts(argv, program, _folder(leader) or _folder(pid))


def _group_lives(shell: int, leader: int) -> bool:
    """Whether a child of the shell lives in this process group."""
    for child in small_file(f"/proc/{shell}/task/{shell}/children").split():
        fields = _stat(int(child))
        if fields and int(fields[_STAT_GROUP]) == leader and fields[0] not in _GONE:
            return True
    return False


def _folder(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/cwd")
    except OSError:
        return ""


def _argv(pid: int) -> tuple[str, ...]:
    raw = small_file(f"/proc/{pid}/cmdline", _ARGV_USUAL)
    if len(raw) == _ARGV_USUAL:
        # Room for the longest would cost every look more than the reading itself.
        raw = small_file(f"/proc/{pid}/cmdline", _ARGV_LIMIT)
    if not raw:
        return ()
    return tuple(part.decode("utf-8", "surrogateescape") for part in raw.removesuffix(b"\0").split(b"\0"))


def _tracer(pid: int) -> int:
    for line in small_file(f"/proc/{pid}/status").splitlines():
        if line.startswith(b"TracerPid:"):
            return int(line.split()[1])
    return 0


def _stat(pid: int) -> list[bytes]:
    """The fields of /proc/PID/stat after ``comm``; empty when there is no such process."""
    return named_stat(pid)[1]


def _reaped_status(pidfd: int) -> int | None:
    buffer = bytearray(_INFO_SIZE)
    struct.pack_into("=Q", buffer, 0, _PIDFD_INFO_EXIT)
    try:
        fcntl.ioctl(pidfd, _PIDFD_GET_INFO, buffer)
    except OSError:
        return None
    (mask,) = struct.unpack_from("=Q", buffer, 0)
    if not mask & _PIDFD_INFO_EXIT:
        return None
    (status,) = struct.unpack_from("=i", buffer, _INFO_SIZE - 4)
    return int(status)


def small_file(path: str, limit: int = 65536) -> bytes:
    """A small file of /proc, or nothing. Plain descriptors: this runs hundreds of times a look."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, limit)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
