"""The second start of a sidecar that was away when something happened."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.config import SessionSettings, Settings
from sidecar.model.incident import Cause, IncidentState
from sidecar.model.plan import Outcome, RefusalReason
from sidecar.model.policy import Restore
from sidecar.model.session import Process, ServerId, Session
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, HandClock, ValueTmux, corridor

WITH_PROGRAM = session(pane(1), pane(2, program=300))


async def first_run(folder: Path) -> float:
    async with corridor(folder) as world:
        await world.adopt(WITH_PROGRAM)
        return world.clock.now


def found_there(then: float, *sessions: Session) -> Callable[[Corridor], Coroutine[Any, Any, None]]:
    """The second start, a minute later, finds these."""

    async def before(world: Corridor) -> None:
        world.clock.now = then + 60.0
        world.tmux.put(*sessions)

    return before


async def test_a_program_that_went_is_held_and_stays_wanted(tmp_path: Path) -> None:
    then = await first_run(tmp_path)
    async with corridor(tmp_path, before=found_there(then, session(pane(1), pane(2)))) as world:
        await world.until(lambda: "web" in world.ward.standstills, "a refusal")
        assert world.ward.standstills["web"].reason is RefusalReason.CAUSE_UNKNOWN
        await world.pass_time(60.0)
        assert await world.recoveries() == []
        newest = await world.store.newest_checkpoint("web")
        assert newest is not None
        assert newest.image.windows[0].panes[1].program == ("top",)
        world.tmux.change("%2", program=Process(301, ("vim",)))
        await world.pass_time(10.0)
        assert "web" not in world.ward.standstills
        assert await world.store.open_incidents() == ()


async def test_what_is_as_it_was_is_left_alone(tmp_path: Path) -> None:
    then = await first_run(tmp_path)
    async with corridor(tmp_path, before=found_there(then, WITH_PROGRAM)) as world:
        await world.pass_time(20.0)
        assert await world.store.open_incidents() == ()


async def test_another_life_of_the_session_is_not_compared(tmp_path: Path) -> None:
    then = await first_run(tmp_path)
    anew = replace(session(pane(1), pane(2)), id="$7")
    async with corridor(tmp_path, before=found_there(then, anew)) as world:
        await world.pass_time(20.0)
        assert await world.store.open_incidents() == ()


async def test_after_a_reboot_sessions_come_back(tmp_path: Path) -> None:
    then = await first_run(tmp_path)

    async def rebooted(world: Corridor) -> None:
        world.clock.now = then + 60.0
        world.host.boot_id = "another-boot"
        world.tmux.server = ServerId("another-boot", 50, 2_000)
        world.tmux.die()

    async with corridor(tmp_path, before=rebooted) as world:
        row = await world.recovered()
        assert (row.cause, row.state) == (Cause.HOST_REBOOTED, Outcome.VERIFIED)


async def test_a_session_that_went_is_held_or_comes_back_where_it_is_always_wanted(tmp_path: Path) -> None:
    then = await first_run(tmp_path)
    async with corridor(tmp_path, before=found_there(then)) as world:
        await world.until(lambda: "web" in world.ward.standstills, "a refusal")
        (row,) = await world.store.open_incidents()
        assert (row.state, row.cause) == (IncidentState.HELD, Cause.UNKNOWN)
        then = world.clock.now
    always = Settings(sessions=SessionSettings(restore=Restore.ALWAYS))
    async with corridor(tmp_path, always, before=found_there(then)) as world:
        assert (await world.recovered()).state == Outcome.VERIFIED


async def test_two_starts_with_a_recovery_half_done(tmp_path: Path) -> None:
    """Cut off in the middle of a recovery, and once more in the middle of the next start."""

    async def begin(world: Corridor) -> None:
        world.tmux.die()
        await world.watch.load()
        look = await world.tmux.look()
        answer = await world.watch.ask("web")
        assert isinstance(answer, tuple)
        finding = world.watch.diagnose(answer[0], look)[0]
        await world.store.open_incident(finding, world.clock.wall(), world.clock.wall())

    then = await first_run(tmp_path)
    always = Settings(sessions=SessionSettings(restore=Restore.ALWAYS))
    for _ in range(2):
        async with corridor(tmp_path, always, before=begin) as world:
            assert world.ward.expected.keys() == {"web"}
    async with corridor(tmp_path, always, before=found_there(then)) as world:
        await world.pass_time(10.0)
        assert (await world.recovered(1)).state == Outcome.VERIFIED
        assert await world.store.open_incidents() == ()


CRASHED = replace(pane(2, command="make"), dead=True, argv=())


@pytest.mark.parametrize(
    "code", [-11, 3, None], ids=["by a signal", "by its status", "tmux does not say how"]
)
@pytest.mark.parametrize("identity", ["$1", "$7"], ids=["in the same life", "in another life of its session"])
async def test_a_command_that_crashed_while_no_sidecar_watched_is_started_again(
    tmp_path: Path, identity: str, code: int | None
) -> None:
    """In an armed window tmux keeps only what has failed, whether or not it can say how."""
    tmux = ValueTmux(HandClock())
    async with corridor(tmp_path, tmux=tmux) as world:
        await world.adopt(session(pane(1), pane(2, command="make")))
    tmux.put(session(pane(1), replace(CRASHED, dead_status=code), identity=identity))
    tmux.argv["%2"] = ("make",)
    async with corridor(tmp_path, tmux=tmux) as later:
        row = await later.recovered()
        assert (row.strategy, row.state) == ("respawn_pane", "verified")
        assert tmux.effects == [("respawn", "%2")]
