"""Measuring in turns, and waiting until nothing stirs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from bench.line import Sample
from bench.machine import cpu_seconds

_STILL_SECONDS = 0.3
_STILL_CPU = 0.02
_STILL_PATIENCE = 20.0


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


async def longest_hold(work: Awaitable[object]) -> float:
    """Seconds that the event loop was held in one piece while the work ran.

    Felt by a task that asks to be woken at once, over and over: what it waits beyond that is
    time in which somebody else had the loop.
    """
    longest = 0.0

    async def feel() -> None:
        nonlocal longest
        while True:
            due = time.perf_counter()
            await asyncio.sleep(0.001)
            longest = max(longest, time.perf_counter() - due - 0.001)

    feeler = asyncio.create_task(feel())
    await asyncio.sleep(0)
    try:
        await work
    finally:
        feeler.cancel()
        await asyncio.gather(feeler, return_exceptions=True)
    return longest
