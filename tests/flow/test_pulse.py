"""The watchdog is fed by finished cycles and a store that takes writes, and by nothing else."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from sidecar.errors import StoreUnavailable
from sidecar.flow.pulse import Pulse, sentence
from sidecar.model.session import Health
from sidecar.model.status import SessionStatus, Status
from tests.flow.corridor import Corridor, corridor


@dataclass
class Manager:
    watchdog: float | None = 20.0
    told: list[str] = field(default_factory=list)

    def ready(self) -> None:
        self.told.append("ready")

    def feed(self) -> None:
        self.told.append("feed")

    def status(self, sentence: str) -> None: ...

    @property
    def fed(self) -> int:
        return self.told.count("feed")


def pulse(world: Corridor, manager: Manager) -> Pulse:
    made = Pulse(
        manager, world.store, world.clock, world.watch.first_cycle, lambda: world.watch.cycles, Status
    )
    world.spawn("pulse", made.run())
    return made


async def test_each_finished_cycle_feeds(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        manager = Manager()
        pulse(world, manager)
        await world.pass_time(60.0)
        assert manager.told[:2] == ["ready", "feed"]
        assert manager.fed >= 10


async def test_a_cycle_that_hangs_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with corridor(tmp_path) as world:
        manager = Manager()
        pulse(world, manager)
        await world.quiet()

        async def hang() -> None:
            await asyncio.Event().wait()

        monkeypatch.setattr(world.tmux, "look", hang)
        await world.pass_time(20.0)
        before = manager.fed
        await world.pass_time(120.0)
        assert manager.fed == before


async def test_a_store_that_gives_out_no_lock_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with corridor(tmp_path) as world:
        manager = Manager()
        pulse(world, manager)
        await world.quiet()

        async def stuck() -> None:
            raise StoreUnavailable("the database did not answer within 10 s")

        with monkeypatch.context() as patch:
            patch.setattr(world.store, "ready_to_write", stuck)
            before = manager.fed
            await world.pass_time(60.0)
            assert manager.fed == before
        await world.pass_time(10.0)
        assert manager.fed > before


async def test_where_no_watchdog_is_kept_nothing_is_fed(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        manager = Manager(watchdog=None)
        pulse(world, manager)
        await world.pass_time(30.0)
        assert manager.told == ["ready"]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (Status(), "no tmux server; 0 sessions in our care"),
        (
            Status(server_up=True, sessions=(SessionStatus("web", Health.HEALTHY, True, False),)),
            "1 session in our care",
        ),
        (
            Status(
                server_up=True,
                sessions=(
                    SessionStatus("web", Health.CRASHED, False, False),
                    SessionStatus("old", Health.RELEASED, True, False),
                ),
            ),
            "2 sessions in our care, not healthy: web",
        ),
    ],
)
def test_the_service_in_one_line(status: Status, words: str) -> None:
    assert sentence(status) == words
