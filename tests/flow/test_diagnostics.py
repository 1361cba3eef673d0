"""What is looked at before anything is done, what waits for it, and what does not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from sidecar.config import CheckpointSettings, RecoverySettings, Settings
from sidecar.errors import StoreUnavailable, Temporary, TmuxUnknown
from sidecar.flow.diagnostics import _FIRST, _PATIENT, _SOON, _TO_PRINT
from sidecar.model.diagnostics import (
    Diagnostics,
    ProcessFacts,
    PythonStack,
    PythonThread,
    Subject,
    Tail,
    Tree,
)
from sidecar.model.heartbeat import May, StackSignal
from sidecar.model.incident import Broken, Cause, FailureKind, Role, SignalKind, Unit
from sidecar.model.policy import Mode
from sidecar.model.record import Action
from tests.decide.builders import SERVER, pane, session
from tests.flow.corridor import Corridor, HandClock, ValueTmux, corridor
from tests.flow.sick import Sickness


def process(pid: int, *, python: bool = False) -> ProcessFacts:
    return ProcessFacts(pid, 1, "x", "S", 5, 1.0, 0.0, 4096, 1, python=python)


async def seen(world: Corridor, number: int = 1) -> Diagnostics:
    found = await world.store.diagnostics(number)
    assert found is not None
    return found


def order(world: Corridor) -> list[str]:
    return [name for name, *_ in world.bedside.calls]


async def actions(world: Corridor) -> list[str]:
    return [str(row.action) for row in reversed(await world.store.audit_rows(500))]


async def test_a_dead_pane_is_looked_at_before_it_is_respawned(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        world.bedside.shown["%1"] = Tail(("its last words",))
        world.bedside.trees["%1"] = Tree((process(201),))
        await world.adopt(session(pane(command="make")))
        world.kill_pane_process()
        await world.recovered()
        found = await seen(world)
        (one,) = found.panes
        assert (one.pane, one.pid, one.subject) == ("%1", 201, 0)
        assert one.tail == Tail(("its last words",))
        assert one.ending is not None
        assert (one.ending.code, one.ending.words) == (-9, "was ended by SIGKILL")
        assert [each.pid for each in one.tree.processes] == [201]
        assert found.machine is not None
        assert found.missing == ()
        assert found.checkpoint is not None
        assert order(world) == ["tails", "processes", "machine"]
        assert ("machine", ("/srv",), ()) in world.bedside.calls
        told = await actions(world)
        assert told.index("recovery_begun") < told.index("diagnostics_taken")


async def test_the_pane_is_not_touched_before_its_text_is_there(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(command="make")))
        world.bedside.hangs.add("tails")
        world.kill_pane_process()
        await world.quiet()
        assert world.tmux.effects == []
        assert [row.state for row in await world.recoveries()] == ["running"]
        await world.pass_time(_SOON + 0.01)
        assert world.tmux.effects == [("respawn", "%1")]
        row = await world.recovered()
        assert row.state == "verified"
        found = await seen(world)
        assert found.missing == ("the text of its panes: it did not come in time",)
        assert found.seconds == pytest.approx(_SOON)


@pytest.mark.parametrize("what", ["tails", "processes", "machine"])
@pytest.mark.parametrize(
    "error", [TmuxUnknown("it says nothing", hint="Wait."), Temporary("too late"), ValueError("a fault")]
)
async def test_what_fails_is_a_sentence_and_stops_nothing(
    tmp_path: Path, what: str, error: Exception
) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(command="make")))
        world.bedside.trouble[what] = error
        world.kill_pane_process()
        assert (await world.recovered()).state == "verified"
        (missing,) = (await seen(world)).missing
        assert str(error) in missing
        assert len(world.log.of(Action.TASK_FAILED)) == isinstance(error, ValueError)


async def test_what_came_late_in_a_reading_is_told(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(command="make")))
        world.bedside.late = "the command line of process 7 did not come in time"
        world.kill_pane_process()
        await world.recovered()
        assert (await seen(world)).missing == (world.bedside.late,)


async def test_what_is_left_to_read_holds_nothing_up(tmp_path: Path) -> None:
    """Beside the recovery, and only its record is waited for at the end."""
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(command="make")))
        world.bedside.hangs.add("machine")
        world.kill_pane_process()
        await world.quiet()
        assert world.tmux.effects == [("respawn", "%1")]
        assert (await world.recoveries())[0].state == "verified"
        await world.pass_time(3.0)
        assert "web" not in world.ward.cases
        assert "the machine: it did not come in time" in (await seen(world)).missing


async def test_a_long_recovery_does_not_hold_back_the_record(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        world.bedside.shown["%1"] = Tail(("its last words",))
        await world.adopt(session(pane(command="make")))
        respawn = world.tmux.respawn
        begun = asyncio.Event()

        async def slow(*facts: Any) -> bool:
            begun.set()
            await world.clock.sleep(30.0)
            return await respawn(*facts)

        world.tmux.respawn = slow  # type: ignore[method-assign]
        world.kill_pane_process()
        await world.until(begun.is_set, "the first step")
        assert await world.store.diagnostics(1) is None
        await world.pass_time(_FIRST)
        assert (await seen(world)).panes[0].tail == Tail(("its last words",))
        assert (await world.recoveries())[0].state == "running"
        await world.pass_time(31.0)
        assert (await world.recovered()).state == "verified"


async def test_no_text_of_a_private_session_is_read(tmp_path: Path) -> None:
    settings = Settings(checkpoints=CheckpointSettings(exclude=("we*",)))
    async with corridor(tmp_path, settings) as world:
        await world.adopt(session(pane(command="make")))
        world.kill_pane_process()
        await world.recovered()
        assert "tails" not in order(world)
        assert (await seen(world)).missing == (
            "the text of its panes: checkpoints.exclude keeps it out of the book",
        )


async def test_a_lost_server_is_told_with_the_last_checkpoint(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(command="make")))
        world.tmux.die()
        world.end(SERVER.pid, -9, Role.SERVER)
        await world.recovered()
        found = await seen(world)
        assert found.panes == ()
        assert found.server is not None
        assert (found.server.pid, found.server.process) == (SERVER.pid, None)
        assert found.server.ending is not None
        assert found.server.ending.code == -9
        assert found.checkpoint == 1
        assert order(world) == ["machine"]


async def test_a_server_that_lives_is_looked_at_alone(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(command="make")))
        world.bedside.trees["server"] = Tree((process(SERVER.pid),))
        world.tmux.die(alive=True)
        world.watch.signal(SignalKind.TICK)
        await world.recovered(name="")
        found = await seen(world)
        assert found.server is not None
        assert found.server.process is not None
        assert ("processes", Subject("server", SERVER.pid, whole=False, firm=True)) in world.bedside.calls


async def test_what_nothing_is_done_about_is_looked_at_once(tmp_path: Path) -> None:
    async with corridor(tmp_path, Settings(recovery=RecoverySettings(mode=Mode.OBSERVE))) as world:
        world.bedside.shown["%1"] = Tail(("its last words",))
        await world.adopt(session(pane(command="make")))
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED), "refused")
        await world.pass_time(300.0)
        found = await seen(world)
        assert found.panes[0].tail == Tail(("its last words",))
        assert (await actions(world)).count("diagnostics_taken") == 1
        assert world.tmux.effects == []


async def test_what_passed_by_itself_is_not_kept(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(command="make")))
        tails = world.bedside.tails

        async def healed_meanwhile(panes: Sequence[str]) -> Mapping[str, Tail]:
            world.tmux.change("%1", dead=False, pid=900, argv=("sleep", "9"))
            return await tails(panes)

        world.bedside.tails = healed_meanwhile  # type: ignore[method-assign]
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED), "refused")
        assert await world.store.diagnostics(1) is None


async def test_a_book_that_cannot_take_it_stops_nothing(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(command="make")))

        async def full(*facts: object) -> None:
            raise StoreUnavailable("no room", hint="Free some.")

        world.store.keep_diagnostics = full  # type: ignore[method-assign, assignment]
        world.kill_pane_process()
        assert (await world.recovered()).state == "verified"
        (line,) = world.log.of(Action.TASK_FAILED)
        assert (line["task"], line["error"], line["hint"]) == ("diagnostics", "no room", "Free some.")


async def test_it_goes_with_its_incident(tmp_path: Path) -> None:
    from tests.flow.test_clearing import _DAY, lived, prune

    async with corridor(tmp_path) as world:
        await lived(world)
        assert await world.store.diagnostics(1) is not None
        world.clock.wall_ahead += 100 * _DAY
        await prune(world)
        assert await world.store.diagnostics(1) is None


async def test_at_most_eight_panes_are_looked_at(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(*(pane(number, command="make") for number in range(1, 13))))
        for number in range(1, 13):
            world.tmux.change(f"%{number}", dead=True, program=None, argv=())
        for number in range(1, 13):
            world.end(200 + number, -9)
        await world.recovered()
        found = await seen(world)
        assert (len(found.panes), found.panes_left_out) == (8, 4)


@asynccontextmanager
async def stuck(folder: Path, **more: Any) -> AsyncIterator[Corridor]:
    """A session whose program 900, in front of the shell 201, is found frozen; it is Python."""
    tmux = ValueTmux(HandClock())
    part = Broken(Unit.PROGRAM, "%1", 900, started=77)
    sick = Sickness(tmux, FailureKind.FROZEN, Cause.HEARTBEAT_MISSED, part, **more)
    async with corridor(folder, examiners=[sick], tmux=tmux) as world:
        world.host.stopped = sick
        world.bedside.trees["%1"] = Tree((process(201), process(900, python=True)))
        world.bedside.shown["%1"] = Tail(("Current thread 0x1:",))
        world.bedside.python = (PythonStack(900, "3.12", (PythonThread("MainThread", "idle", ("f",)),)),)
        await world.adopt(session(pane(program=900)))
        sick.broken = True
        world.watch.signal(SignalKind.TICK)
        yield world


async def test_a_stuck_program_is_looked_into_before_it_is_interrupted(tmp_path: Path) -> None:
    async with stuck(tmp_path, may=(May.INTERRUPT,), stack_signal=StackSignal.USR1) as world:
        await world.quiet()
        assert order(world) == ["processes", "stacks", "call_out"]
        assert world.tmux.effects == []
        await world.pass_time(_TO_PRINT)
        assert world.tmux.effects[0] == ("SIGINT", 900)
        assert order(world)[3] == "tails"
        await world.pass_time(20.0)
        assert ("processes", Subject("%1", 201, firm=True)) in world.bedside.calls
        assert ("call_out", StackSignal.USR1, 900) in world.bedside.calls
        found = await seen(world)
        (one,) = found.panes
        assert (one.pid, one.subject, one.ending) == (201, 900, None)
        assert one.stacks == world.bedside.python
        assert one.tail == Tail(("Current thread 0x1:",))
        assert found.seconds == pytest.approx(_TO_PRINT)


async def test_no_signal_is_sent_unless_a_rule_says_so(tmp_path: Path) -> None:
    async with stuck(tmp_path, may=(May.INTERRUPT,)) as world:
        await world.pass_time(20.0)
        assert "call_out" not in order(world)
        assert (await seen(world)).panes[0].stacks


async def test_what_does_not_handle_the_signal_is_not_waited_for(tmp_path: Path) -> None:
    async with stuck(tmp_path, stack_signal=StackSignal.USR2) as world:
        world.bedside.deaf = ("process 900 does not handle SIGUSR2, and was not sent it",)
        await world.until(lambda: world.log.of(Action.REFUSED), "refused")
        assert (await seen(world)).missing == world.bedside.deaf
        assert world.tmux.effects == []


async def test_a_frozen_program_that_is_only_reported_is_asked_once(tmp_path: Path) -> None:
    async with stuck(tmp_path, stack_signal=StackSignal.USR1) as world:
        await world.pass_time(1.0)
        assert order(world).count("call_out") == 1
        assert (await seen(world)).panes[0].stacks == world.bedside.python
        world.ward.ask_again()
        world.watch.signal(SignalKind.REQUEST)
        await world.pass_time(10.0)
        assert len(world.log.of(Action.REFUSED)) > 1
        assert order(world).count("call_out") == 1
        assert (await actions(world)).count("diagnostics_taken") == 1


async def test_a_stack_that_does_not_come_ends_the_wait(tmp_path: Path) -> None:
    async with stuck(tmp_path, may=(May.RESPAWN,)) as world:
        world.bedside.hangs.add("stacks")
        await world.quiet()
        assert world.tmux.effects == []
        await world.pass_time(_PATIENT)
        assert world.tmux.effects[0] == ("SIGTERM", 900)
        await world.pass_time(20.0)
        found = await seen(world)
        assert "Python stacks: it did not come in time" in found.missing
        assert [one.pid for one in found.panes[0].tree.processes] == [201, 900]
