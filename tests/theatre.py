"""All that a rehearsal needs: a real throw-away server and a real store; only time is in a hurry."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from sidecar.clock import SystemClock
from sidecar.config import CheckpointSettings, Settings, TmuxSettings
from sidecar.decide import retain
from sidecar.decide.detect import Expected
from sidecar.edges.metrics import Metrics
from sidecar.edges.notify import LocalMessenger
from sidecar.edges.store import Store
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.stage import Stage, stage_folder
from sidecar.flow.notify import Notices
from sidecar.flow.person import Person
from sidecar.flow.rehearse import Props, Rehearser
from sidecar.flow.ward import Ward
from sidecar.model.record import Action, Capture, Pressure, Rehearsal, Usage
from sidecar.model.session import Operation
from sidecar.model.status import Status
from tests.box import TmuxBox
from tests.door import open_door

CALM = Pressure(0.5, 0.0, 0.0, 0.0)


class HurriedClock(SystemClock):
    """Long rests pass at once; short ones are real."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.ahead

    async def sleep(self, seconds: float) -> None:
        if seconds < 1.0:
            await super().sleep(seconds)
            return
        self.ahead += seconds
        await super().sleep(0.0)


class SmallDice:
    def roll(self) -> float:
        return 0.0


@dataclass
class Machine:
    """A host under a pressure of our choice."""

    now: Pressure = CALM
    boot_id: str = "boot"

    def missing_folders(self, paths: Iterable[str]) -> tuple[str, ...]:
        return tuple(path for path in paths if not Path(path).is_dir())

    async def pressure(self, server: int = 0) -> Pressure:
        return self.now

    async def usage(self, roots: Mapping[str, tuple[int, ...]]) -> Mapping[str, Usage]:
        return {}


@dataclass
class Said:
    lines: list[tuple[Action, str, dict[str, object]]] = field(default_factory=list)

    def say(
        self, action: Action, *, level: str = "info", session: str = "", trace: str = "", **detail: object
    ) -> None:
        self.lines.append((action, level, detail))

    def loud(self) -> list[Action]:
        return [action for action, level, _ in self.lines if level != "debug"]


class Theatre:
    """A rehearser with all that belongs to it."""

    def __init__(self, tmux: TmuxBox, stage: Any = None) -> None:
        self.tmux = tmux
        self.state = tmux.folder / "state"
        self.clock = HurriedClock()
        self.machine = Machine()
        self.log = Said()
        self.metrics = Metrics(CollectorRegistry(), Status, version="1", python="3")
        self.door = open_door(tmux, TmuxRunner(TmuxSettings(socket_name=tmux.name), tmux.environment))
        self.store = Store(
            self.state, self.clock, retain.keep,
            on_corrupt=lambda count: None, on_write=lambda seconds: None, on_audit=lambda rows: None,
        )  # fmt: skip
        self.ward = Ward(Settings(checkpoints=CheckpointSettings(rehearse=60.0)))
        self.stage = stage or Stage(
            stage_folder(self.state), self.clock, os.environ, lambda runner, scratch: self._open(runner)
        )
        self.rehearser = self.engage()

    def _open(self, runner: TmuxRunner) -> TmuxDoor:
        return open_door(self.tmux, runner)

    def engage(self) -> Rehearser:
        notices = Notices(
            self.ward, self.store, LocalMessenger(), self.clock, SmallDice(), self.metrics, self.log, "box"
        )
        person = Person(
            self.ward, self.door, self.store, self.store.quiet, notices, self.clock, self.metrics, self.log
        )
        props = Props(
            self.stage, self.store, self.machine, self.clock, SmallDice(), self.metrics, self.log, person
        )
        return Rehearser(self.ward, props)

    @asynccontextmanager
    async def playing(self) -> AsyncIterator[None]:
        """The rehearser runs, as it does in the service."""
        await self.rehearser.load()
        task = asyncio.create_task(self.rehearser.run())
        try:
            yield
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, question: Callable[[], Any]) -> Any:
        async with asyncio.timeout(30.0):
            while not (answer := question()):
                await asyncio.sleep(0.01)
        return answer

    async def take(self, name: str, lines: int = 2000) -> Capture:
        look = await self.door.look()
        session = look.find(name)
        assert session is not None
        return await self.door.capture(session, look, lines, self.clock.wall(), private=False)

    async def keep(self, capture: Capture) -> None:
        await self.store.add_checkpoint(capture, Operation.STRUCTURE)
        self.ward.expected[capture.image.name] = Expected(capture.image.name)

    async def play(self, capture: Capture) -> Rehearsal:
        """Rehearse this checkpoint, and nothing else, once."""
        await self.keep(capture)
        async with self.playing():
            return await self.recorded(capture.image.name)

    async def recorded(self, name: str) -> Rehearsal:
        """The session's result, once all has been said about it."""
        row: Rehearsal = await self.until(lambda: self.ward.rehearsals.get(name))
        ahead = self.clock.ahead
        await self.until(lambda: self.clock.ahead > ahead)
        return row

    def count(self, outcome: str) -> float:
        return self.value(f'rehearsals_total{{outcome="{outcome}"}}')

    def value(self, series: str) -> float:
        page = self.metrics.render("")[0].decode()
        return float(next(line for line in page.splitlines() if f"sidecar_{series} " in line).split()[-1])

    async def audited(self) -> list[Action]:
        return [row.action for row in await self.store.audit_rows(50) if "rehears" in row.action]
