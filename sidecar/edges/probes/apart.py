"""Asking what may never come back: the system's resolver, a file on a disk whose server is gone.

Each question has a thread of its own, which nobody else needs and the end of the process does not wait
for. Whatever hangs is asked only once, however many wait for it, so that no more threads hang than there
are things that do.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

T = TypeVar("T")


class Apart:
    """Whoever asks limits the time. At most ``at_once`` questions are asked at a time; 0: no limit."""

    def __init__(self, at_once: int = 0) -> None:
        self._asked: dict[Hashable, asyncio.Task[Any]] = {}
        self._places = asyncio.Semaphore(at_once) if at_once else contextlib.nullcontext()

    async def ask(self, key: Hashable, question: Callable[[], T]) -> T:
        """The answer to the question of this key; one that is being asked already serves as well.

        Whatever the question raises is raised.
        """
        if key not in self._asked:
            task = self._asked[key] = asyncio.create_task(self._settle(question), name=f"ask {key}")
            task.add_done_callback(lambda done: self._forget(key, done))
        answer: T = await asyncio.shield(self._asked[key])
        return answer

    async def close(self) -> None:
        """Wait for nobody any more."""
        tasks = list(self._asked.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, key: Hashable, done: asyncio.Task[Any]) -> None:
        self._asked.pop(key, None)
        if not done.cancelled():
            # Marks it as seen: whoever waited may have gone.
            done.exception()

    async def _settle(self, question: Callable[[], T]) -> T:
        async with self._places:
            loop = asyncio.get_running_loop()
            answer: asyncio.Future[T] = loop.create_future()
            # A pool would be waited for at the end of the process; nothing hangs on a thread like this one.
            threading.Thread(target=_ask, args=(loop, answer, question), name="apart", daemon=True).start()
            return await answer


def _ask(loop: asyncio.AbstractEventLoop, answer: asyncio.Future[T], question: Callable[[], T]) -> None:
    found: T | None = None
    error: Exception | None = None
    try:
        found = question()
    except Exception as problem:
        error = problem
    with contextlib.suppress(RuntimeError):
        # The loop may have ended long before.
        loop.call_soon_threadsafe(_tell, answer, found, error)


def _tell(answer: asyncio.Future[Any], found: object, error: Exception | None) -> None:
    if answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(found)
