"""Decisions over time: setbacks, giving up, the slow pace, dry runs, and what goes on record."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

from sidecar.config import RecoverySettings, Settings
from sidecar.errors import StoreUnavailable, TmuxUnknown
from sidecar.model.incident import IncidentState, Role, SignalKind
from sidecar.model.plan import Refusal, RefusalReason, Strategy
from sidecar.model.policy import Budget, Mode
from sidecar.model.record import Action, AlertIntake
from sidecar.model.session import Presence
from sidecar.model.status import DryRun, RecoverRequest, Ticket
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor

HOUR = 3_600.0


def settings(count: int = 2, period: float = 60.0, pace: float = 600.0) -> Settings:
    return Settings(recovery=RecoverySettings(per_session=Budget(count, period), slow_retry=pace))


async def states(world: Corridor) -> list[str]:
    return [row.state for row in await world.recoveries()]


async def test_failed_recoveries_rest_longer_each_time_and_then_go_on_at_the_slow_pace(
    tmp_path: Path,
) -> None:
    async with corridor(tmp_path, settings(3, 600.0, 600.0)) as world:
        await world.adopt(session(pane(command="make")))
        world.tmux.stillborn = True
        world.kill_pane_process()
        await world.pass_time(120.0)
        begun = [row.begun for row in await world.recoveries()]
        assert len(begun) == 3
        assert begun[2] - begun[1] > begun[1] - begun[0]
        await world.pass_time(HOUR)
        later = [row.begun for row in await world.recoveries()][3:]
        assert 4 <= len(later) <= 6
        assert min(b - a for a, b in itertools.pairwise(later)) >= 600.0
        (incident,) = await world.store.open_incidents()
        assert incident.state is IncidentState.GIVEN_UP


async def test_what_dies_at_once_is_not_waited_for(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(1)) as world:
        await world.adopt(session(pane(command="make")))
        world.tmux.stillborn = True
        world.kill_pane_process()
        await world.pass_time(30.0)
        (row,) = await world.recoveries()
        assert row.state == "failed"
        assert row.duration is not None
        assert row.duration < 2.0


async def test_a_slow_pace_longer_than_the_budget_period_is_kept(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(1, 20.0, 600.0)) as world:
        await world.adopt(session(pane(command="make")))
        world.tmux.stillborn = True
        world.kill_pane_process()
        await world.pass_time(500.0)
        assert len(await world.recoveries()) == 1
        await world.pass_time(200.0)
        assert len(await world.recoveries()) == 2


async def test_what_comes_back_and_breaks_again_stays_at_the_slow_pace(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(2, 60.0, 600.0)) as world:
        await world.adopt(session())
        for number in (1, 2):
            world.kill_pane_process()
            await world.recovered(number)
        world.kill_pane_process()
        await world.pass_time(700.0)
        assert await states(world) == ["verified"] * 3
        world.kill_pane_process()
        await world.pass_time(120.0)
        assert len(await world.recoveries()) == 3
        given_up = [text for _, _, text in world.tmux.called("announce") if "given up" in text]
        assert len(given_up) == 2


async def test_a_person_who_brings_it_back_gives_it_a_new_budget(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(2, 60.0, 600.0)) as world:
        await world.adopt(session())
        for number in (1, 2):
            world.kill_pane_process()
            await world.recovered(number)
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED), "given up")
        assert isinstance(await world.desk.request(RecoverRequest("web")), Ticket)
        await world.recovered(3)
        await world.pass_time(90.0)
        world.kill_pane_process()
        await world.recovered(4)


async def test_a_clock_set_back_does_not_prolong_a_standstill(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(1, 60.0, 600.0)) as world:
        await world.adopt(session())
        world.kill_pane_process()
        await world.recovered()
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED), "given up")
        world.clock.wall_ahead -= 4 * HOUR
        await world.pass_time(700.0)
        assert len(await world.recoveries()) == 2
        (incident,) = list(await world.store.open_incidents()) or [None]
        assert incident is None


async def test_the_first_sign_is_told_by_the_clock_of_its_moment(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(0)) as world:
        await world.adopt(session())
        world.clock.wall_ahead += HOUR
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED), "refused")
        (incident,) = await world.store.open_incidents()
        assert incident.first_sign == world.clock.wall()


async def test_a_dry_run_opens_and_moves_nothing(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(1, 60.0, 600.0)) as world:
        await world.adopt(session())
        world.kill_pane_process()
        await world.recovered()
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED), "given up")
        before, (last,) = await world.store.open_incidents(), await world.store.audit_rows(1)
        answer = await world.desk.request(RecoverRequest("web", dry_run=True))
        assert isinstance(answer, DryRun)
        assert await world.store.open_incidents() == before
        told, before_it = await world.store.audit_rows(2)
        assert before_it == last
        assert (told.action, told.reason, told.actor) == ("dry_run", "respawn_pane", "operator")
        assert told.detail["steps"]
        assert told.detail["evidence"]
        await world.quiet()
        await world.pass_time(650.0)
        assert len(await world.recoveries()) == 2


async def test_a_dry_run_for_a_closed_session_leaves_no_incident(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(), session(pane(9), name="keep", identity="$9"))
        del world.tmux.sessions["web"]
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: "web" not in world.ward.expected, "closed by a person")
        answer = await world.desk.request(RecoverRequest("web", dry_run=True))
        assert isinstance(answer, DryRun)
        assert await world.store.open_incidents() == ()


async def test_a_strategy_that_does_not_fit_does_not_stop_the_watcher(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(1, 60.0, 600.0)) as world:
        await world.adopt(session())
        world.kill_pane_process()
        await world.recovered()
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED), "given up")
        asked = AlertIntake(
            "f", "2026-01-01T00:00:00Z", "firing", {}, "web", strategy=Strategy.RECREATE_SOCKET
        )
        await world.desk.accept_alerts([asked])
        no_strategy = [RefusalReason.NO_STRATEGY]
        await world.until(
            lambda: [line["reason"] for line in world.log.of(Action.REFUSED)][1:] == no_strategy, "refused"
        )
        (incident,) = await world.store.open_incidents()
        assert incident.state is IncidentState.GIVEN_UP
        await world.pass_time(650.0)
        assert await states(world) == ["verified", "verified"]


async def test_a_refused_request_for_a_closed_session_leaves_no_open_incident(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(), session(pane(9), name="keep", identity="$9"))
        del world.tmux.sessions["web"]
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: "web" not in world.ward.expected, "closed by a person")
        answer = await world.desk.request(RecoverRequest("web", strategy=Strategy.RECREATE_SOCKET))
        assert isinstance(answer, Refusal)
        assert await world.store.open_incidents() == ()


async def test_silence_is_not_good_health(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        world.tmux.presence = Presence.UNKNOWN
        answer = await world.desk.request(RecoverRequest("web"))
        assert isinstance(answer, Refusal)
        assert answer.reason is RefusalReason.SERVER_UNKNOWN


async def test_an_outcome_is_written_as_soon_as_the_book_takes_it(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        left = 3
        end = world.store.end_recovery

        async def late(ending: Any) -> None:
            nonlocal left
            left -= 1
            if left > 0:
                raise StoreUnavailable("the database does not take the write: locked")
            await end(ending)

        world.store.end_recovery = late  # type: ignore[method-assign]
        world.kill_pane_process()
        await world.until(lambda: left == 2, "the first attempt")
        assert await states(world) == ["running"]
        await world.pass_time(3.0)
        assert (await world.recovered()).state == "verified"


async def test_a_step_that_did_not_begin_is_not_carried_out(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        begun = world.store.step_begun

        async def unavailable(*_: Any) -> None:
            raise StoreUnavailable("the database does not take the write: full")

        world.store.step_begun = unavailable  # type: ignore[method-assign]
        world.kill_pane_process()
        assert (await world.recovered()).state == "failed"
        assert world.tmux.called("respawn") == []
        world.store.step_begun = begun  # type: ignore[method-assign]
        await world.pass_time(5.0)
        assert (await world.recovered(2)).state == "verified"


async def test_a_temporary_error_is_tried_again_after_a_backoff(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        world.tmux.trouble["respawn"] = [TmuxUnknown("busy"), TmuxUnknown("busy")]
        world.kill_pane_process()
        await world.until(lambda: world.tmux.called("respawn"), "the first attempt")
        began = world.clock.now
        await world.pass_time(1.0)
        assert (await world.recovered()).state == "verified"
        assert len(world.tmux.called("respawn")) == 3
        # Half of 0.2 s and half of 0.4 s, by these dice.
        assert world.clock.now - began >= 0.3


async def test_a_verdict_is_waited_for_ten_seconds(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        world.tmux.changeling = True
        world.kill_pane_process()
        await world.pass_time(9.0)
        assert await states(world) == ["running"]
        await world.pass_time(1.5)
        assert (await states(world))[0] == "failed"


async def test_whoever_asks_meanwhile_joins(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        world.tmux.stillborn = True
        world.kill_pane_process()
        await world.until(lambda: world.tmux.called("respawn"), "it is being healed")
        answer = await world.desk.request(RecoverRequest("web"))
        assert isinstance(answer, Ticket)
        assert answer.joined
        assert len(await world.recoveries()) == 1


async def test_what_came_back_before_the_action_is_left_alone(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        open_incident = world.store.open_incident

        async def meanwhile(*facts: Any) -> Any:
            world.tmux.change("%1", dead=False, pid=999, argv=("-bash",))
            return await open_incident(*facts)

        world.store.open_incident = meanwhile  # type: ignore[method-assign]
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED), "refused")
        await world.quiet()
        assert [line["reason"] for line in world.log.of(Action.REFUSED)] == ["stale"]
        assert world.tmux.called("respawn") == []
        assert await world.store.open_incidents() == ()


async def test_a_restored_session_whose_panes_died_keeps_what_ran_in_them(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(program=300)))
        world.tmux.stillborn = True
        server = world.tmux.server.pid
        world.tmux.die()
        world.end(server, -9, Role.SERVER)
        await world.pass_time(60.0)
        assert "failed" in await states(world)
        newest = await world.store.newest_checkpoint("web")
        assert newest is not None
        assert newest.image.windows[0].panes[0].program == ("top",)


async def test_a_sibling_that_died_meanwhile_was_not_dead_before(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session(pane(1), replace(pane(2), active=False)))
        world.tmux.stillborn = True
        world.kill_pane_process("%1")
        await world.until(lambda: world.tmux.called("respawn"), "it is being healed")
        world.tmux.change("%1", dead=False, argv=("-bash",))
        world.kill_pane_process("%2")
        await world.quiet()
        await world.pass_time(11.0)
        row = (await world.recoveries())[0]
        assert (row.state, "dead" in row.verdict) == ("failed", True)


async def test_what_an_earlier_run_was_healing_is_healed_by_the_next_one(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        server = world.tmux.server.pid
        world.tmux.stillborn = True
        world.tmux.die()
        world.end(server, -9, Role.SERVER)
        # Until the verdict is waited for: what is not on record as rebuilt is rebuilt by the next run.
        await world.quiet()
        assert world.tmux.called("rebuild")

    async def lost(later: Corridor) -> None:
        later.tmux.die()

    async with corridor(tmp_path, before=lost) as later:
        await later.pass_time(12.0)
        row = await later.recovered(2)
        assert (row.state, row.cause) == ("verified", "server_killed")
        assert (await later.recoveries())[0].state == "failed"
        assert row.attempt == 2
        assert "tmux server 100 was ended by SIGKILL" in str(row.evidence)


async def test_giving_up_and_the_slow_pace_outlive_the_sidecar(tmp_path: Path) -> None:
    async with corridor(tmp_path, settings(1, 60.0, 600.0)) as world:
        await world.adopt(session())
        for _ in range(2):
            server = world.tmux.server.pid
            world.tmux.die()
            world.end(server, -9, Role.SERVER)
            await world.quiet()
        assert [line["reason"] for line in world.log.of(Action.REFUSED)] == ["given_up"]

    async def lost(later: Corridor) -> None:
        later.tmux.die()

    async with corridor(tmp_path, settings(1, 60.0, 600.0), lost) as later:
        await later.quiet()
        assert [line["reason"] for line in later.log.of(Action.REFUSED)] == ["given_up"]
        assert later.tmux.called("announce") == []
        await later.pass_time(700.0)
        assert (await later.recovered(2)).state == "verified"


async def test_observe_mode_puts_the_whole_decision_on_record_and_does_nothing(tmp_path: Path) -> None:
    async with corridor(tmp_path, Settings(recovery=RecoverySettings(mode=Mode.OBSERVE))) as world:
        await world.adopt(session())
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED), "decided")
        await world.pass_time(60.0)
        assert await world.recoveries() == []
        assert world.tmux.called("respawn") == []
        (row,) = [row for row in await world.store.audit_rows(50) if row.action is Action.REFUSED]
        assert row.reason == "observe_mode"
        assert row.detail["strategy"] == "respawn_pane"
        assert any("respawn pane" in step for step in row.detail["steps"])
        assert row.detail["evidence"]
