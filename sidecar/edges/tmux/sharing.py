"""One look at a time, shared by all who ask for it meanwhile.

A server that was lost with fifty sessions has fifty recoveries looking at once; each needs a look
that is younger than its question, but none needs one of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from sidecar.model.session import Look


class SharedLook:
    """Call it for a look that begins after the call."""

    def __init__(self, look: Callable[[], Coroutine[Any, Any, Look]]) -> None:
        self._look = look
        self._running: asyncio.Task[Look] | None = None
        self._next: asyncio.Task[Look] | None = None

    async def __call__(self) -> Look:
        """A new look; whoever asks before it begins gets the same. A caller that gives up stops no other."""
        if self._next is None:
            self._next = asyncio.create_task(self._after(self._running))
        return await asyncio.shield(self._next)

    async def _after(self, running: asyncio.Task[Look] | None) -> Look:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        return await self._look()
