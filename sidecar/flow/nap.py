"""Waiting for whichever comes first: news, or the end of a time."""

from __future__ import annotations

import asyncio
from typing import Any

from sidecar.clock import Clock


async def nap(clock: Clock, news: asyncio.Event, seconds: float) -> None:
    """Until something new has come, or so many seconds have passed."""
    rest = asyncio.ensure_future(clock.sleep(seconds))
    woken = asyncio.ensure_future(news.wait())
    try:
        await asyncio.wait((rest, woken), return_when=asyncio.FIRST_COMPLETED)
    finally:
        await ended(rest)
        await ended(woken)


async def ended(task: asyncio.Future[Any]) -> None:
    """Cancel it, and wait until it has ended, however it does."""
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
