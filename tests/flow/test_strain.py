"""A machine that is short of something: who waits, who goes first, what is stored, and what comes back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import pytest

from sidecar.config import RecoverySettings, Settings
from sidecar.errors import DiskFull
from sidecar.flow.frozen import ServerExaminer
from sidecar.flow.ward import Case, Ward
from sidecar.model.incident import (
    Asker,
    Broken,
    Cause,
    Exit,
    Failure,
    FailureKind,
    Finding,
    IncidentState,
    Intent,
    Role,
    SignalKind,
    Unit,
)
from sidecar.model.plan import Outcome, RefusalReason
from sidecar.model.policy import Budget
from sidecar.model.record import Action, HoldBack, Pressure, Usage
from sidecar.model.running import ProcessState, Running, ServerState
from sidecar.model.session import Look, Operation, Presence, Session
from sidecar.model.status import Ticket
from sidecar.model.stress import CheckpointMode, Resource, Room, Stress
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, HandClock, ValueTmux, corridor

CALM = Pressure(memory_available=0.5, load=0.0)
SHORT = Pressure(memory_available=0.01, load=0.0)
BUSY = Pressure(memory_available=0.5, load=0.0, cpu_stalled=99.0)
FAILURE = Failure("web", FailureKind.CRASHED, (Broken(Unit.PANE, "%1"),), 0.0)
FINDING = Finding(FAILURE, Cause.PROCESS_KILLED, Intent.FAILURE, (), "origin")
MANY = Settings(recovery=RecoverySettings(per_session=Budget(50, 600.0)))


def sessions(*names: str) -> list[Session]:
    return [session(pane(n), name=name, identity=f"${n}") for n, name in enumerate(names, 1)]


def killed_for_memory(world: Corridor, name: str, pane_id: str) -> None:
    """The kernel ends a pane's process, and counts it."""
    live = world.tmux.sessions[name]
    pid = next(p.pid for p in live.panes() if p.id == pane_id)
    world.tmux.change(pane_id, dead=True, program=None, argv=())
    world.watch.process_ended(Exit(Role.PANE, pid, name, pane_id, -9, world.clock.now, "zombie", 1))


async def look(world: Corridor, pressure: Pressure) -> None:
    """The machine is so from now on, and it has been seen."""
    world.host.pressed = pressure
    await world.strain.look()


async def test_a_recovery_waits_for_memory_and_says_so(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(*sessions("web"))
        await look(world, SHORT)
        world.kill_pane_process()
        await world.until(lambda: "web" in world.ward.standstills, "a refusal")
        still = world.ward.standstills["web"]
        assert still.reason is RefusalReason.MEMORY_SHORT
        assert "1.0 % of the memory is available" in still.sentence
        (incident,) = await world.store.open_incidents()
        assert (incident.state, incident.reason) == (IncidentState.HELD, RefusalReason.MEMORY_SHORT)
        await world.pass_time(40.0)
        assert await world.recoveries() == []
        await look(world, CALM)
        assert (await world.recovered()).state == Outcome.VERIFIED


async def test_it_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(*sessions("web"))
        await look(world, SHORT)
        world.kill_pane_process()
        await world.pass_time(100.0)
        assert await world.recoveries() == []
        await world.pass_time(60.0)
        assert (await world.recovered()).state == Outcome.VERIFIED


async def test_the_wait_backs_off(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(*sessions("web"))
        await look(world, SHORT)
        world.kill_pane_process()
        await world.pass_time(110.0)
        assert 5 <= len(world.log.of(Action.REFUSED)) <= 15


async def test_whoever_asks_by_hand_does_not_wait(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(*sessions("web"))
        await look(world, SHORT)
        world.kill_pane_process()
        await world.until(lambda: "web" in world.ward.standstills, "a refusal")
        answer = await world.watch.ask("web")
        assert isinstance(answer, tuple)
        case = world.watch.case_for(*answer, Asker.OPERATOR)
        world.watch.open_case(case)
        assert isinstance(await case.answer, Ticket)
        assert (await world.recovered()).state == Outcome.VERIFIED


async def test_a_socket_does_not_wait_for_memory(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(*sessions("web"))
        await look(world, SHORT)
        world.tmux.die(alive=True)
        await world.pass_time(6.0)
        assert (await world.recovered(name="")).state == Outcome.VERIFIED


async def test_the_shortage_is_said_once_and_its_end_too(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await look(world, SHORT)
        await world.pass_time(20.0)
        await look(world, CALM)
        assert [line["resource"] for line in world.log.of(Action.RESOURCE_SHORT)] == [Resource.MEMORY]
        assert [line["resource"] for line in world.log.of(Action.RESOURCE_REGAINED)] == [Resource.MEMORY]


async def test_who_dies_of_memory_comes_back_once_and_then_waits(tmp_path: Path) -> None:
    async with corridor(tmp_path, MANY) as world:
        await world.adopt(*sessions("web"))
        killed_for_memory(world, "web", "%1")
        first = await world.recovered()
        assert (first.state, first.cause) == (Outcome.VERIFIED, Cause.OUT_OF_MEMORY)
        await world.pass_time(1.0)
        killed_for_memory(world, "web", "%1")
        await world.until(lambda: "web" in world.ward.standstills, "a refusal")
        assert "died of a lack of memory 2 times" in world.ward.standstills["web"].sentence
        await world.pass_time(50.0)
        assert len(await world.recoveries()) == 1
        await world.pass_time(15.0)
        await world.recovered(2)
        killed_for_memory(world, "web", "%1")
        await world.pass_time(110.0)
        assert len(await world.recoveries()) == 2
        await world.pass_time(20.0)
        assert (await world.recovered(3)).state == Outcome.VERIFIED


async def test_a_restart_of_the_sidecar_takes_as_much_care(tmp_path: Path) -> None:
    async with corridor(tmp_path, MANY) as world:
        await world.adopt(*sessions("web"))
        killed_for_memory(world, "web", "%1")
        await world.recovered()
        assert world.strain.lanes() == 1

    async def same_time(again: Corridor) -> None:
        again.clock.now = world.clock.now

    async with corridor(tmp_path, MANY, before=same_time) as again:
        assert again.strain.lanes() == 1
        assert again.strain.starts() == Budget(1, 10.0)
        await again.pass_time(601.0)
        assert again.strain.lanes() is None
        assert again.strain.starts() == Settings().recovery.starts


def begun(world: Corridor) -> list[str]:
    return [line["session"] for line in world.log.of(Action.RECOVERY_BEGUN)]


def at_once(world: Corridor) -> int:
    """The most recoveries that ran side by side."""
    most = running = 0
    for line in world.log.lines:
        running += (line["action"] is Action.RECOVERY_BEGUN) - (line["action"] is Action.RECOVERY_ENDED)
        most = max(most, running)
    return most


async def lose(world: Corridor, names: Sequence[str], *, oom: int) -> None:
    """The server is killed with all its sessions; the largest is named first, the smallest last."""
    await world.adopt(*sessions(*names))
    world.ward.usage = {
        name: Usage(1, (len(names) - number) * 10**6, 0.0) for number, name in enumerate(names)
    }
    server = world.tmux.server.pid
    world.tmux.die()
    world.watch.process_ended(Exit(Role.SERVER, server, "", "", -9, world.clock.now, "zombie", oom))
    for name in names:
        await world.recovered(name=name)


async def test_after_the_kernel_killed_for_memory_one_at_a_time_the_smallest_first(tmp_path: Path) -> None:
    names = ["d", "c", "b", "a"]
    async with corridor(tmp_path) as world:
        await lose(world, names, oom=1)
        assert begun(world) == ["a", "b", "c", "d"]
        assert at_once(world) == 1
        assert [line["session"] for line in world.log.of(Action.RECOVERY_WAITS)] == ["d", "c", "b"]


async def test_under_an_overload_two_at_a_time(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await look(world, BUSY)
        await lose(world, ["d", "c", "b", "a"], oom=0)
        assert set(begun(world)[:2]) == {"a", "b"}
        assert at_once(world) == 2


async def test_otherwise_all_at_once(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await lose(world, ["d", "c", "b", "a"], oom=0)
        assert at_once(world) == 4
        assert world.log.of(Action.RECOVERY_WAITS) == []


async def test_whoever_waits_for_a_turn_may_give_up(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(*sessions("a", "b", "c"))
        world.strain.killed()
        cases = [case_of(world, name) for name in ("a", "b", "c")]
        async with world.lanes.turn(cases[0]):
            world.spawn("b", enter(world, cases[1]))
            await world.until(lambda: len(world.log.of(Action.RECOVERY_WAITS)) == 1)
            for task in world.tasks:
                if task.get_name() == "b":
                    task.cancel()
            await world.quiet()
        async with world.lanes.turn(cases[2]):
            pass


async def enter(world: Corridor, case: Case) -> None:
    async with world.lanes.turn(case):
        pass


def case_of(world: Corridor, name: str) -> Case:
    world.tmux.change(f"%{list(world.tmux.sessions).index(name) + 1}", dead=True)
    live = world.tmux.sessions[name]
    failure = replace(FAILURE, session=name)
    return Case(replace(FINDING, failure=failure), live, Asker.WATCHER)


async def test_heavy_programs_wait_for_memory_between_their_turns(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await look(world, SHORT)
        world.spawn("wait", world.strain.memory())
        await world.pass_time(30.0)
        assert any(task.get_name() == "wait" for task in world.tasks)
        await look(world, CALM)
        await world.pass_time(2.0)
        assert not any(task.get_name() == "wait" for task in world.tasks)


PLENTY = Room(10**12, 10**13)
LITTLE = Room(30_000_000, 10**12)
NOTHING = Room(1_000, 10**12)


async def disk(world: Corridor, room: Room) -> CheckpointMode:
    world.host.left = room
    await world.strain.look()
    return world.ward.stress.checkpoints


async def test_checkpoints_become_less_by_steps_and_more_again(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(*sessions("web"))
        assert await disk(world, LITTLE) is CheckpointMode.STRUCTURE
        assert await disk(world, NOTHING) is CheckpointMode.PAUSED
        before = world.ward.totals["web"]
        world.tmux.put(session(pane(1), pane(2), name="web"))
        await world.pass_time(20.0)
        assert world.ward.totals["web"] == before
        held = await world.checkpointer.save(world.tmux.sessions["web"], Operation.BEFORE_RECOVERY)
        assert isinstance(held, HoldBack)
        assert await disk(world, PLENTY) is CheckpointMode.STRUCTURE
        assert await disk(world, PLENTY) is CheckpointMode.FULL
        await world.pass_time(20.0)
        assert world.ward.totals["web"].count == before.count + 1
        told = [line["mode"] for line in world.log.of(Action.CHECKPOINT_MODE)]
        assert told == ["structure", "paused", "structure", "full"]


async def test_what_is_stored_brings_back_while_checkpoints_are_paused(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(*sessions("web"))
        assert await disk(world, NOTHING) is CheckpointMode.PAUSED
        world.kill_pane_process()
        assert (await world.recovered()).state == Outcome.VERIFIED


async def test_a_write_that_is_turned_down_makes_less_of_it_for_a_minute(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(*sessions("web"))
        world.tmux.trouble["capture"] = [DiskFull("the database does not take the write: full")]
        world.tmux.put(session(pane(1), pane(2), name="web"))
        await world.pass_time(6.0)
        assert world.ward.stress.checkpoints is CheckpointMode.STRUCTURE
        await world.pass_time(30.0)
        assert world.ward.stress.checkpoints is CheckpointMode.STRUCTURE
        await world.pass_time(60.0)
        assert world.ward.stress.checkpoints is CheckpointMode.FULL
        assert world.ward.totals["web"].count == 2


async def test_old_generations_go_first_and_never_the_newest(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(*sessions("web"))
        for number in range(2, 8):
            world.tmux.put(session(*(pane(n) for n in range(1, number + 1)), name="web"))
            await world.pass_time(6.0)
        many = world.ward.totals["web"].count
        newest = await world.store.newest_checkpoint("web")
        assert await disk(world, LITTLE) is CheckpointMode.STRUCTURE
        await world.checkpointer.count()
        assert 1 <= world.ward.totals["web"].count < many
        assert await world.store.newest_checkpoint("web") == newest
        rows = await world.store.audit_rows(10, action=Action.CHECKPOINTS_PRUNED)
        assert len(rows) == 1


async def test_under_an_overload_there_is_still_a_look_every_five_seconds(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await look(world, BUSY)
        before = world.watch.cycles
        await world.pass_time(60.0)
        assert world.watch.cycles - before >= 12
        world.tmux.put(*sessions("web"))
        world.watch.signal(SignalKind.DOORBELL)
        await world.until(lambda: "web" in world.ward.expected, "an event that wakes it at once")


@dataclass
class Outside:
    """A server that has something to do and gives no answer."""

    running: Running

    def _state(self, pid: int) -> ProcessState:
        return ProcessState(pid, 5, self.running, pid, pid, -1, 0)

    def state(self, pid: int) -> ProcessState | None:
        return self._state(pid)

    async def server(self, pid: int) -> ServerState | None:
        return ServerState(self._state(pid), self._state(pid), 0.1)


@pytest.mark.parametrize(
    ("running", "busy", "found"),
    [
        (Running.RUNNING, "", [Cause.SERVER_UNRESPONSIVE]),
        (Running.RUNNING, "tasks wait", []),
        (Running.SLEEPING, "tasks wait", [Cause.SERVER_UNRESPONSIVE]),
        (Running.STOPPED, "tasks wait", [Cause.SERVER_SUSPENDED]),
    ],
)
async def test_a_server_that_is_late_on_an_overloaded_machine_is_unknown_and_not_frozen(
    running: Running, busy: str, found: list[Cause]
) -> None:
    ward, tmux, clock = Ward(Settings()), ValueTmux(HandClock()), HandClock()
    ward.stress = Stress(cpu=busy)
    examiner = ServerExaminer(ward, tmux, cast(Any, Outside(running)), clock, lambda: None)
    silence = Look(Presence.UNKNOWN, 1.0, reason="it did not answer", silent=True)
    await examiner.examine(silence, {})
    assert [one.cause for one in await examiner.examine(silence, {})] == found
