"""``python -m bench.shower URL TOKEN``: a storm of alerts and requests, from a process of its own.

Reads what to send from standard input: JSON, a list of calls, each a path and a body. Prints, as JSON, the
status and the seconds of each answer. Eight calls are under way at a time.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

import aiohttp

_AT_ONCE = 8


async def shower(url: str, token: str, calls: list[tuple[str, Any]]) -> list[tuple[str, int, float]]:
    """Path, status and seconds of each call."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def call(session: aiohttp.ClientSession, path: str, body: Any) -> tuple[str, int, float]:
        async with places:
            began = time.perf_counter()
            async with session.post(url + path, json=body) as answer:
                await answer.read()
                return path, answer.status, time.perf_counter() - began

    headers = {"Authorization": f"Bearer {token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        return await asyncio.gather(*(call(session, path, body) for path, body in calls))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(shower(sys.argv[1], sys.argv[2], json.load(sys.stdin)))))
