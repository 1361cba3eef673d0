"""The budgets and the blast radius while many sessions break at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sidecar.config import RecoverySettings, Settings
from sidecar.model.incident import Role
from sidecar.model.policy import AtOnce, Budget
from sidecar.model.record import Action
from sidecar.model.session import Session
from sidecar.model.status import RecoverRequest, Ticket
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor


def settings(**more: Any) -> Settings:
    return Settings(recovery=RecoverySettings(**more))


def many(count: int) -> list[Session]:
    return [session(pane(number), name=f"s{number}", identity=f"${number}") for number in range(1, count + 1)]


def slowed(world: Corridor) -> list[int]:
    """Every respawn takes a second; how many were under way at each."""
    respawn, under_way, seen = world.tmux.respawn, 0, []

    async def slow(*facts: Any) -> bool:
        nonlocal under_way
        under_way += 1
        seen.append(under_way)
        await world.clock.sleep(1.0)
        under_way -= 1
        return await respawn(*facts)

    world.tmux.respawn = slow  # type: ignore[method-assign]
    return seen


def kill(world: Corridor, *numbers: int) -> None:
    for number in numbers:
        found = next(p for s in world.tmux.sessions.values() for p in s.panes() if p.id == f"%{number}")
        world.tmux.change(f"%{number}", dead=True, program=None, argv=())
        world.end(found.pid, -9, name=f"s{number}")


async def test_what_is_beyond_the_blast_radius_waits_for_its_turn_in_order(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(at_once=AtOnce(2, 0.0))) as world:
        await world.adopt(*many(6))
        seen = slowed(world)
        kill(world, *range(1, 7))
        await world.pass_time(0.5)
        assert max(seen) == 2
        assert {line["session"] for line in world.log.of(Action.RECOVERY_WAITS)} == {"s3", "s4", "s5", "s6"}
        await world.pass_time(10.0)
        assert max(seen) == 2
        begun = sorted(
            [(row.begun, row.session) for n in range(1, 7) for row in await world.recoveries(f"s{n}")]
        )
        assert [name for _, name in begun] == [f"s{n}" for n in range(1, 7)]
        assert not world.log.of(Action.REFUSED)


async def test_a_dead_server_is_one_however_many_sessions_it_had(tmp_path: Path) -> None:
    limits = settings(at_once=AtOnce(1, 0.0), overall=Budget(1, 600.0))
    async with corridor(tmp_path, limits) as world:
        sessions = many(12)
        await world.adopt(*sessions)
        server = world.tmux.server.pid
        world.tmux.die()
        world.end(server, -9, Role.SERVER)
        await world.pass_time(5.0)
        states = [row.state for one in sessions for row in await world.recoveries(one.name)]
        assert states == ["verified"] * 12


async def test_the_budget_of_all_is_never_exceeded_by_those_who_come_together(tmp_path: Path) -> None:
    limits = settings(at_once=AtOnce(50, 0.0), overall=Budget(3, 600.0))
    async with corridor(tmp_path, limits) as world:
        await world.adopt(*many(10))
        kill(world, *range(1, 11))
        await world.pass_time(5.0)
        begun = [row for n in range(1, 11) for row in await world.recoveries(f"s{n}")]
        assert len(begun) == 3
        refused = {(line["session"], line["reason"]) for line in world.log.of(Action.REFUSED)}
        others = {f"s{n}" for n in range(1, 11)} - {row.session for row in begun}
        assert refused == {(name, "budget_exhausted") for name in others}


async def test_what_was_paid_for_and_not_done_is_paid_back(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(overall=Budget(1, 600.0))) as world:
        one, two = many(2)
        await world.adopt(one, two)
        open_incident = world.store.open_incident

        async def meanwhile(*facts: Any) -> Any:
            world.tmux.change("%1", dead=False, pid=999, argv=("-bash",))
            return await open_incident(*facts)

        world.store.open_incident = meanwhile  # type: ignore[method-assign]
        kill(world, 1)
        await world.until(lambda: world.log.of(Action.REFUSED), "stale")
        world.store.open_incident = open_incident  # type: ignore[method-assign]
        kill(world, 2)
        assert (await world.recovered(name="s2")).state == "verified"


async def test_a_person_does_not_wait_for_a_turn(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(at_once=AtOnce(1, 0.0))) as world:
        await world.adopt(*many(2))
        slowed(world)
        kill(world, 1)
        await world.pass_time(0.2)
        found = next(p for s in world.tmux.sessions.values() for p in s.panes() if p.id == "%2")
        world.tmux.change("%2", dead=True, program=None, argv=())
        world.ward.note_exit(replace(world.ward.exits[next(iter(world.ward.exits))], pid=found.pid))
        answer = await world.desk.request(RecoverRequest("s2"))
        assert isinstance(answer, Ticket)
        await world.pass_time(5.0)
        assert (await world.recovered(name="s2")).state == "verified"
