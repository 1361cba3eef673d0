"""The service as a process: its interpreter, its event loop, and the signals that end or reload it."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from sidecar.app import Sidecar
from sidecar.config import Settings
from sidecar.config_lastgood import Start
from sidecar.edges import memory

T = TypeVar("T")


def serve(begin: Start, read: Callable[[], Settings], state: Path) -> int:
    """Run the service until SIGTERM or SIGINT. Returns the exit status.

    ``read`` gives the settings anew at each SIGHUP.
    """
    give_way()
    sidecar = Sidecar(begin.settings, state, reread=read, found=begin)
    sidecar.adopt_library_logs()
    run_loop(_serve(sidecar))
    return 0


def give_way() -> None:
    """Set the interpreter up so that it never holds the event loop for long, and keeps little memory."""
    # A thread that renders or parses gives the loop its turn after 1 ms instead of 5.
    sys.setswitchinterval(0.001)
    # What the imports have made stays for good: going through it took every full collection 30 ms.
    gc.collect()
    gc.freeze()
    memory.keep_little()


def run_loop(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end, with children watched by pidfd, which Python 3.12 and later do by themselves."""

    async def watched() -> T:
        if sys.version_info < (3, 12):
            watcher = asyncio.PidfdChildWatcher()
            watcher.attach_loop(asyncio.get_running_loop())
            asyncio.set_child_watcher(watcher)
        return await work

    return asyncio.run(watched())


async def _serve(sidecar: Sidecar) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    # Before it can reload, hanging up means nothing; it must not end the service either.
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    await sidecar.start()
    loop.add_signal_handler(signal.SIGHUP, sidecar.hang_up)
    try:
        await ended.wait()
    finally:
        await sidecar.stop()
