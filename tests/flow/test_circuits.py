"""Circuits with many borrowers at once, a book that refuses, and sessions that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sidecar.decide.breaker import BreakerEvent
from sidecar.edges.metrics import Metrics
from sidecar.errors import StoreUnavailable
from sidecar.flow.circuits import Circuits, Permit
from sidecar.model.plan import Strategy
from sidecar.model.policy import BreakerPolicy, BreakerState, Circuit
from sidecar.model.status import Status
from tests.flow.corridor import HandClock, corridor

POLICY = BreakerPolicy(failure_threshold=3, probes=2)
RESPAWN = Strategy.RESPAWN_PANE
MINUTE = 60.0


class Shelf:
    """The part of the book that keeps circuits; ``full`` refuses what is written."""

    def __init__(self) -> None:
        self.kept: dict[str, BreakerState] = {}
        self.full = False

    async def circuits(self) -> Mapping[str, BreakerState]:
        return self.kept

    async def save_circuits(
        self, states: Mapping[str, BreakerState], gone: Sequence[str], now: float, actor: str = "sidecar"
    ) -> tuple[str, ...]:
        await asyncio.sleep(0)
        if self.full:
            raise StoreUnavailable("the database does not take the write: full")
        before = dict(self.kept)
        self.kept.update(states)
        for name in gone:
            del self.kept[name]
        closed = BreakerState()
        return tuple(n for n, new in states.items() if before.get(n, closed).circuit is not new.circuit)


class World:
    def __init__(self) -> None:
        self.clock = HandClock()
        self.book = Shelf()
        meter = Metrics(CollectorRegistry(), Status, version="0", python="3")
        self.circuits = Circuits(self.book, self.clock, meter, lambda: POLICY)  # type: ignore[arg-type]

    async def fail(self, session: str, times: int = 1) -> None:
        for number in range(times):
            permit = Permit(RESPAWN, session, f"{session} {number}")
            assert await self.circuits.lend(permit) == ""
            await self.circuits.settle(permit, BreakerEvent.FAILURE)


@pytest.fixture
def world() -> World:
    return World()


async def test_a_session_past_help_does_not_stop_the_strategy_for_the_others(world: World) -> None:
    await world.fail("web", 3)
    assert world.circuits.state("respawn_pane:web").circuit is Circuit.OPEN
    assert await world.circuits.lend(Permit(RESPAWN, "web", "x")) == "respawn_pane:web"
    assert await world.circuits.lend(Permit(RESPAWN, "api", "x")) == ""


async def test_a_strategy_that_fails_for_several_sessions_rests_for_all(world: World) -> None:
    for name in ("web", "api", "db"):
        await world.fail(name)
    assert await world.circuits.lend(Permit(RESPAWN, "new", "x")) == "respawn_pane"


async def test_as_many_probes_as_allowed_however_many_ask_at_once(world: World) -> None:
    for name in ("web", "api", "db"):
        await world.fail(name)
    world.clock.move(MINUTE)
    permits = [Permit(RESPAWN, f"s{number}", str(number)) for number in range(20)]
    answers = await asyncio.gather(*(world.circuits.lend(permit) for permit in permits))
    lucky = [permit for permit, answer in zip(permits, answers, strict=True) if not answer]
    assert len(lucky) == POLICY.probes
    await asyncio.gather(*(world.circuits.settle(each, BreakerEvent.SUCCESS) for each in lucky))
    assert world.circuits.state("respawn_pane").circuit is Circuit.CLOSED
    assert world.book.kept["respawn_pane"] == world.circuits.state("respawn_pane")


async def test_a_permit_that_cannot_be_written_is_not_lost(world: World) -> None:
    await world.fail("web", 3)
    world.clock.move(MINUTE)
    world.book.full = True
    for holder in "abc":
        with pytest.raises(StoreUnavailable):
            await world.circuits.lend(Permit(RESPAWN, "web", holder))
    world.book.full = False
    assert await world.circuits.lend(Permit(RESPAWN, "web", "d")) == ""


async def test_circuits_of_sessions_are_forgotten_and_those_of_strategies_are_not(world: World) -> None:
    for number in range(50):
        await world.fail(f"s{number}", 0 if number else 1)
        permit = Permit(RESPAWN, f"s{number}", "x")
        await world.circuits.lend(permit)
        await world.circuits.settle(permit, BreakerEvent.SUCCESS)
        world.clock.move(2.0)
    assert len(world.circuits.states) < 35
    world.clock.move(MINUTE)
    await world.fail("last")
    assert set(world.circuits.states) == {"respawn_pane", "respawn_pane:last"}
    assert world.book.kept == world.circuits.states


async def test_a_rung_may_have_a_policy_of_its_own(world: World) -> None:
    permit = Permit(RESPAWN, "web", "a")
    assert await world.circuits.lend(permit, BreakerPolicy(failure_threshold=1)) == ""
    await world.circuits.settle(permit, BreakerEvent.FAILURE)
    assert world.circuits.state("respawn_pane:web").circuit is Circuit.OPEN
    assert world.circuits.state("respawn_pane").circuit is Circuit.CLOSED


async def test_what_a_person_opens_outlives_the_sidecar(tmp_path: Path) -> None:
    async with corridor(tmp_path) as first:
        await first.circuits.force_open("respawn_pane:web")
    async with corridor(tmp_path) as second:
        assert second.circuits.retry_after("respawn_pane:web") is None
        await second.circuits.reset("respawn_pane:web")
        assert second.circuits.retry_after("respawn_pane:web") == 0.0
