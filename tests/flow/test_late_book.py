"""A disk that stalls: the book takes what is written, but only after whoever waited has given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from sidecar.decide.breaker import BreakerEvent
from sidecar.errors import StoreUnavailable, TmuxUnknown
from sidecar.flow.circuits import Permit
from sidecar.model.plan import Strategy
from sidecar.model.record import Action
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor

SHELL = pane(1, program=300)


def late(world: Corridor, name: str, times: int = 1) -> list[int]:
    """This write of the store is done, and told as not done, the first few times."""
    write: Callable[..., Awaitable[Any]] = getattr(world.store, name)
    told: list[int] = []

    async def slow(*facts: Any) -> Any:
        answer = await write(*facts)
        if len(told) < times:
            told.append(1)
            raise StoreUnavailable("the database did not answer within 10 s")
        return answer

    setattr(world.store, name, slow)
    return told


@pytest.mark.parametrize(
    "name", ["begin_recovery", "step_begun", "step_ended", "end_recovery", "save_circuits"]
)
async def test_what_was_written_late_is_written_once(tmp_path: Path, name: str) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(SHELL))
        told = late(world, name)
        world.kill_program()
        await world.pass_time(60.0)
        assert told
        rows = await world.recoveries()
        # Where nothing had been done yet, nothing is: it is another recovery that does it.
        assert [row.state for row in rows] == ["failed"] * (name == "step_begun") + ["verified"]
        assert len(world.tmux.called("enter")) == 1
        ended = await world.store.audit_rows(50, action=Action.RECOVERY_ENDED)
        assert len(ended) == len(rows)
        assert await world.store.unfinished() == ()


async def test_an_attempt_that_is_due_again_is_written_once(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(SHELL))
        told = late(world, "step_ended", times=2)
        world.tmux.trouble["enter"] = [TmuxUnknown("no answer")]
        world.kill_program()
        await world.pass_time(60.0)
        assert len(told) == 2
        (row,) = await world.recoveries()
        assert row.state == "verified"
        ended = await world.store.audit_rows(50, action=Action.STEP_ENDED)
        assert len(ended) == len({(one.detail["step"], one.detail["attempt"]) for one in ended})


async def test_what_is_told_again_counts_once_towards_a_circuit(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        permit = Permit(Strategy.RESPAWN_PANE, "web", "x")
        await world.circuits.lend(permit)
        told = late(world, "save_circuits")
        with pytest.raises(StoreUnavailable):
            await world.circuits.settle(permit, BreakerEvent.FAILURE)
        await world.circuits.catch_up()
        assert told
        assert world.circuits.state("respawn_pane:web").failures == 1
        assert (await world.store.circuits())["respawn_pane:web"].failures == 1
