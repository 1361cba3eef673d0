"""``python -m bench.idle``: the holds of a loop with nothing to do, beside one that works.

A process of its own, so that what it feels is the machine's doing alone.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable

from bench.measure import felt

_LINE = 1 << 24


async def holds_beside_idle(work: Awaitable[object]) -> tuple[float, float]:
    """The longest hold of our loop, and of an idle one, while the work runs. Seconds."""
    ours, idle = await felt_beside_idle(work)
    return max(ours, default=0.0), max(idle, default=0.0)


async def felt_beside_idle(work: Awaitable[object]) -> tuple[list[float], list[float]]:
    """All that our loop and an idle one feel while the work runs. Seconds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.idle", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        limit=_LINE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        ours = await felt(work)
        output, _ = await process.communicate(b"")
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return ours, json.loads(output)


async def _until_told() -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    print(json.dumps([round(hold, 5) for hold in asyncio.run(felt(_until_told()))]))
