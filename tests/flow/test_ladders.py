"""Ladders at work: how a rung is run, where a session stands, and what is tried when a rung fails."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from sidecar.config import Declared, RecoverySettings, Settings
from sidecar.errors import TmuxRefused, TmuxUnknown
from sidecar.flow.conclude import Conclusion, Run
from sidecar.flow.execute import Result
from sidecar.flow.resume import mandate_of
from sidecar.flow.ward import Case
from sidecar.model.incident import (
    Asker,
    Broken,
    Cause,
    Failure,
    FailureKind,
    Finding,
    IncidentState,
    Intent,
    Role,
    SignalKind,
    Unit,
)
from sidecar.model.ladder import Ladder, Rung
from sidecar.model.plan import Expectation, Plan, StepKind, Strategy, Verdict
from sidecar.model.policy import BreakerPolicy, Budget, Circuit, RetryPolicy
from sidecar.model.record import Action, RecoveryRow
from sidecar.model.saga import TransactionOutcome
from sidecar.model.session import Presence
from sidecar.model.workspace import DeclaredPane, DeclaredWindow, Workspace
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor, standing

KILLED = Finding(
    Failure("web", FailureKind.CRASHED, (Broken(Unit.SESSION),), 0.0),
    Cause.SERVER_KILLED, Intent.FAILURE, (), "server 1",
)  # fmt: skip
ONCE = RetryPolicy(max_attempts=1)


def settings(ladder: Ladder, **more: object) -> Settings:
    ladders = {FailureKind.CRASHED: ladder}
    return Settings(recovery=RecoverySettings(ladders=ladders, **more))  # type: ignore[arg-type]


async def test_a_rung_is_run_as_it_says(tmp_path: Path) -> None:
    rung = Rung(Strategy.RESPAWN_PANE, ONCE, BreakerPolicy(failure_threshold=1))
    async with corridor(tmp_path, settings((rung,))) as world:
        await world.adopt(session())
        world.tmux.trouble["respawn"] = [TmuxUnknown("busy")]
        world.kill_pane_process()
        await world.pass_time(0.5)
        assert (await world.recovered()).state == "failed"
        assert len(world.tmux.called("respawn")) == 1
        assert world.circuits.state("respawn_pane:web").circuit is Circuit.OPEN


async def test_a_kind_of_step_may_have_its_own_retry(tmp_path: Path) -> None:
    operations = {StepKind.RESPAWN_PANE: ONCE}
    async with corridor(tmp_path, settings((Rung(Strategy.RESPAWN_PANE),), operations=operations)) as world:
        await world.adopt(session())
        world.tmux.trouble["respawn"] = [TmuxUnknown("busy")]
        world.kill_pane_process()
        await world.pass_time(0.5)
        assert (await world.recovered()).state == "failed"
        assert len(world.tmux.called("respawn")) == 1


async def test_a_step_is_not_tried_again_past_its_whole_time(tmp_path: Path) -> None:
    patient = RetryPolicy(max_attempts=50, initial_delay=1.0, max_total=4.0)
    async with corridor(tmp_path, settings((Rung(Strategy.RESPAWN_PANE, patient),))) as world:
        await world.adopt(session())
        world.tmux.trouble["respawn"] = [TmuxUnknown("busy")] * 50
        world.kill_pane_process()
        await world.pass_time(4.2)
        # Half of 1, of 2, of 4 s, by these dice: the fourth wait would pass 4 s.
        assert (await world.recoveries())[0].state == "failed"
        assert len(world.tmux.called("respawn")) == 4


async def test_the_ladder_of_a_cause_is_the_one_that_counts(tmp_path: Path) -> None:
    ladders = {
        FailureKind.CRASHED: (Rung(Strategy.RESTORE_CHECKPOINT),),
        Cause.PROCESS_KILLED: (Rung(Strategy.RESPAWN_PANE),),
    }
    async with corridor(tmp_path, Settings(recovery=RecoverySettings(ladders=ladders))) as world:
        await world.adopt(session())
        world.kill_pane_process()
        assert (await world.recovered()).state == "verified"


TWO = (Rung(Strategy.RESTORE_CHECKPOINT), Rung(Strategy.REBUILD_WORKSPACE))


async def lose(world: Corridor) -> None:
    """The server is killed."""
    server = world.tmux.server.pid
    world.tmux.die()
    world.end(server, -9, Role.SERVER)


async def ended(world: Corridor, seconds: float = 60.0) -> list[RecoveryRow]:
    await world.quiet()
    await world.pass_time(seconds)
    return await world.recoveries()


async def two_generations(world: Corridor) -> None:
    await world.adopt(session(pane(program=300)))
    before = (await world.store.newest_checkpoint("web")).id  # type: ignore[union-attr]
    world.tmux.change("%1", cwd="/tmp")
    world.watch.signal(SignalKind.TICK)
    await world.pass_time(20.0)
    newest = await world.store.newest_checkpoint("web")
    assert newest is not None
    assert newest.id > before


async def test_what_fails_is_tried_in_other_ways_for_the_same_incident(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(TWO)) as world:
        await two_generations(world)
        world.tmux.trouble["rebuild"] = [TmuxRefused("no")] * 3
        await lose(world)
        rows = await ended(world, 5.0)
        assert [(row.strategy, row.manner, row.attempt, row.state) for row in rows] == [
            ("restore_checkpoint", "plain", 1, "compensated"),
            ("restore_checkpoint", "older_checkpoint", 2, "compensated"),
            ("restore_checkpoint", "programs_held", 3, "compensated"),
            ("bare_session", "plain", 4, "verified"),
        ]
        assert len({row.incident for row in rows}) == 1
        assert rows[1].checkpoint is not None
        assert rows[0].checkpoint is not None
        assert rows[1].checkpoint < rows[0].checkpoint
        assert await world.store.recoveries_since("web", 0.0) == (rows[0].begun,)
        found = await world.store.incident(rows[0].incident)
        assert found is not None
        assert found[0].state is IncidentState.RECOVERED
        words = [call[2] for call in world.tmux.called("announce")]
        assert len(words) == 1
        assert "web is back by bare_session: verified" in words[0]
        assert "; in vain: restore_checkpoint, " in words[0]


async def test_after_the_last_way_a_person_is_called_once(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(TWO, per_session=Budget(1, 600.0))) as world:
        await two_generations(world)
        world.tmux.trouble["rebuild"] = [TmuxRefused("no")] * 4
        await lose(world)
        rows = await ended(world, 5.0)
        assert [row.state for row in rows] == ["compensated"] * 4
        found = await world.store.incident(rows[0].incident)
        assert found is not None
        assert found[0].state is IncidentState.FAILED
        words = [call[2] for call in world.tmux.called("announce")]
        assert "all that could be done was tried in vain: restore_checkpoint, " in words[0]
        # The budget holds one incident, and all of these were one.
        assert [line["reason"] for line in world.log.of(Action.REFUSED)] == ["exhausted", "given_up"]


async def test_a_session_that_stands_is_not_built_in_another_way(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(TWO)) as world:
        await world.adopt(session())
        panes = world.tmux._panes
        world.tmux._panes = lambda image, number: [  # type: ignore[method-assign]
            replace(one, cwd="/elsewhere") for one in panes(image, number)
        ]
        await lose(world)
        rows = await ended(world)
        assert [row.state for row in rows] == ["failed"]


async def test_nothing_else_is_tried_while_the_server_is_silent(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(TWO, per_session=Budget(1, 600.0))) as world:
        await world.adopt(session())
        rebuild = world.tmux.rebuild

        async def hang(*facts: Any) -> str:
            world.tmux.presence = Presence.UNKNOWN
            raise TmuxUnknown("it says nothing")

        world.tmux.rebuild = hang  # type: ignore[method-assign, assignment]
        await lose(world)
        rows = await ended(world, 8.0)
        assert [row.state for row in rows] == ["compensated"]
        world.tmux.rebuild = rebuild  # type: ignore[method-assign]


async def test_the_rung_is_remembered_by_the_next_run_and_forgotten_after_a_stable_period(
    tmp_path: Path,
) -> None:
    async with corridor(tmp_path, settings(TWO)) as world:
        await world.adopt(session())
        world.tmux.trouble["rebuild"] = [TmuxRefused("no")]
        await lose(world)
        rows = await ended(world, 3.0)
        assert [row.state for row in rows] == ["compensated", "verified"]
        kept = world.ward.footings["web", FailureKind.CRASHED]
        assert (kept.strategy, kept.held) == (Strategy.RESTORE_CHECKPOINT, True)
    async with corridor(tmp_path, settings(TWO), stand_again) as later:
        assert later.ward.footings["web", FailureKind.CRASHED] == kept


async def stand_again(world: Corridor) -> None:
    world.tmux.put(session())


async def test_what_did_because_a_checkpoint_was_lacking_is_no_rung_that_was_climbed_to(
    tmp_path: Path,
) -> None:
    async with corridor(tmp_path, settings(TWO)) as world:
        await world.adopt(session())
        await world.circuits.force_open("restore_checkpoint:web")
        case = Case(KILLED, None, Asker.WATCHER)
        incident = await world.store.open_incident(KILLED, 0.0, world.clock.wall())
        plan = Plan(
            "web", Strategy.REBUILD_WORKSPACE, (), Expectation(None), KILLED, rung=Strategy.RESTORE_CHECKPOINT
        )
        mandate = mandate_of(case, plan, given_up=False)
        record = await world.store.begin_recovery(incident.id, mandate, world.clock.wall())
        run = Run(case, incident, record, plan, world.clock.now)
        good = Conclusion(
            Verdict(True), await world.tmux.look(), Result(TransactionOutcome.COMMITTED), world.clock.now
        )
        await world.recoverer._concluder.end(run, good)
        assert world.ward.footings["web", FailureKind.CRASHED].strategy is Strategy.RESTORE_CHECKPOINT


async def test_an_older_checkpoint_goes_before_the_next_rung(tmp_path: Path) -> None:
    wanted = Workspace("web", (DeclaredWindow((DeclaredPane("/tmp"),)),), file="/x.yml")
    declared = Declared({"web": wanted})
    there = standing(session(pane(program=300)))
    async with corridor(tmp_path, replace(settings(TWO), declared=declared), there) as world:
        await two_generations(world)
        world.tmux.trouble["rebuild"] = [TmuxRefused("no")]
        await lose(world)
        rows = await ended(world, 3.0)
        assert [(row.strategy, row.manner) for row in rows] == [
            ("restore_checkpoint", "plain"),
            ("restore_checkpoint", "older_checkpoint"),
        ]
