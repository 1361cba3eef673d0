"""The heal that gives back memory which the sidecar itself keeps, once others have let go of theirs."""

from __future__ import annotations

import asyncio

from sidecar.edges import memory
from sidecar.model.amounts import show_size


async def drop() -> str:
    """Give it back; one sentence about it."""
    before = memory.own()
    await asyncio.to_thread(memory.give_back)
    after = memory.own()
    return f"dropped the sidecar's own caches: {show_size(before)} of memory, then {show_size(after)}"
