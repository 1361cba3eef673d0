"""A session that one look does not show: looked at again before anything is made of it."""

from __future__ import annotations

from pathlib import Path

from sidecar.model.incident import Role, SignalKind
from sidecar.model.record import Action
from tests.decide.builders import pane, session
from tests.flow.corridor import corridor


async def test_what_is_there_again_at_the_second_look_is_recorded_as_stale(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(), session(pane(2), name="api", identity="$2"))
        kept = world.tmux.sessions.pop("web")
        look, looked = world.tmux.look, 0

        async def come_back() -> object:
            nonlocal looked
            looked += 1
            if looked == 2:
                world.tmux.sessions["web"] = kept
            return await look()

        world.tmux.look = come_back  # type: ignore[method-assign, assignment]
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: "web" not in world.watch._missed and looked >= 2, "the second look")
        rows = await world.store.audit_rows(20, session="web", action=Action.REFUSED)
        assert [(row.reason, row.actor) for row in rows] == [("stale", "watcher")]
        assert 'refusals_total{reason="stale"} 1.0' in world.meter.render("")[0].decode()
        assert await world.recoveries() == []
        assert "web" in world.ward.expected


async def test_what_two_looks_do_not_show_was_closed(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(), session(pane(2), name="api", identity="$2"))
        del world.tmux.sessions["web"]
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: "web" not in world.ward.expected, "it is let go")
        assert await world.store.audit_rows(20, session="web", action=Action.REFUSED) == ()


async def test_a_kill_that_came_after_tmux_had_let_go_is_no_failure(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(), session(pane(2), name="api", identity="$2"))
        del world.tmux.sessions["web"]
        world.watch._missed["web"] = world.clock.now
        world.clock.now += 0.001
        world.end(201, -9, Role.PANE)
        await world.until(lambda: "web" not in world.ward.expected, "it is let go")
        assert await world.recoveries() == []
