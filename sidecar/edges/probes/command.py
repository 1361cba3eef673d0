"""Running a program of the user: run to their end, and not a moment or a byte longer than they may.

A command has a session and process group of its own. One that hangs or floods is killed with all that
it has started, also with what has left its group to become a daemon.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from sidecar import redact

OUTPUT_LIMIT = 64 * 1024
"""Bytes of output, stdout and stderr together."""
LINGER = 0.2
"""Seconds in which the output may still end, once the command itself has."""
_SHOWN = 200
_KEPT = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "TZ", "TMPDIR")
_MARK = "SIDECAR_PROBE"


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended."""

    status: int | None
    """Exit status, negative for a signal; None: it was cut off."""
    output: bytes
    flooded: bool
    lingered: bool
    """Something that it had started kept its output open, and was killed."""


def ending(ran: Ran, status: int) -> str:
    """How it ended, for people, with the last line that it has said."""
    fact = _ending(status) + (", leaving something running that was killed" if ran.lingered else "")
    last = ran.output.decode("utf-8", "replace").strip().rpartition("\n")[2]
    shown = redact.text("".join(c if c.isprintable() else " " for c in last))[:_SHOWN]
    return f"{fact}: {shown}" if shown else fact


def _ending(status: int) -> str:
    if status >= 0:
        return f"ended with {status}"
    try:
        return f"ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"ended by signal {-status}"


async def run(
    argv: Sequence[str],
    seconds: float,
    environment: Mapping[str, str],
    said: bytes = b"",
    *,
    talkative: bool = False,
) -> Ran:
    """Run a command in ``/`` with ``said`` as input, little of our environment and all of ``environment``.

    A ``talkative`` one is not ended for what it says; of that, the end is kept.

    Raises:
        OSError: it cannot be started.
    """
    mark = uuid4().hex
    own = {key: os.environ[key] for key in _KEPT if key in os.environ}
    listener = _file_of(said)
    reader, writer = os.pipe()
    gathered = _Output(reader, talkative)
    try:
        try:
            process = await asyncio.create_subprocess_exec(
                *argv,
                stdin=listener,
                stdout=writer,
                stderr=writer,
                cwd="/",
                env={**own, **environment, _MARK: mark},
                start_new_session=True,
            )
        finally:
            os.close(writer)
            os.close(listener)
        return await _watch(process, gathered, seconds, mark)
    finally:
        gathered.close()


def _file_of(said: bytes) -> int:
    """A file without a name, to be read from its beginning."""
    descriptor = os.memfd_create("said")
    os.write(descriptor, said)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


async def _watch(process: asyncio.subprocess.Process, gathered: _Output, seconds: float, mark: str) -> Ran:
    whole = False
    status: int | None = None
    ended = asyncio.create_task(process.wait())
    full = asyncio.create_task(gathered.full.wait())
    try:
        async with asyncio.timeout(seconds):
            await asyncio.wait({ended, full}, return_when=asyncio.FIRST_COMPLETED)
            if not gathered.flooded:
                await asyncio.wait({ended})
                status = ended.result()
                await asyncio.wait({full}, timeout=LINGER)
                whole = gathered.over
    except TimeoutError:
        pass
    finally:
        full.cancel()
        if not whole:
            await asyncio.shield(_end(process, ended, mark))
    flooded = gathered.flooded
    return Ran(None if flooded else status, bytes(gathered.data), flooded, status is not None and not whole)


async def _end(process: asyncio.subprocess.Process, ended: asyncio.Task[int], mark: str) -> None:
    """Kill the command, its group, and whatever has its mark."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await asyncio.to_thread(_kill_marked, f"{_MARK}={mark}".encode())
    await ended


def _kill_marked(mark: bytes) -> None:
    """Descendants that have left the group still have its environment."""
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            _kill_if_marked(int(name), mark)


def _kill_if_marked(pid: int, mark: bytes) -> None:
    descriptor = os.pidfd_open(pid)
    try:
        # Read after the descriptor is held: it is this process that is killed, or none.
        with open(f"/proc/{pid}/environ", "rb") as file:
            marked = mark in file.read().split(b"\0")
        if marked:
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    finally:
        os.close(descriptor)


class _Output:
    """What comes out of a pipe, up to the limit: its beginning, or its end."""

    def __init__(self, descriptor: int, endless: bool) -> None:
        self._endless = endless
        self.data = bytearray()
        self.over = False
        self.flooded = False
        self.full = asyncio.Event()
        """Nothing more will be taken."""
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def _read(self) -> None:
        try:
            part = os.read(self._descriptor, OUTPUT_LIMIT)
        except BlockingIOError:
            return
        self.data += part
        self.over = not part
        if self._endless:
            del self.data[:-OUTPUT_LIMIT]
        self.flooded = len(self.data) > OUTPUT_LIMIT
        if self.over or self.flooded:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            del self.data[OUTPUT_LIMIT:]
            self.full.set()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
