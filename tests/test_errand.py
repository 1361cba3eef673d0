"""On whose behalf something is done is known to everything that it sets going, and to nothing else."""

from __future__ import annotations

import asyncio

from sidecar import errand


async def test_tasks_take_the_errand_along() -> None:
    seen: list[errand.Errand] = []

    async def look() -> None:
        seen.append(errand.current())
        errand.under("inner")

    with errand.sent_by("operator", scope="admin", address="127.0.0.1"):
        task = asyncio.create_task(look())
    assert errand.current() == errand.OUR_OWN
    await task
    assert (seen[0].actor, dict(seen[0].by)) == ("operator", {"scope": "admin", "address": "127.0.0.1"})


async def test_a_trace_stays_in_the_task_that_took_it() -> None:
    async def work(trace: str) -> errand.Errand:
        with errand.sent_by("alert", fingerprint="f"):
            errand.under(trace)
            await asyncio.sleep(0)
            return errand.current()

    first, second = await asyncio.gather(work("one"), work("two"))
    assert (first.trace, second.trace) == ("one", "two")
    assert first.actor == "alert"
    assert errand.current().trace == ""
