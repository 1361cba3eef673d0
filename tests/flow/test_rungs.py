"""The rung on which a session stands: climbed for an alert, kept under another name, and after a crash."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.config import Declared, RecoverySettings, Settings
from sidecar.errors import TmuxRefused
from sidecar.flow.picture import picture
from sidecar.model.incident import Exit, FailureKind, Role, SignalKind
from sidecar.model.ladder import ladders
from sidecar.model.plan import Strategy
from sidecar.model.record import AlertIntake
from sidecar.model.workspace import DeclaredPane, DeclaredWindow, Workspace
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor, standing
from tests.flow.test_crash import Death, kill_server

RESTORE, REBUILD = Strategy.RESTORE_CHECKPOINT, Strategy.REBUILD_WORKSPACE
WANTED = Workspace("web", (DeclaredWindow((DeclaredPane("/tmp"),)),), file="/w.yml")
SETTINGS = Settings(
    declared=Declared({"web": WANTED}),
    recovery=RecoverySettings(ladders=ladders({FailureKind.CRASHED: (RESTORE, REBUILD)})),
)


def alert(starts_at: str, fingerprint: str = "f") -> AlertIntake:
    return AlertIntake(fingerprint, starts_at, "firing", {"session": "web"}, "web")


async def broken_and_reported(world: Corridor, starts_at: str, fingerprint: str = "f") -> str:
    """The server dies, and an alert says so before anything else does: how it was recovered."""
    done = len(await world.recoveries())
    server = world.tmux.server.pid
    world.ward.note_exit(Exit(Role.SERVER, server, "", "", -9, world.clock.now, "zombie"))
    world.tmux.die()
    await world.desk.accept_alerts([alert(starts_at, fingerprint)])
    row = await world.recovered(done + 1)
    assert (row.asker, row.state) == ("alert", "verified")
    await world.quiet()
    return row.strategy


async def test_the_same_alert_that_fires_again_after_a_verified_recovery_climbs(tmp_path: Path) -> None:
    async with corridor(tmp_path, SETTINGS, standing(session(pane()))) as world:
        await world.adopt(session(pane()))
        assert await broken_and_reported(world, "1") == RESTORE
        assert world.ward.footings["web", FailureKind.CRASHED].alert == "f"
        assert await broken_and_reported(world, "2") == REBUILD
        # Still on the last rung: there is none above it.
        assert await broken_and_reported(world, "3") == REBUILD


async def test_another_alert_does_not_climb_and_a_stable_period_ends_it(tmp_path: Path) -> None:
    async with corridor(tmp_path, SETTINGS, standing(session(pane()))) as world:
        await world.adopt(session(pane()))
        assert await broken_and_reported(world, "1") == RESTORE
        assert await broken_and_reported(world, "1", "g") == RESTORE
        await world.pass_time(SETTINGS.recovery.stable + 1.0)
        assert await broken_and_reported(world, "2", "g") == RESTORE


async def test_an_alert_that_is_resolved_before_anything_has_begun_for_it_is_settled_as_that(
    tmp_path: Path,
) -> None:
    async with corridor(tmp_path, SETTINGS, standing(session(pane()))) as world:
        await world.adopt(session(pane()))
        world.tmux.die()
        await world.desk.accept_alerts([alert("1"), replace(alert("1"), status="resolved")])
        await world.until(lambda: world.desk.pending_alerts == 0, "the alert's end")
        assert await world.recoveries() == []
        (row,) = await world.store._read(lambda tx: tx.all("SELECT state, reason, recovery FROM alerts"))
        assert tuple(row) == ("settled", "resolved", None)


async def test_a_renamed_session_keeps_its_rung(tmp_path: Path) -> None:
    plain = replace(SETTINGS, declared=Declared())
    async with corridor(tmp_path, plain) as world:
        await world.adopt(session(pane()))
        assert await broken_and_reported(world, "1") == RESTORE
        kept = world.ward.footings["web", FailureKind.CRASHED]
        world.tmux.put(replace(world.tmux.sessions.pop("web"), name="api"))
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: "api" in world.ward.expected, "the new name")
        await world.quiet()
        assert dict(world.ward.footings) == {("api", FailureKind.CRASHED): kept}
        assert await world.store.footings() == {("api", FailureKind.CRASHED): kept}


async def test_status_shows_the_rung_of_who_does_not_stand_on_the_first(tmp_path: Path) -> None:
    async with corridor(tmp_path, SETTINGS, standing(session(pane()))) as world:
        await world.adopt(session(pane()))
        await broken_and_reported(world, "1")
        assert climbed(world) == {}
        await broken_and_reported(world, "2")
        assert climbed(world) == {"crashed": "rebuild_workspace, rung 2 of 2"}
        world.clock.now += SETTINGS.recovery.stable
        assert climbed(world) == {}


def climbed(world: Corridor) -> dict[str, str]:
    now = world.clock.wall()
    seen = picture(
        world.ward,
        incidents=(),
        circuits={},
        checks={},
        alerts_pending=0,
        store_bytes=0,
        started=now,
        last_look=now,
    )
    return dict(seen.sessions[0].climbed)


@pytest.mark.parametrize(
    "boundary",
    [pytest.param(6, id="between two attempts"), pytest.param(8, id="in the second attempt")],
)
async def test_what_failed_before_a_crash_is_not_tried_again_after_it(tmp_path: Path, boundary: int) -> None:
    async with corridor(tmp_path, SETTINGS, standing(session(pane()))) as world:
        await world.adopt(session(pane()))
        world.tmux.trouble["rebuild"] = [TmuxRefused("no")] * 9
        death = Death(boundary, after=True)
        death.lurk(world)
        await kill_server(world)
        await world.until(lambda: death.happened, "the crash")
    async with corridor(tmp_path, SETTINGS, tmux=world.tmux) as later:
        await later.recovered(3)
        assert [(row.strategy, row.manner, row.attempt, row.state) for row in await later.recoveries()] == [
            (RESTORE, "plain", 1, "compensated"),
            (RESTORE, "programs_held", 2, "compensated"),
            (REBUILD, "plain", 3, "verified"),
        ]


async def test_the_first_rung_that_fits_was_not_climbed_to(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(command="make")))
        world.kill_pane_process()
        assert (await world.recovered()).strategy == Strategy.RESPAWN_PANE
        assert climbed(world) == {}
