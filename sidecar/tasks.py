"""Named tasks that report their end: none is lost, and none ends unseen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

_RESTART_PAUSE = 1.0
"""Seconds."""


@dataclass(slots=True)
class Tasks:
    """Named tasks, each guarded: an eternal one that ends is reported and started again."""

    on_end: Callable[[str, BaseException | None], None]
    _running: set[asyncio.Task[None]] = field(default_factory=set)

    def spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """A task that is meant to end."""
        task = asyncio.create_task(self._once(name, work), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # One that is cancelled before its first step would complain that it was never awaited.
        task.add_done_callback(lambda _: work.close())

    def keep(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """A task that is never meant to end."""
        self.spawn(name, self._for_ever(name, work))

    async def settle(self, prefix: str, seconds: float) -> None:
        """Give the tasks of this prefix time to end by themselves."""
        waiting = [task for task in self._running if task.get_name().startswith(prefix)]
        if waiting:
            await asyncio.wait(waiting, timeout=seconds)

    async def cancel(self) -> None:
        # A task that ends may have started another one.
        while tasks := list(self._running):
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._running.difference_update(tasks)

    async def _once(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as error:
            self.on_end(name, error)

    async def _for_ever(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            error: Exception | None = None
            try:
                await work()
            except Exception as problem:
                error = problem
            self.on_end(name, error)
            await asyncio.sleep(_RESTART_PAUSE)
