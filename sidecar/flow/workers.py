"""Tasks that follow what there is to do: one for each piece of work, for as long as it is wanted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable, Mapping
from typing import Any

from sidecar.clock import Clock
from sidecar.flow.ports import Logbook
from sidecar.model.record import Action

Work = Mapping[Hashable, Callable[[], Coroutine[Any, Any, None]]]
"""By key, what is done over and over. What keeps its key keeps its task."""
_PAUSE = 8.0
"""Seconds after a fault of our own before the work goes on."""


class Workers:
    """Does every piece of work in a task of its own, so that none waits for another."""

    def __init__(self, name: str, wanted: Callable[[], Work], clock: Clock, log: Logbook) -> None:
        """``name`` is what the tasks are called; ``wanted`` tells the work that there is now."""
        self._name = name
        self._wanted = wanted
        self._clock = clock
        self._log = log
        self._changed = asyncio.Event()

    def follow(self) -> None:
        """What is wanted has changed."""
        self._changed.set()

    async def run(self) -> None:
        """Keep the tasks, for ever."""
        tasks: dict[Hashable, asyncio.Task[None]] = {}
        try:
            while True:
                self._changed.clear()
                wanted = self._wanted()
                for gone in tasks.keys() - wanted.keys():
                    tasks.pop(gone).cancel()
                for key in wanted.keys() - tasks.keys():
                    tasks[key] = asyncio.create_task(self._for_ever(wanted[key]), name=f"{self._name} {key}")
                await self._changed.wait()
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _for_ever(self, once: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await once()
            except Exception as error:
                self._log.say(
                    Action.TASK_FAILED,
                    level="error",
                    task=self._name,
                    error=repr(error),
                    hint=getattr(error, "hint", ""),
                )
                await self._clock.sleep(_PAUSE)
