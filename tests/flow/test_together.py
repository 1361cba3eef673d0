"""What many want at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from sidecar.errors import StoreUnavailable, Temporary
from sidecar.flow.together import Together


class Work:
    """Remembers what it was done for, and waits to be let go."""

    def __init__(self) -> None:
        self.done: list[list[int]] = []
        self.go = asyncio.Event()
        self.together: Together[int, int] = Together(self.do)

    async def do(self, items: Sequence[int]) -> int:
        self.done.append(list(items))
        await self.go.wait()
        if 13 in items:
            raise StoreUnavailable("full")
        return len(self.done)


async def test_who_comes_while_it_is_under_way_shares_the_next_with_all_others() -> None:
    work = Work()
    first = asyncio.create_task(work.together.do([1]))
    await asyncio.sleep(0)
    others = [asyncio.create_task(work.together.do([number])) for number in (2, 3, 4)]
    await asyncio.sleep(0)
    work.go.set()
    assert await first == 1
    assert await asyncio.gather(*others) == [2, 2, 2]
    assert work.done == [[1], [2, 3, 4]]


async def test_its_error_is_everybodys_and_nobodys_afterwards() -> None:
    work = Work()
    work.go.set()
    fates = await asyncio.gather(*(work.together.do([n]) for n in (13, 13)), return_exceptions=True)
    assert [type(fate) for fate in fates] == [StoreUnavailable, StoreUnavailable]
    assert await work.together.do([1]) == len(work.done)


async def test_who_shares_what_is_cancelled_is_told() -> None:
    work = Work()
    doing = asyncio.create_task(work.together.do([1]))
    await asyncio.sleep(0)
    second, third = (asyncio.create_task(work.together.do([number])) for number in (2, 3))
    await asyncio.sleep(0)
    doing.cancel()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(Temporary, match="cut off"):
        await third
