"""Running a program that a workspace file names, once, with a time limit. What it prints is not kept."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path

from sidecar.errors import Permanent

SECONDS = 600.0
"""Scripts of this kind install things."""
MARK = "SIDECAR_RECOVERY"
"""The variable that tells for which recovery a process runs."""


async def run_script(
    arguments: Sequence[str],
    cwd: str,
    environment: Mapping[str, str],
    seconds: float = SECONDS,
    mark: str = "",
) -> None:
    """Run it to its end in ``cwd``. Whatever it has started ends with a run that is cut off.

    ``mark`` is in its environment, so that :func:`end_script` finds it where we were killed meanwhile.

    Raises:
        Permanent: it could not be started, did not end with 0, or took longer than ``seconds``.
    """
    name = arguments[0]
    try:
        process = await asyncio.create_subprocess_exec(
            *arguments,
            cwd=cwd,
            env={**environment, MARK: mark},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise Permanent(
            f"before_script {name!r} cannot be started in {cwd}: {error.strerror}",
            hint="Mend the workspace file.",
        ) from error
    try:
        async with asyncio.timeout(seconds):
            status = await process.wait()
    except TimeoutError as error:
        raise Permanent(
            f"before_script {name!r} did not end within {seconds:g} s", hint="Run it by hand to see why."
        ) from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    if status:
        raise Permanent(
            f"before_script {name!r} ended with {status}", hint="Run it by hand to see what it says."
        )


def end_script(mark: str) -> int:
    """Kill what runs with this mark in its environment; how many processes. Goes through all of /proc."""
    wanted = f"{MARK}={mark}".encode()
    killed = 0
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and wanted in _environment(folder).split(b"\0"):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(folder.name), signal.SIGKILL)
                killed += 1
    return killed


def _environment(folder: Path) -> bytes:
    try:
        return (folder / "environ").read_bytes()
    except OSError:
        return b""
