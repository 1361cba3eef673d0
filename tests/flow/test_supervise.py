"""Programs under supervision in the corridor: restarted by their rules, in their order, through crashes."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from sidecar.config import RecoverySettings, Settings
from sidecar.model.incident import Role
from sidecar.model.notice import Channel, Matter, Webhook
from sidecar.model.plan import RefusalReason
from sidecar.model.policy import Budget, Mode, Restore
from sidecar.model.quiet import SilenceRequest
from sidecar.model.record import Action
from sidecar.model.session import Process, Session
from sidecar.model.status import RecoverRequest, Ticket
from sidecar.model.supervise import ProgramRule, ProgramState
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor

JOB = ProgramRule("web", name="job", pane=1)


def rules(*given: ProgramRule, **recovery: object) -> Settings:
    return Settings(programs=given, recovery=RecoverySettings(**recovery))  # type: ignore[arg-type]


def started() -> Session:
    """Two panes that were started as commands, and a shell."""
    return session(pane(1, command="job"), pane(2, command="db"), pane(3))


def state(world: Corridor, pane_id: str = "%1") -> ProgramState | None:
    return next((one.state for one in world.ward.programs if one.pane == pane_id), None)


def respawns(world: Corridor) -> list[str]:
    return [what[1] for what in world.tmux.effects if what[0] == "respawn"]


def matters(world: Corridor) -> list[Matter]:
    return [notice.matter for _, message in world.mail.taken for notice in message.notices]


async def restarted(world: Corridor, number: int, code: int = 1, pane_id: str = "%1") -> None:
    """End it, and let everything be done that is done without waiting."""
    world.kill_pane_process(pane_id, code)
    await world.recovered(number)
    await world.quiet()


async def test_a_program_that_fails_is_started_where_it_was(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(JOB)) as world:
        await world.adopt(started())
        world.kill_pane_process("%1")
        row = await world.recovered()
        assert (row.state, row.strategy) == ("verified", "respawn_pane")
        assert respawns(world) == ["%1"]
        (incident,) = await world.store.incidents(9)
        assert incident.origin.startswith("program job %1@")
        assert {"source": "rule", "fact": "job: restart is `on-failure`, it was ended by SIGKILL"} in [
            dict(fact) for fact in incident.evidence
        ]
        await world.quiet()
        assert state(world) is ProgramState.STARTING
        await world.pass_time(6.0)
        assert state(world) is ProgramState.RUNNING


async def test_what_the_rule_runs_takes_the_place_of_the_command(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(replace(JOB, run=("better", "job")))) as world:
        await world.adopt(started())
        await restarted(world, 1)
        assert world.tmux.sessions["web"].windows[0].panes[0].argv == ("better", "job")


@pytest.mark.parametrize(
    ("restart", "code", "comes_back"),
    [
        (Restore.ALWAYS, 0, True),
        (Restore.ALWAYS, 3, False),
        (Restore.ON_FAILURE, 0, False),
        (Restore.ON_FAILURE, 3, False),
        (Restore.ON_FAILURE, 1, True),
        (Restore.NEVER, 1, False),
    ],
)
async def test_each_policy(tmp_path: Path, restart: Restore, code: int, comes_back: bool) -> None:
    rule = replace(JOB, restart=restart, expected_exits=() if restart is Restore.NEVER else (3,))
    async with corridor(tmp_path, rules(rule)) as world:
        await world.adopt(started())
        world.kill_pane_process("%1", code)
        await world.quiet()
        assert respawns(world) == (["%1"] if comes_back else [])
        if restart is Restore.NEVER:
            (incident,) = await world.store.open_incidents()
            assert incident.reason == RefusalReason.RESTART_POLICY
        elif not comes_back:
            # tmux would have closed it, had we not asked for it.
            assert ("close_pane", "%1", 201) in world.tmux.calls
            assert state(world) is ProgramState.STOPPED


async def test_a_hold_holds_programs_until_it_ends(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(JOB)) as world:
        await world.adopt(started())
        await world.quieter.silence(SilenceRequest("web", 60.0, True, "work"))
        world.kill_pane_process("%1")
        await world.quiet()
        await world.pass_time(40.0)
        assert respawns(world) == []
        (incident,) = await world.store.open_incidents()
        assert incident.reason == RefusalReason.MAINTENANCE
        await world.pass_time(21.0)
        await world.recovered()
        assert respawns(world) == ["%1"]


async def test_only_what_is_always_restarted_is_kept_however_it_ends(tmp_path: Path) -> None:
    always = replace(JOB, restart=Restore.ALWAYS)
    async with corridor(tmp_path, rules(always, ProgramRule("web", pane=2))) as world:
        await world.adopt(started())
        await world.quiet()
        assert ("arm", "%1") in world.tmux.calls
        world.ward.settings = rules(JOB)
        await world.pass_time(6.0)
        assert world.tmux.called("disarm") == [("disarm", "%1")]


async def test_a_program_that_keeps_ending_is_given_up_and_tried_slowly(tmp_path: Path) -> None:
    settings = replace(
        rules(replace(JOB, restart=Restore.ALWAYS)),
        notify=replace(Settings().notify, channels=(Channel("post", Webhook("http://127.0.0.1/")),)),
    )
    async with corridor(tmp_path, settings) as world:
        world.spawn("notices", world.notices.run())
        await world.adopt(started())
        world.tmux.stillborn = True
        world.kill_pane_process("%1", 1)
        await world.pass_time(30.0)
        assert len(respawns(world)) == 5
        assert state(world) is ProgramState.GIVEN_UP
        (incident,) = await world.store.open_incidents()
        assert incident.reason == RefusalReason.INTENSITY_EXCEEDED
        told = matters(world)
        assert told.count(Matter.GIVEN_UP) == 1
        assert Matter.RECOVERY_FAILED not in told
        await world.pass_time(500.0)
        assert len(respawns(world)) == 5
        await world.pass_time(100.0)
        assert len(respawns(world)) == 6
        await world.pass_time(500.0)
        assert len(respawns(world)) == 6
        assert matters(world).count(Matter.GIVEN_UP) == 1
        # Nobody else is refused anything for it.
        world.tmux.stillborn = False
        world.kill_pane_process("%2")
        row = await world.recovered(7)
        assert (row.state, respawns(world)[-1]) == ("verified", "%2")


async def test_its_restarts_cost_nothing_of_the_budget(tmp_path: Path) -> None:
    rule = replace(JOB, intensity=Budget(20, 60.0))
    async with corridor(
        tmp_path, rules(rule, per_session=Budget(1, 600.0), overall=Budget(1, 600.0))
    ) as world:
        await world.adopt(started())
        for number in range(1, 5):
            await restarted(world, number)
            await world.pass_time(2.0)
        world.kill_pane_process("%2")
        assert (await world.recovered(5)).state == "verified"
        assert respawns(world) == [*["%1"] * 4, "%2"]


async def test_it_rests_longer_after_each_start_that_fails(tmp_path: Path) -> None:
    async with corridor(
        tmp_path, rules(replace(JOB, restart=Restore.ALWAYS, intensity=Budget(50, 600.0)))
    ) as world:
        await world.adopt(started())
        world.tmux.stillborn = True
        world.kill_pane_process("%1", 1)
        times: list[float] = []
        for _ in range(5):
            seen = len(respawns(world))
            while len(respawns(world)) == seen:
                await world.quiet()
                world.clock.move(0.05)
                await world.quiet()
            times.append(world.clock.now)
        gaps = [later - one for one, later in pairwise(times)]
        assert all(later > one for one, later in pairwise(gaps))
        assert 0.4 < gaps[0] < 1.0
        assert state(world) in (ProgramState.BACKING_OFF, ProgramState.STARTING)


async def test_what_comes_after_another_waits_for_it(tmp_path: Path) -> None:
    db = ProgramRule("web", name="db", pane=2, delay=3.0, start_grace=2.0)
    api = replace(JOB, name="api", after=("db",))
    async with corridor(tmp_path, rules(db, api)) as world:
        await world.adopt(started())
        await world.pass_time(6.0)
        world.kill_pane_process("%2", 1)
        world.kill_pane_process("%1", 1)
        await world.pass_time(2.0)
        assert respawns(world) == []
        assert (state(world, "%2"), state(world)) == (ProgramState.BACKING_OFF, ProgramState.WAITING)
        (waiting,) = [one for one in world.ward.programs if one.pane == "%1"]
        assert waiting.waits_for == ("db (web:0.2) does not run",)
        await world.pass_time(2.0)
        assert respawns(world) == ["%2"]
        await world.pass_time(3.0)
        assert respawns(world) == ["%2", "%1"]
        assert await world.store.program_starts("web", "%1", 0.0) != ()


async def test_it_also_waits_for_the_heartbeat_of_the_other(tmp_path: Path) -> None:
    db, api = ProgramRule("web", name="db", pane=2), replace(JOB, after=("web:main.2",))
    async with corridor(tmp_path, rules(db, api)) as world:
        await world.adopt(started())
        await world.pass_time(6.0)
        world.wellness.ailments["%2"] = "does not answer the heartbeat db"
        world.kill_pane_process("%1", 1)
        await world.pass_time(20.0)
        assert respawns(world) == []
        assert world.log.of(Action.NOTIFIED) == []
        await world.pass_time(20.0)
        # Once, after a while.
        (line,) = world.log.of(Action.NOTIFIED)
        assert "db (web:0.2) does not answer the heartbeat db" in line["text"]
        await world.pass_time(120.0)
        assert len(world.log.of(Action.NOTIFIED)) == 1
        assert await world.store.program_starts("web", "%1", 0.0) == ()
        world.wellness.ailments.clear()
        await world.pass_time(1.0)
        assert respawns(world) == ["%1"]


def shell(program: int = 0) -> Session:
    return session(replace(pane(1, program=program), resume=""))


TOP = ProgramRule("web", name="top", command="^top")


async def test_a_program_in_a_shell_is_typed_again(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(TOP)) as world:
        await world.adopt(shell(300))
        world.kill_program("%1", 1)
        row = await world.recovered()
        assert (row.state, row.strategy) == ("verified", "resume_program")
        assert world.tmux.effects == [("enter", "top")]


async def test_what_a_person_stopped_in_a_shell_stays_so(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(replace(TOP, restart=Restore.ALWAYS))) as world:
        await world.adopt(shell(300))
        world.kill_program("%1", -2)
        await world.pass_time(60.0)
        assert world.tmux.effects == []
        assert state(world) is ProgramState.STOPPED
    # Also for the next run of ours.
    async with corridor(tmp_path, rules(replace(TOP, restart=Restore.ALWAYS)), tmux=world.tmux) as later:
        await later.pass_time(60.0)
        assert later.tmux.effects == []
        assert state(later) is ProgramState.STOPPED


async def test_another_program_in_the_shell_is_let_run(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(TOP)) as world:
        await world.adopt(shell(300))
        world.kill_program("%1", 1, then=Process(400, ("vim",)))
        await world.pass_time(5.0)
        assert (world.tmux.effects, state(world)) == ([], ProgramState.WAITING)
        world.kill_program("%1", 0)
        await world.recovered()
        assert world.tmux.effects == [("enter", "top")]


async def test_what_is_missing_is_started(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(ProgramRule("web", name="w", run=("worker", "--all")))) as world:
        await world.adopt(shell())
        row = await world.recovered()
        assert row.state == "verified"
        assert world.tmux.effects == [("enter", "worker --all")]


async def test_in_a_session_that_is_built_again_it_waits_for_its_turn(tmp_path: Path) -> None:
    db = ProgramRule("web", name="db", pane=2, run=("top", "-d1"), start_grace=2.0)
    api = ProgramRule("web", name="api", pane=1, run=("top",), after=("db",))
    async with corridor(tmp_path, rules(db, api)) as world:
        tops = Process(301, ("top", "-d1"))
        await world.adopt(session(pane(1, program=300), replace(pane(2), program=tops)))
        await world.pass_time(6.0)
        world.kernel.young = 0.0
        world.tmux.die()
        world.end(100, -9, Role.SERVER)
        await world.recovered()
        await world.pass_time(0.5)
        assert world.tmux.effects == [("rebuild", "web"), ("enter", "top -d1")]
        await world.pass_time(10.0)
        assert world.tmux.effects[2:] == [("enter", "top")]


async def test_one_that_ended_while_nobody_watched_is_held_unless_always(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(TOP)) as world:
        await world.adopt(shell(300))
        await world.pass_time(6.0)
    world.tmux.change("%1", program=None)
    async with corridor(tmp_path, rules(TOP), tmux=world.tmux) as later:
        await later.pass_time(6.0)
        assert (later.tmux.effects, state(later)) == ([], ProgramState.UNKNOWN)
        later.ward.settings = rules(replace(TOP, restart=Restore.ALWAYS))
        await later.pass_time(6.0)
        assert later.tmux.effects == [("enter", "top")]


async def test_a_crash_of_ours_forgets_no_start(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(JOB)) as world:
        await world.adopt(started())
        for number in range(1, 4):
            await restarted(world, number)
            await world.pass_time(2.0)
        world.crash()
    async with corridor(tmp_path, rules(JOB), tmux=world.tmux) as later:
        await later.adopt()
        for number in range(4, 6):
            await restarted(later, number)
            await later.pass_time(2.0)
        later.kill_pane_process("%1", 1)
        await later.pass_time(5.0)
        assert state(later) is ProgramState.GIVEN_UP
        assert len(respawns(later)) == 5


async def test_a_crash_in_the_middle_of_a_restart_is_gone_on_with(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(JOB)) as world:
        await world.adopt(started())
        hold = world.tmux.respawn

        async def crash(*given: object, **also: object) -> bool:
            world.crash()
            return await hold(*given, **also)  # type: ignore[arg-type]

        world.tmux.respawn = crash  # type: ignore[method-assign, assignment]
        world.kill_pane_process("%1", 1)
        await world.until(lambda: respawns(world))
    world.tmux.respawn = hold  # type: ignore[method-assign]
    async with corridor(tmp_path, rules(JOB), tmux=world.tmux) as later:
        row = await later.recovered()
        assert (row.state, respawns(later)) == ("verified", ["%1"])
        assert len(await later.store.program_starts("web", "%1", 0.0)) == 1


async def test_a_person_who_asks_starts_it_and_the_count_anew(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(replace(JOB, intensity=Budget(1, 600.0)))) as world:
        await world.adopt(started())
        await restarted(world, 1)
        await world.pass_time(3.0)
        world.kill_pane_process("%1", 1)
        await world.pass_time(3.0)
        assert state(world) is ProgramState.GIVEN_UP
        assert isinstance(await world.desk.request(RecoverRequest("web")), Ticket)
        await world.recovered(2)
        await world.pass_time(3.0)
        await restarted(world, 3)
        assert len(respawns(world)) == 3


async def test_in_observe_mode_nothing_is_started(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(JOB, mode=Mode.OBSERVE)) as world:
        await world.adopt(started())
        world.kill_pane_process("%1", 1)
        await world.pass_time(60.0)
        assert respawns(world) == []
        (incident,) = await world.store.open_incidents()
        assert incident.reason == RefusalReason.OBSERVE_MODE


async def test_a_program_that_never_fails_is_written_once(tmp_path: Path) -> None:
    async with corridor(tmp_path, rules(JOB)) as world:
        await world.adopt(started())
        await world.quiet()
        before = len(await world.store.audit_rows(1_000))
        await world.pass_time(60.0)
        assert len(await world.store.audit_rows(1_000)) == before
        assert Role.PANE in {one.role for one in world.processes.wanted.values()}
