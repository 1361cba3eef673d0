"""What was wrong and is over without us: its incident does not wait for ever, whoever has seen its end."""

from __future__ import annotations

from pathlib import Path

from sidecar.config import SessionSettings, Settings
from sidecar.model.incident import IncidentState, SignalKind
from sidecar.model.policy import Restore
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor


def never() -> Settings:
    """Nothing is brought back."""
    return Settings(sessions=SessionSettings(restore=Restore.NEVER))


async def held(world: Corridor) -> None:
    await world.adopt(session(pane(1), pane(2)))
    world.kill_pane_process("%2")
    await world.until(lambda: "web" in world.ward.standstills, "held")
    await world.quiet()


async def states(world: Corridor) -> list[IncidentState]:
    return [row.state for row in await world.store.incidents(10)]


async def test_a_person_puts_it_right_while_no_sidecar_watches(tmp_path: Path) -> None:
    async with corridor(tmp_path, never()) as world:
        await held(world)
    world.tmux.change("%2", dead=False, argv=("-bash",), pid=777)
    async with corridor(tmp_path, never(), tmux=world.tmux) as later:
        await later.pass_time(6.0)
        assert await states(later) == [IncidentState.DISMISSED]
        assert await later.store.open_incidents() == ()


async def test_what_is_still_broken_waits_on(tmp_path: Path) -> None:
    async with corridor(tmp_path, never()) as world:
        await held(world)
    async with corridor(tmp_path, never(), tmux=world.tmux) as later:
        await later.pass_time(6.0)
        assert await states(later) == [IncidentState.HELD]


async def test_a_session_that_a_person_closes_takes_its_incident_along(tmp_path: Path) -> None:
    """That a pane of it was killed before, and kept, is no reason to bring it back."""
    async with corridor(tmp_path, never()) as world:
        await held(world)
        del world.tmux.sessions["web"]
        world.tmux.put(session(pane(9), name="api", identity="$9"))
        world.end(201, -1)
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: "web" not in world.ward.expected, "it is let go")
        await world.quiet()
        (row,) = await world.store.incidents(10)
        assert (row.state, row.sentence) == (
            IncidentState.DISMISSED, "it is not looked after any more: session_closed",
        )  # fmt: skip
