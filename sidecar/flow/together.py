"""What many want at the same time is done once for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from sidecar.errors import SidecarError, Temporary

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(slots=True)
class _Batch(Generic[Item, Result]):
    items: list[Item] = field(default_factory=list)
    result: tuple[Result] | None = None
    fault: SidecarError | None = None


class Together(Generic[Item, Result]):
    """Does one piece of work at a time. Who comes while one is under way shares the next with all others.

    So the work always begins after it was asked for.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Awaitable[Result]]) -> None:
        self._work = work
        self._next: _Batch[Item, Result] = _Batch()
        self._busy = asyncio.Lock()

    async def do(self, items: Iterable[Item] = ()) -> Result:
        """What the work gives, with these items among those that it is done for.

        Raises:
            SidecarError: as the work does, to everybody that it was done for.
        """
        batch = self._next
        batch.items.extend(items)
        async with self._busy:
            if batch is self._next:
                self._next = _Batch()
                try:
                    batch.result = (await self._work(batch.items),)
                except SidecarError as error:
                    batch.fault = error
        if batch.result is None:
            raise batch.fault or Temporary("it was cut off", hint="Ask again; the log says why.")
        return batch.result[0]
