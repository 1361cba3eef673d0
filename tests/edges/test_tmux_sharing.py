"""Looks that are shared: never older than the question, and never more than needed."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from sidecar.edges.tmux.sharing import SharedLook
from sidecar.model.session import Look, Presence


class Slow:
    """Looks that end when they are let, numbered in the order in which they began."""

    def __init__(self) -> None:
        self.began = 0
        self._numbers = count(1)
        self._gates: list[asyncio.Event] = []
        self.fails = False

    async def look(self) -> Look:
        number, gate = next(self._numbers), asyncio.Event()
        self.began = number
        self._gates.append(gate)
        await gate.wait()
        if self.fails:
            raise RuntimeError("no look")
        return Look(Presence.ABSENT, float(number))

    async def end(self) -> None:
        self._gates.pop(0).set()
        await settled()


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_who_asks_during_a_look_shares_the_next_one() -> None:
    slow = Slow()
    shared = SharedLook(slow.look)
    first = [asyncio.create_task(shared()) for _ in range(3)]
    await settled()
    later = [asyncio.create_task(shared()) for _ in range(50)]
    await settled()
    assert slow.began == 1
    await slow.end()
    assert slow.began == 2
    await slow.end()
    assert {look.taken for look in await asyncio.gather(*first)} == {1.0}
    assert {look.taken for look in await asyncio.gather(*later)} == {2.0}
    last = asyncio.create_task(shared())
    await settled()
    await slow.end()
    assert (await last).taken == 3.0


async def test_a_caller_that_gives_up_stops_no_other() -> None:
    slow = Slow()
    shared = SharedLook(slow.look)
    patient, hasty = asyncio.create_task(shared()), asyncio.create_task(shared())
    await settled()
    hasty.cancel()
    await settled()
    await slow.end()
    assert (await patient).taken == 1.0


async def test_a_look_that_fails_does_not_spoil_the_next() -> None:
    slow = Slow()
    shared = SharedLook(slow.look)
    first = asyncio.create_task(shared())
    await settled()
    second = asyncio.create_task(shared())
    await settled()
    slow.fails = True
    await slow.end()
    with pytest.raises(RuntimeError, match="no look"):
        await first
    slow.fails = False
    await slow.end()
    assert (await second).taken == 2.0
