"""Measuring in turns, and waiting until nothing stirs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable

from bench.line import Sample
from bench.machine import cpu_seconds

_STILL_SECONDS = 0.3
_STILL_CPU = 0.02
_STILL_PATIENCE = 20.0
_FELT_EVERY = 0.001


def interleaved(rounds: int, *measures: Callable[[], float]) -> tuple[Sample, ...]:
    """Each in turn, so many times, after one turn that does not count. Seconds."""
    return _columns([[measure() for measure in measures] for _ in range(rounds + 1)])


async def interleaved_async(rounds: int, *measures: Callable[[], Awaitable[float]]) -> tuple[Sample, ...]:
    """As :func:`interleaved`, on the event loop."""
    return _columns([[await measure() for measure in measures] for _ in range(rounds + 1)])


def _columns(turns: list[list[float]]) -> tuple[Sample, ...]:
    return tuple(Sample(tuple(column)) for column in zip(*turns[1:], strict=True))


def timed(work: Callable[[], object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


async def timed_async(work: Awaitable[object]) -> float:
    """Seconds that it takes."""
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


def wait_for(question: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    """Ask until the answer is yes, at the pace at which the service verifies: 5 ms, then ever slower.

    Raises:
        TimeoutError: it did not become so.
    """
    deadline = time.monotonic() + seconds
    pause = 0.005
    while not question():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come about within {seconds:g} s")
        time.sleep(pause)
        pause = min(pause * 2, 0.2)


def be_still(*pids: int) -> None:
    """Wait until these processes hardly use the CPU, so that one measurement does not run into the next."""
    deadline = time.monotonic() + _STILL_PATIENCE
    while time.monotonic() < deadline:
        before = [cpu_seconds(pid) for pid in pids]
        time.sleep(_STILL_SECONDS)
        after = [cpu_seconds(pid) for pid in pids]
        if sum(after) - sum(before) <= _STILL_CPU:
            return


def lags(holds: Iterable[float]) -> list[float]:
    """How late whatever came due in each millisecond was, by the holds of the loop. Seconds.

    A hold counts for every millisecond of it, so that quantiles are of time and not of holds.
    """
    return [late - passed * _FELT_EVERY for late in holds for passed in range(int(late / _FELT_EVERY) + 1)]


async def felt(work: Awaitable[object]) -> list[float]:
    """Seconds of each hold of the event loop while the work ran.

    Felt by a task that asks to be woken at once, over and over: what it waits beyond that is
    time in which somebody else had the loop.
    """
    holds: list[float] = []

    async def feel() -> None:
        while True:
            due = time.perf_counter()
            await asyncio.sleep(_FELT_EVERY)
            holds.append(time.perf_counter() - due - _FELT_EVERY)

    feeler = asyncio.create_task(feel())
    await asyncio.sleep(0)
    try:
        await work
    finally:
        feeler.cancel()
        await asyncio.gather(feeler, return_exceptions=True)
    return holds


def quantile(values: Collection[float], share: float) -> float:
    """The value that this share of them does not exceed.

    Raises:
        ValueError: there are none.
    """
    if not values:
        raise ValueError("no values")
    return sorted(values)[min(int(share * len(values)), len(values) - 1)]
