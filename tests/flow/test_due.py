"""When a checkpoint is due: no output may be forgotten, and no failure be the last word."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from sidecar.clock import SystemClock
from sidecar.config import Settings
from sidecar.edges.logs import JsonLog
from sidecar.edges.metrics import Metrics
from sidecar.errors import Temporary
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.ward import Ward
from sidecar.model.record import Capture
from sidecar.model.session import Checkpoint, Operation, Session, image_of
from sidecar.model.status import Status
from tests.decide.builders import look, session

SECOND = 1_700_000_000


class StillClock(SystemClock):
    """Wall and monotonic are one, and are set by hand."""

    def __init__(self) -> None:
        self.now = float(SECOND)

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now


class Attempts:
    """A tmux whose captures are counted, and fail when told to, and a book that keeps nothing."""

    def __init__(self) -> None:
        self.made: asyncio.Queue[str] = asyncio.Queue()
        self.fails = False

    async def capture(self, live: Session, *rest: Any) -> Capture:
        self.made.put_nowait(live.name)
        if self.fails:
            raise Temporary("not now")
        return Capture(image_of(live, width=80, height=24), "boot/1/2/$1", float(SECOND))

    def keep(self, *facts: Any) -> None:
        """Part of the door of a checkpointer that lets it remember texts."""

    async def newest_checkpoint(self, name: str) -> None:
        return None

    async def add_checkpoint(self, capture: Capture, operation: Operation) -> Checkpoint:
        return Checkpoint(
            1, capture.image.name, capture.taken, operation, capture.instance, "", 0, capture.image
        )

    async def totals(self) -> tuple[()]:
        return ()


class Care:
    """One session in the care of a checkpointer."""

    def __init__(self) -> None:
        self.clock, self.attempts, self.ward = StillClock(), Attempts(), Ward(Settings())
        door: Any = self.attempts
        meter = Metrics(CollectorRegistry(), Status, version="", python="")
        log = JsonLog(self.clock, descriptor=-1)
        self.checkpointer = Checkpointer(self.ward, door, door, self.clock, meter, log, lambda: None)

    def look(self, after: float, printed: float, title: str = "", name: str = "one") -> None:
        """A look after so many seconds, which tells when the session has printed last."""
        self.clock.now = SECOND + after
        live = session()
        windows = tuple(
            replace(
                window,
                activity=int(SECOND + printed),
                automatic_rename=True,
                name=name,
                panes=tuple(replace(pane, title=title) for pane in window.panes),
            )
            for window in live.windows
        )
        seen = look(replace(live, windows=windows))
        self.ward.look = seen
        self.ward.expect(seen, seen.sessions[0])
        self.checkpointer.consider(seen)

    async def attempted(self) -> bool:
        """Whether something was captured, after everything that was due is done."""
        for _ in range(20):
            await asyncio.sleep(0)
        made = not self.attempts.made.empty()
        while not self.attempts.made.empty():
            self.attempts.made.get_nowait()
        return made


@asynccontextmanager
async def care() -> AsyncIterator[Care]:
    one = Care()
    task = asyncio.create_task(one.checkpointer.run())
    yield one
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_output_within_the_second_of_a_checkpoint_is_stored_at_the_next_interval() -> None:
    async with care() as one:
        one.look(after=0.2, printed=0.1)
        assert await one.attempted()
        # More came at 0.9: tmux tells the same second.
        one.look(after=5, printed=0.9)
        assert not await one.attempted()
        one.look(after=16, printed=0.9)
        assert await one.attempted()
        one.look(after=32, printed=0.9)
        assert not await one.attempted()


async def test_a_quiet_session_is_left_alone() -> None:
    async with care() as one:
        one.look(after=3, printed=0)
        assert await one.attempted()
        one.look(after=60, printed=0)
        assert not await one.attempted()


@pytest.mark.parametrize("change", [{"title": "another"}, {"name": "another"}])
async def test_a_title_or_a_name_that_changes_without_output_is_stored_at_the_next_interval(
    change: dict[str, str],
) -> None:
    async with care() as one:
        one.look(after=3, printed=0)
        assert await one.attempted()
        one.look(after=5, printed=0, **change)
        assert not await one.attempted()
        one.look(after=19, printed=0, **change)
        assert await one.attempted()
        one.look(after=60, printed=0, **change)
        assert not await one.attempted()


async def test_a_failed_checkpoint_is_tried_again_after_a_pause() -> None:
    async with care() as one:
        one.attempts.fails = True
        one.look(after=3, printed=0)
        assert await one.attempted()
        one.look(after=5, printed=0)
        assert not await one.attempted()
        one.attempts.fails = False
        one.look(after=7, printed=0)
        assert await one.attempted()
        one.look(after=60, printed=0)
        assert not await one.attempted()
