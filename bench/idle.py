"""``python -m bench.idle``: the longest hold of a loop with nothing to do, beside one that works.

A process of its own, so that what it feels is the machine's doing alone.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable

from bench.measure import longest_hold


async def holds_beside_idle(work: Awaitable[object]) -> tuple[float, float]:
    """What our loop and an idle one feel while the work runs. Seconds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.idle", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        await process.stdout.readline()
        held = await longest_hold(work)
        output, _ = await process.communicate(b"")
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return held, float(output)


async def _until_told() -> None:
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    print(asyncio.run(longest_hold(_until_told())))
