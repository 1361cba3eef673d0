"""Heals in the corridor: cut off anywhere they are gone on with, and one that makes things worse ends."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from sidecar.config import RecoverySettings
from sidecar.errors import Permanent
from sidecar.model.check import CheckState
from sidecar.model.heal import CommandHeal, HealCall
from sidecar.model.policy import BreakerPolicy
from sidecar.model.probe import Probe, ProbeResult
from sidecar.model.record import Action
from tests.flow.test_checks import GOOD, HTTP, REFUSED, World, api, world
from tests.flow.test_crash import Death

QUICK = {"interval": 4.0, "timeout": 1.0}
PLAIN = CommandHeal(("scale", "up"))
UNDOABLE = CommandHeal(("scale", "up"), undo=("scale", "down"))


async def settled(here: World, death: Death | None = None) -> None:
    """Let time pass until nothing is under way, or the sidecar is dead."""
    for _ in range(300):
        await here.corridor.quiet()
        rows = await here.corridor.recoveries("check:api")
        over = rows and all(row.state != "running" for row in rows) and not here.corridor.ward.cases
        if over or (death is not None and death.happened):
            return
        here.corridor.clock.move(0.1)
    raise AssertionError("it comes to no end")


def mend(always: dict[Probe, ProbeResult]) -> None:
    always[HTTP] = GOOD


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("heal", [PLAIN, UNDOABLE], ids=["plain", "with a way back"])
async def test_it_is_gone_on_with_wherever_the_sidecar_is_killed(
    tmp_path: Path, heal: CommandHeal, after: bool
) -> None:
    at = 0
    while True:
        at += 1
        death = Death(at, after=after)
        always: dict[Probe, ProbeResult] = {HTTP: REFUSED}
        life = partial(
            world, tmp_path / str(at), api(heal, **QUICK), always=always, on_heal=partial(mend, always)
        )
        async with life() as here:
            death.lurk(here.corridor)
            await settled(here, death)
        async with life(tmux=here.corridor.tmux) as later:
            await settled(later)
            rows = await later.corridor.recoveries("check:api")
            assert [row.state for row in rows] == ["verified"], at
            assert [*here.again, *later.again] in ([False], [False, True], [True]), at
            assert "taken back" not in (*here.heals, *later.heals)
            await later.pass_time(40.0)
            assert await later.corridor.store.open_incidents() == ()
            assert later.state() is CheckState.PASSING
        if not death.happened:
            break
    assert at > 4


async def test_what_a_heal_has_done_stands_in_its_step_in_the_trail_and_in_the_log(tmp_path: Path) -> None:
    async with world(tmp_path, api(PLAIN)) as here:
        here.answers.always[HTTP] = REFUSED
        here.on_heal = lambda: here.answers.always.update({HTTP: GOOD})
        await settled(here)
        (row,) = await here.corridor.recoveries("check:api")
        found = await here.corridor.store.recovery(row.id)
        assert found is not None
        assert [(step.description, step.said) for step in found.steps] == [("run `scale up`", "done")]
        rows = await here.corridor.store.audit_rows(50, action=Action.STEP_ENDED)
        assert '"words": "done"' in str(rows[0].detail).replace("'", '"')
        assert here.corridor.log.of(Action.STRATEGY_SAID)[0]["words"] == "done"


@pytest.mark.parametrize("heal", [PLAIN, UNDOABLE], ids=["plain", "with a way back"])
async def test_one_that_makes_things_worse_is_stopped_by_the_breaker(
    tmp_path: Path, heal: CommandHeal
) -> None:
    recovery = RecoverySettings(circuit=BreakerPolicy(2, 3600.0, 3600.0))
    async with world(tmp_path, api(heal, tries=100), recovery=recovery) as here:
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(1_200.0)
        done = ["run `scale up`", "taken back"] if heal.undo else ["run `scale up`"]
        assert here.heals == done * 2
        assert [row.state for row in await here.corridor.store.open_incidents()] == ["held"]
        refused = [line["reason"] for line in here.corridor.log.of(Action.REFUSED)]
        assert refused[-1] == "circuit_open"


async def test_one_that_cannot_be_taken_back_is_left_to_a_person_with_the_command(tmp_path: Path) -> None:
    async with world(tmp_path, api(UNDOABLE, tries=1)) as here:

        async def fail(call: HealCall) -> str:
            raise Permanent("scale ended with 3", hint="Run it by hand.")

        here.corridor.host.healer.take_back = fail
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(120.0)
        (row,) = await here.corridor.recoveries("check:api")
        assert (row.state, row.commands) == ("stuck", ("scale down",))
        assert any("scale down" in words for words in here.calls())
