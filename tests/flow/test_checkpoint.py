"""What is stored, when, and what happens when it cannot be."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sidecar.errors import TmuxUnknown
from sidecar.model.incident import SignalKind
from sidecar.model.record import Action
from tests.decide.builders import pane, session
from tests.flow.corridor import corridor


async def test_a_capture_that_failed_is_taken_again_although_nothing_changes(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        world.tmux.trouble["capture"] = [TmuxUnknown("busy")]
        world.tmux.put(session())
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: world.log.of(Action.CHECKPOINT_FAILED), "a failure")
        await world.quiet()
        assert len(world.tmux.called("capture")) == 1
        await world.pass_time(6.0)
        assert (await world.store.newest_checkpoint("web")) is not None


async def test_a_capture_that_was_held_back_is_stored_once_the_session_is_old_enough(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(1), pane(2)))
        born = int(world.clock.wall())
        world.tmux.sessions["web"] = replace(session(pane(3), identity="$7"), created=born)
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: world.log.of(Action.CHECKPOINT_HELD_BACK), "held back")
        await world.pass_time(80.0)
        newest = await world.store.newest_checkpoint("web")
        assert newest is not None
        assert newest.image.pane_count == 1
        assert len(world.log.of(Action.CHECKPOINT_HELD_BACK)) <= 8


async def test_a_change_of_structure_is_stored_at_once_and_output_at_every_interval(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        world.tmux.change("%1", cwd="/tmp")
        world.watch.signal(SignalKind.TICK)
        await world.quiet()
        assert len(world.tmux.called("capture")) == 2
        await world.pass_time(60.0)
        assert len(world.tmux.called("capture")) == 2
        one = world.tmux.sessions["web"]
        world.tmux.put(replace(one, windows=tuple(replace(w, activity=77) for w in one.windows)))
        await world.pass_time(6.0)
        assert len(world.tmux.called("capture")) == 3
