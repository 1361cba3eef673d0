"""Ladders at work: how a rung is run, where a session stands, and what is tried when a rung fails."""

from __future__ import annotations

from pathlib import Path

from sidecar.config import RecoverySettings, Settings
from sidecar.errors import TmuxUnknown
from sidecar.model.incident import Cause, FailureKind
from sidecar.model.ladder import Ladder, Rung
from sidecar.model.plan import StepKind, Strategy
from sidecar.model.policy import BreakerPolicy, Circuit, RetryPolicy
from tests.decide.builders import session
from tests.flow.corridor import corridor

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
