"""What the watch hands to the pipeline, how often, and what it leaves alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sidecar.config import RecoverySettings, Settings
from sidecar.errors import StoreUnavailable
from sidecar.model.incident import (
    Broken,
    Cause,
    Exit,
    Failure,
    FailureKind,
    Finding,
    Intent,
    Role,
    SignalKind,
    Unit,
)
from sidecar.model.plan import RefusalReason
from sidecar.model.policy import Budget
from sidecar.model.record import Action, KnownSession
from sidecar.model.session import Presence, Process, Window
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor


def once() -> Settings:
    """One recovery, and then it is given up."""
    return Settings(recovery=RecoverySettings(per_session=Budget(1, 600.0)))


def unarmed(window: Window) -> Window:
    return replace(window, armed=False, remain_on_exit="on")


async def looks(world: Corridor) -> int:
    """How many lines are logged while the clock stands still."""
    before = len(world.log.lines)
    await world.quiet()
    return len(world.log.lines) - before


async def test_a_program_that_is_started_again_at_once_is_no_failure(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(program=300)))
        world.kill_program(then=Process(301, ("top",)))
        await world.quiet()
        await world.pass_time(20.0)
        assert await world.recoveries() == []
        assert world.log.of(Action.INCIDENT_OPENED) == []
        assert world.processes.watching(301)


async def test_a_prompt_that_runs_something_does_not_hide_a_killed_program(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(program=300)))
        world.kill_program(then=Process(301, ("git", "status")))
        await world.quiet()
        world.tmux.change("%1", program=None)
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: world.tmux.called("enter"), "the line is typed")


async def test_a_killed_program_whose_pipeline_goes_on_waits_for_its_end(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(program=300)))
        world.kill_program(then=Process(300, ()))
        await world.pass_time(30.0)
        assert await world.recoveries() == []
        world.tmux.change("%1", program=None)
        await world.pass_time(5.0)
        await world.until(lambda: world.tmux.called("enter"), "the line is typed")


async def test_two_programs_killed_in_two_ways_both_come_back(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(1, program=300), pane(2, program=400)))
        world.tmux.change("%1", program=None)
        world.tmux.change("%2", program=None)
        world.end(300, -9, Role.PROGRAM)
        world.end(400, -11, Role.PROGRAM)
        await world.until(lambda: len(world.tmux.called("enter")) == 2, "both lines")
        assert {call[1] for call in world.tmux.called("enter")} == {"%1", "%2"}


async def test_a_program_killed_while_another_pane_is_healed_is_not_forgotten(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(1), pane(2, program=400)))
        world.tmux.stillborn = True
        world.kill_pane_process("%1")
        await world.until(lambda: world.tmux.called("respawn"), "the pane is being healed")
        world.kill_program("%2")
        world.tmux.stillborn = False
        world.tmux.change("%1", dead=False, argv=("-bash",))
        await world.pass_time(11.0)
        await world.until(lambda: world.tmux.called("enter"), "the program comes back")


async def test_one_refused_part_beside_another_dead_one_is_not_asked_about_at_every_look(
    tmp_path: Path,
) -> None:
    async with corridor(tmp_path, once()) as world:
        kept = replace(pane(2, command="make"), dead=False)
        await world.adopt(session(pane(1), kept))
        world.kill_pane_process("%1")
        await world.recovered()
        world.tmux.change("%2", dead=True)
        world.end(202, None)
        await world.quiet()
        world.kill_pane_process("%1", -11)
        await world.quiet()
        assert await looks(world) == 0
        assert len(world.log.of(Action.REFUSED)) <= 4


async def test_a_pane_that_was_dead_before_we_came_is_left_alone(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        old = session(pane(1), replace(pane(2, command="make"), dead=True, dead_status=3, argv=()))
        await world.adopt(replace(old, windows=tuple(map(unarmed, old.windows))))
        await world.pass_time(20.0)
        assert await world.recoveries() == []


async def test_a_pid_that_is_used_again_is_another_process(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        world.ward.note_exit(Exit(Role.PROGRAM, 300, "old", "%9", -9, world.clock.now - 50, "zombie"))
        await world.adopt(session(pane(program=300)))
        await world.pass_time(6.0)
        assert world.processes.watching(300)
        assert await world.recoveries() == []


async def test_last_words_are_those_of_their_own_server(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        world.ward.last_words = {world.tmux.server.pid - 1: "server exited unexpectedly"}
        await world.adopt(session())
        world.tmux.die()
        world.end(world.tmux.server.pid, None, Role.SERVER)
        await world.until(lambda: world.log.of(Action.REFUSED), "a refusal")
        assert world.log.of(Action.REFUSED)[0]["reason"] == "cause_unknown"


async def test_a_full_disk_is_waited_for_and_nothing_spins(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        write, world.store._write = world.store._write, refuse_all  # type: ignore[method-assign]
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.TASK_FAILED), "it is said")
        assert await looks(world) == 0
        await world.pass_time(60.0)
        assert len(world.log.of(Action.TASK_FAILED)) <= 20
        world.store._write = write  # type: ignore[method-assign]
        await world.pass_time(5.0)
        assert (await world.recovered()).state == "verified"


async def test_a_session_is_written_down_as_soon_as_the_book_takes_it(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        write, world.store._write = world.store._write, refuse_all  # type: ignore[method-assign]
        world.tmux.put(session())
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: world.log.of(Action.TASK_FAILED), "it is said")
        world.store._write = write  # type: ignore[method-assign]
        await world.pass_time(6.0)
        assert [known.name for known in await world.store.known_sessions()] == ["web"]


async def test_the_book_knows_the_life_in_which_a_session_came_back(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        pid = world.tmux.server.pid
        world.tmux.die()
        world.end(pid, -9, Role.SERVER)
        await world.recovered()
        await world.quiet()
        (known,) = await world.store.known_sessions()
        assert known.instance == f"{world.tmux.server}/{world.tmux.sessions['web'].id}"


async def test_nothing_new_is_begun_while_the_service_stops(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        world.ward.draining = True
        world.kill_pane_process()
        await world.quiet()
        assert await world.recoveries() == []
        assert world.ward.cases == {}


async def test_a_renamed_session_leaves_nothing_under_its_old_name(tmp_path: Path) -> None:
    async with corridor(tmp_path, once()) as world:
        await world.adopt(session())
        world.kill_pane_process()
        await world.recovered()
        world.kill_pane_process()
        await world.until(lambda: "web" in world.ward.standstills, "given up")
        old = world.tmux.sessions.pop("web")
        world.tmux.put(replace(old, name="api"))
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: "api" in world.ward.expected, "the new name")
        await world.quiet()
        assert set(world.ward.standstills) <= {"api"}
        assert [i.session for i in await world.store.open_incidents()] in ([], ["api"])
        assert [known.name for known in await world.store.known_sessions()] == ["api"]


async def test_it_is_said_once_when_tmux_comes_and_goes(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.pass_time(20.0)
        world.tmux.presence = Presence.UNKNOWN
        await world.pass_time(20.0)
        assert len(world.log.of(Action.SERVER_FOUND)) == 1
        (lost,) = world.log.of(Action.SERVER_LOST)
        assert (lost["level"], lost["cause"]) == ("warning", "no answer")


async def test_the_bell_is_rung_now_and_then_so_that_lost_hooks_are_set_again(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.pass_time(91.0)
        assert world.bell.rings == 3
        world.tmux.die()
        await world.pass_time(90.0)
        assert world.bell.rings == 3


async def refuse_all(work: object) -> KnownSession:
    raise StoreUnavailable("the database does not take the write: full", hint="Free some space.")


async def test_whoever_wakes_up_says_so_and_looks_anew(tmp_path: Path) -> None:
    """The machine was asleep for an hour, which its monotonic clock does not tell."""
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(program=300)))
        await world.quiet()
        world.clock.slept += 3_600.0
        before = world.watch.cycles
        await world.pass_time(5.0)
        assert world.watch.cycles > before
        (line,) = world.log.of(Action.WOKE_UP)
        assert line["late"] == 3_600.0
        await world.pass_time(30.0)
        assert len(world.log.of(Action.WOKE_UP)) == 1


async def test_a_look_that_came_with_the_bell_before_the_sleep_is_not_the_present(tmp_path: Path) -> None:
    """What it shows has been put right by a person meanwhile: nothing is done."""
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(1), pane(2)))
        await world.quiet()
        rung = replace(await world.tmux.look(), sessions=())
        world.watch._bell_look = rung, world.clock.boottime()
        world.clock.slept += 60.0
        world.watch.signal(SignalKind.DOORBELL)
        await world.quiet()
        assert world.log.of(Action.INCIDENT_OPENED) == []


async def test_a_minute_of_standing_still_changes_nothing_for_healthy_sessions(tmp_path: Path) -> None:
    """Stopped and let go on: every timer is over at once, and no session is touched."""
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(program=300)))
        await world.quiet()
        world.clock.now += 60.0
        world.clock.move(0.0)
        await world.quiet()
        await world.pass_time(30.0)
        assert await world.recoveries() == []
        assert world.log.of(Action.INCIDENT_OPENED) == []


async def test_what_an_earlier_run_knew_of_another_failure_does_not_explain_this_one(tmp_path: Path) -> None:
    frozen = Failure("web", FailureKind.FROZEN, (Broken(Unit.PROGRAM, "%1", 301),), 1_000.0)
    told = Finding(frozen, Cause.HEARTBEAT_MISSED, Intent.FAILURE, (), "heartbeat api %1@1000.000")
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        await world.store.open_incident(told, 1.0, 2.0)
    tmux = world.tmux
    tmux.die()
    async with corridor(tmp_path, tmux=tmux) as world:
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: world.log.of(Action.REFUSED), "it is decided")
        [opened] = world.log.of(Action.INCIDENT_OPENED)
        assert (opened["failure"], opened["cause"]) == (FailureKind.CRASHED, Cause.UNKNOWN)
        assert [line["reason"] for line in world.log.of(Action.REFUSED)] == [RefusalReason.CAUSE_UNKNOWN]
