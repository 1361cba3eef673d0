"""No longer patience with a server than makes sense: one that was stopped does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from sidecar.edges import process
from sidecar.errors import TmuxSilent

_FIRST = 0.1
"""Seconds without an answer, after which it is asked why. An answer takes a tenth of that."""
_AGAIN = 0.02
_CERTAIN = 3
"""Times in a row that the server is seen to be stopped."""


async def unless_stopped(call: Coroutine[Any, Any, bytes], server: int) -> bytes:
    """The answer of a call, unless the process ``server`` is plainly stopped while it is waited for.

    With 0 for ``server`` nothing is known of it, and the call has its usual time.

    Raises:
        TmuxSilent: the server was stopped; the call is taken back.
    """
    asked = asyncio.ensure_future(call)
    try:
        seen, pause = 0, _FIRST
        while seen < _CERTAIN:
            await asyncio.wait([asked], timeout=pause)
            if asked.done():
                return asked.result()
            now = process.state(server) if server else None
            seen = seen + 1 if now is not None and now.stopped else 0
            pause = _AGAIN if seen else _FIRST
    finally:
        if not asked.done():
            asked.cancel()
            await asyncio.wait([asked])
    raise TmuxSilent(
        f"tmux server {server} does not answer, it was stopped (state T)",
        hint=f"SIGCONT lets it go on: `kill -CONT {server}`.",
    )
