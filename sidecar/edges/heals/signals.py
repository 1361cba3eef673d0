"""The heal that is a signal: to one process, which is known to be the right one when it is sent.

A pidfd is held first, and then it is asked who that is: a pid that has become another's is never hit.
Never signalled are process groups, pid 1, ourselves, tmux servers, and what the kernel runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from sidecar.edges import process
from sidecar.edges.heals.notes import Notes
from sidecar.edges.probes import search
from sidecar.errors import Permanent
from sidecar.model.heal import HealCall, SignalHeal
from sidecar.model.running import ProcessState

_PIDFILE_LIMIT = 64
_SEARCH_SECONDS = 2.0
_OTHERS_WRITE = 0o002


async def send(heal: SignalHeal, call: HealCall, notes: Notes) -> str:
    """Send it, unless an earlier attempt has ended the process by it; one sentence about it.

    Raises:
        Permanent: there is no such process, it is not the expected one, or one that is never signalled.
    """
    if call.again and (told := await asyncio.to_thread(_ended_by_it, heal, call, notes)):
        return told
    if heal.target is not None:
        if call.process is None:
            raise Permanent(
                f"no program runs in {heal.target}", hint="A shell that waits for input is not signalled."
            )
        found = call.process
    else:
        found = await asyncio.to_thread(_of_pidfile, heal.pidfile)
        await _expect(heal, found)
    return await asyncio.to_thread(_send, heal, found, call, notes)


def _ended_by_it(heal: SignalHeal, call: HealCall, notes: Notes) -> str:
    """What came of the attempt that was cut off, where nothing is left to do; else nothing."""
    noted = notes.read(call.mark)
    pid = int(noted.get("pid", 0))
    now = process.state(pid) if pid else None
    if not pid or (now is not None and now.started == noted.get("started")):
        return ""
    return f"process {pid} has ended, after SIG{heal.signal} was sent to it or before"


def _of_pidfile(path: str) -> ProcessState:
    """Whom a pidfile names. It has to belong to whoever may signal that process anyway.

    Raises:
        Permanent: it names nobody, or cannot be believed.
    """
    text, owner = _read(path)
    if not text.isascii() or not text.isdigit() or len(text) > 10:
        raise Permanent(f"{path} does not hold the number of a process", hint="Is it really a pidfile?")
    found = process.state(int(text))
    if found is None:
        raise Permanent(
            f"process {text}, which {path} names, is not there", hint="Its program has ended, or never began."
        )
    if owner not in (0, os.getuid(), _uid(found.pid)):
        raise Permanent(
            f"{path} belongs to uid {owner}, and its process does not",
            hint="Whoever may write a pidfile says who is signalled.",
        )
    return found


def _read(path: str) -> tuple[str, int]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror
        raise Permanent(f"{path} cannot be read: {reason}", hint="Check its path and mode.") from error
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode) or facts.st_mode & _OTHERS_WRITE:
            raise Permanent(
                f"{path} is no file that only its owner writes",
                hint="Whoever may write a pidfile says who is signalled.",
            )
        return os.read(descriptor, _PIDFILE_LIMIT).decode("ascii", "replace").strip(), facts.st_uid
    finally:
        os.close(descriptor)


def _uid(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


async def _expect(heal: SignalHeal, found: ProcessState) -> None:
    words = process.command_line(found.pid)
    if words and await search.found(heal.expect, words, _SEARCH_SECONDS):
        return
    raise Permanent(
        f"process {found.pid}, which {heal.pidfile} names, is `{words}`, and expected was {heal.expect!r}",
        hint="The pidfile may be left from a program that has ended; nothing was signalled.",
    )


def _send(heal: SignalHeal, wanted: ProcessState, call: HealCall, notes: Notes) -> str:
    with _held(wanted) as descriptor:
        words = process.command_line(wanted.pid)
        _refuse_some(wanted.pid, words, call)
        notes.write(call.mark, {"pid": wanted.pid, "started": wanted.started})
        try:
            signal.pidfd_send_signal(descriptor, signal.Signals[f"SIG{heal.signal}"])
        except ProcessLookupError:
            raise _gone(wanted) from None
        except PermissionError as error:
            raise Permanent(
                f"process {wanted.pid} may not be signalled by us", hint="It runs as another user."
            ) from error
    return f"sent SIG{heal.signal} to process {wanted.pid} ({words})"


@contextmanager
def _held(wanted: ProcessState) -> Iterator[int]:
    """A descriptor of this very process."""
    try:
        descriptor = os.pidfd_open(wanted.pid)
    except OSError:
        raise _gone(wanted) from None
    try:
        # Asked with the descriptor in hand: until then the pid might have become another's.
        if not wanted.same(process.state(wanted.pid)):
            raise _gone(wanted)
        yield descriptor
    finally:
        os.close(descriptor)


def _gone(wanted: ProcessState) -> Permanent:
    return Permanent(f"process {wanted.pid} has ended", hint="Nothing was signalled.")


def _refuse_some(pid: int, words: str, call: HealCall) -> None:
    if pid == 1:
        what = "the first process of the machine"
    elif pid == os.getpid():
        what = "the sidecar itself"
    elif pid in call.servers or _comm(pid).startswith("tmux: server"):
        what = "a tmux server"
    elif not words:
        what = "no program that can be told"
    else:
        return
    raise Permanent(f"process {pid} is {what}, which is never signalled", hint="Name another process.")


def _comm(pid: int) -> str:
    with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as file:
        return file.read()
    return ""
