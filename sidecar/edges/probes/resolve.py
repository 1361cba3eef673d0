"""Names to addresses, as every program of this machine would have it, without ever waiting on the loop.

The system's resolver blocks for tens of seconds where no server answers. It gets a few threads of its
own, so that nobody else's thread is taken, and so that a hung one holds nobody up: not another name,
not the end of the service.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import Any

from sidecar.edges.probes.faults import NameFault
from sidecar.model.probe import ProbeFault

_AT_ONCE = 4
_NOT_FOUND = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_ADDRFAMILY})

Address = tuple[socket.AddressFamily, tuple[Any, ...]]
_Key = tuple[str, int, int]


class Resolver:
    """Asks for each name once at a time, however many wait for the answer."""

    def __init__(self) -> None:
        self._asked: dict[_Key, asyncio.Task[list[Address]]] = {}
        self._places = asyncio.Semaphore(_AT_ONCE)

    async def resolve(self, host: str, port: int, family: int = socket.AF_UNSPEC) -> list[Address]:
        """The addresses for a stream. Whoever asks limits the time.

        Raises:
            NameFault: there are none.
        """
        key = (host, port, family)
        if key not in self._asked:
            task = self._asked[key] = asyncio.create_task(self._look_up(key), name=f"resolve {host}")
            task.add_done_callback(lambda done: self._forget(key, done))
        return await asyncio.shield(self._asked[key])

    async def close(self) -> None:
        """Wait for nobody any more."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: _Key, done: asyncio.Task[list[Address]]) -> None:
        self._asked.pop(key, None)
        if not done.cancelled():
            # Marks it as seen: whoever waited may have gone.
            done.exception()

    async def _look_up(self, key: _Key) -> list[Address]:
        name = f"resolve {key[0]}"
        async with self._places:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[list[Address]] = loop.create_future()
            # A pool would be waited for at the end of the process; nothing hangs on a thread like this one.
            threading.Thread(target=_ask, args=(loop, answer, key), name=name, daemon=True).start()
            return await answer


def _ask(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[list[Address]], key: _Key) -> None:
    host, port, family = key
    found: list[Address] = []
    error: NameFault | None = None
    try:
        found = [(one[0], one[4]) for one in socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)]
    except (OSError, UnicodeError) as problem:
        error = _name_fault(host, problem)
    with contextlib.suppress(RuntimeError):
        # The loop may have ended long before the resolver.
        loop.call_soon_threadsafe(_settle, answer, found, error)


def _settle(answer: asyncio.Future[list[Address]], found: list[Address], error: NameFault | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(found)


def _name_fault(host: str, problem: OSError | UnicodeError) -> NameFault:
    if isinstance(problem, UnicodeError) or problem.errno in _NOT_FOUND:
        return NameFault(ProbeFault.NAME_NOT_FOUND, f"{host} is not known")
    reason = (problem.strerror or str(problem)).lower()
    return NameFault(ProbeFault.NAME_SERVER_FAILED, f"{host} cannot be resolved: {reason}")
