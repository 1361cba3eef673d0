"""``python -m bench.idle SECONDS``: the longest hold of a loop with nothing to do, beside one that works.

A process of its own, so that what it feels is the machine's doing alone.
"""

from __future__ import annotations

import asyncio
import sys

from bench.measure import longest_hold


async def idle_hold_beside(seconds: float) -> float:
    """Start such a process, and give what it felt. Seconds."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.idle", str(seconds), stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    return float(output)


if __name__ == "__main__":
    print(asyncio.run(longest_hold(asyncio.sleep(float(sys.argv[1])))))
