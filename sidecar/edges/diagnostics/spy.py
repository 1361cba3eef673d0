"""Python stacks through ``py-spy dump``, where it is installed: it reads the memory of the process and
neither stops it nor sends it anything.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from sidecar import redact
from sidecar.edges.tmux.run import end_client
from sidecar.errors import SidecarError, Temporary
from sidecar.model.cut import shorter_stack
from sidecar.model.diagnostics import PythonStack, PythonThread

PROGRAM = "py-spy"
INSTALL = f"pip install 'tmux-sidecar[stacks]', or put {PROGRAM} on the PATH of the service"
_LARGEST = 1 << 18
"""Bytes of an answer; a recursion without end has more."""
_THREAD = re.compile(r'Thread (\S+)(?: \(([^)]*)\))?(?:: "(.*)")?')
_VERSION = re.compile(r"^Python v(\S+)", re.MULTILINE)
_MOST_THREADS = 64
_FORBIDDEN = ("permission denied", "operation not permitted", "(os error 13)")


def find(environment: Mapping[str, str] = os.environ) -> str:
    """The full path of py-spy: on the PATH, or beside our interpreter; empty where there is none."""
    beside = str(Path(sys.executable).parent)
    return shutil.which(PROGRAM, path=environment.get("PATH")) or shutil.which(PROGRAM, path=beside) or ""


async def dump(program: str, pid: int, seconds: float) -> PythonStack:
    """What each thread of a Python process does now. Never raises: why there is nothing is a value too."""
    try:
        output, complaint = await _ask(program, pid, seconds)
    except SidecarError as error:
        return PythonStack(pid, trouble=str(error))
    found = await asyncio.to_thread(parse, pid, output)
    return found if found.threads else PythonStack(pid, trouble=_why(pid, complaint))


def parse(pid: int, text: str) -> PythonStack:
    """The answer of ``py-spy dump``, also if it is cut off."""
    version = _VERSION.search(text)
    threads = tuple(islice(_threads(text.partition("\n\n")[2]), _MOST_THREADS))
    found = shorter_stack(PythonStack(pid, version[1] if version else "", threads))
    return replace(found, threads=tuple(map(_without_secrets, found.threads)))


def _without_secrets(thread: PythonThread) -> PythonThread:
    return replace(thread, name=redact.text(thread.name), calls=tuple(map(redact.text, thread.calls)))


def _threads(body: str) -> Iterator[PythonThread]:
    name, state, calls = "", "", list[str]()
    for line in body.splitlines():
        head = _THREAD.fullmatch(line)
        if head is None:
            calls.append(line.strip())
            continue
        if name:
            yield PythonThread(name, state, tuple(calls))
        name, state, calls = head[3] or head[1], head[2] or "", []
    if name:
        yield PythonThread(name, state, tuple(calls))


def _why(pid: int, complaint: str) -> str:
    if any(mark in complaint.lower() for mark in _FORBIDDEN):
        return (
            f"the memory of process {pid} may not be read: it is another user's, or the kernel forbids it "
            "(kernel.yama.ptrace_scope)"
        )
    if not Path(f"/proc/{pid}").exists():
        return f"process {pid} has ended"
    words = next((line for line in complaint.splitlines() if line.strip()), "it said nothing")
    return redact.text(f"{PROGRAM} could not read process {pid}: {words.removeprefix('Error: ')}"[:300])


async def _ask(program: str, pid: int, seconds: float) -> tuple[str, str]:
    try:
        asked = await asyncio.create_subprocess_exec(
            program, "dump", "--nonblocking", "--pid", str(pid),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            env={"PATH": os.defpath, "NO_COLOR": "1"}, cwd="/",
        )  # fmt: skip
    except OSError as error:
        raise Temporary(f"{program} could not be started: {error.strerror}") from error
    assert asked.stdout is not None
    assert asked.stderr is not None
    complaint = asyncio.create_task(_some(asked.stderr))
    try:
        async with asyncio.timeout(seconds):
            output = await _some(asked.stdout)
            # Whoever has said too much is not heard to the end.
            said = b"" if len(output) == _LARGEST else await complaint
            return output.decode("utf-8", "replace"), said.decode("utf-8", "replace")
    except TimeoutError as error:
        raise Temporary(f"{PROGRAM} did not read process {pid} within {seconds:g} s") from error
    finally:
        complaint.cancel()
        await asyncio.shield(end_client(asked))


async def _some(stream: asyncio.StreamReader) -> bytes:
    """The beginning of what comes, or all of it."""
    parts = bytearray()
    while len(parts) < _LARGEST and (part := await stream.read(_LARGEST - len(parts))):
        parts += part
    return bytes(parts)
