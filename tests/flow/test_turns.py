"""Sessions that wait for their turn when the sidecar is killed: why they broke is known, they come back."""

from __future__ import annotations

import asyncio
from pathlib import Path

from sidecar.errors import StoreUnavailable
from sidecar.model.incident import Asker, Exit, IncidentState, Role
from sidecar.model.record import Action
from tests.flow.corridor import Corridor, corridor
from tests.flow.test_strain import case_of, lose, sessions

NAMES = ["d", "c", "b", "a"]


async def stopped_at_the_first(world: Corridor) -> None:
    """The server is killed for memory, so they come back one at a time; the first never ends."""

    async def never(*facts: object) -> str:
        return await asyncio.Future()

    await world.adopt(*sessions(*NAMES))
    world.tmux.rebuild = never  # type: ignore[method-assign, assignment]
    server = world.tmux.server.pid
    world.tmux.die()
    world.watch.process_ended(Exit(Role.SERVER, server, "", "", -9, world.clock.now, "zombie", 1))
    await world.until(lambda: len(world.log.of(Action.RECOVERY_WAITS)) == 3, "three wait")
    await world.quiet()


async def test_who_waits_is_not_forgotten_by_a_crash(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await stopped_at_the_first(world)
        states = {row.session: row.state for row in await world.store.open_incidents()}
        assert sorted(states) == sorted(NAMES)
        assert sorted(states.values()) == [*[IncidentState.OPEN] * 3, IncidentState.RECOVERING]
        world.crash()
    del world.tmux.rebuild  # type: ignore[method-assign]
    async with corridor(tmp_path, tmux=world.tmux) as later:
        await later.pass_time(60.0)
        for name in NAMES:
            assert (await later.recovered(name=name)).state == "verified"
        rows = await later.store.incidents(10)
        assert {row.state for row in rows} == {IncidentState.RECOVERED}
        assert len(rows) == len(NAMES)
        assert len({row.origin for row in rows}) == 1


async def test_one_incident_each_when_nothing_crashes(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await lose(world, NAMES, oom=1)
        assert len(world.log.of(Action.INCIDENT_OPENED)) == len(NAMES)


async def test_a_book_that_cannot_be_written_costs_nobody_a_turn(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(*sessions("a", "b"))
        world.strain.killed()
        first, second = (case_of(world, name) for name in ("a", "b"))
        assert second.asker is Asker.WATCHER

        async def fails() -> None:
            raise StoreUnavailable("full")

        async def wait() -> None:
            try:
                async with world.lanes.turn(second, fails):
                    raise AssertionError("it has no turn")
            except StoreUnavailable:
                pass

        async with world.lanes.turn(first):
            await wait()
        async with world.lanes.turn(second):
            pass
