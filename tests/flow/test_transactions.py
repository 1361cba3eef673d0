"""Plans that do not go well: undone, put before a person, stopped, given up; and books that fail."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from chaos.checker import check
from sidecar.errors import SidecarError, TmuxRefused, TmuxUnknown
from sidecar.flow.picture import health_of
from sidecar.model.incident import IncidentState, SignalKind
from sidecar.model.plan import StepKind
from sidecar.model.record import Action, AlertIntake, RecoveryRow
from sidecar.model.session import Health
from sidecar.model.status import RecoverRequest, Ticket
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor
from tests.flow.test_crash import RESUMING, SHELL, TYPED, Death, ask_to_replace, kill_server

HOUR = 3_600.0
COMMAND = "sidecar checkpoint restore web --id 3"


async def ended(world: Corridor, name: str = "web") -> RecoveryRow:
    for _ in range(400):
        await world.quiet()
        rows = await world.recoveries(name)
        if rows and rows[-1].state != "running" and name not in world.ward.cases:
            assert check(world.folder) == ()
            full = await world.store.recovery(rows[-1].id)
            assert full is not None
            return full
        world.clock.move(0.5)
    raise AssertionError("it comes to no end")


def before_each(owner: object, name: str, trouble: Mapping[int, Callable[[], Any]]) -> list[int]:
    """Put something before the calls of a method, by their numbers. All numbers so far."""
    real, calls = getattr(owner, name), list[int]()

    async def troubled(*facts: Any) -> Any:
        calls.append(len(calls) + 1)
        found = trouble.get(calls[-1], lambda: None)()
        if isinstance(found, asyncio.Future):
            await found
        return await real(*facts)

    setattr(owner, name, troubled)
    return calls


def told(row: RecoveryRow) -> list[tuple[str, str, int, str]]:
    return [(step.kind, step.phase, step.attempt, step.state) for step in row.steps]


async def test_a_replacement_that_fails_is_taken_back(tmp_path: Path) -> None:
    async with corridor(tmp_path, RESUMING) as world:
        await world.adopt(session(SHELL))
        world.tmux.trouble["rebuild"] = [TmuxRefused("no room")]
        await ask_to_replace(world)
        row = await ended(world)
        assert (row.state, row.transaction_outcome, row.commands) == ("compensated", "compensated", ())
        assert told(row) == [("replace_session", "do", 1, "refused"), ("replace_session", "undo", 1, "done")]
        assert world.tmux.effects == [("close", "$1"), ("rebuild", "web"), TYPED]


@pytest.mark.parametrize(
    ("trouble", "attempts"), [([TmuxRefused("no")], 1), ([TmuxUnknown("no answer")] * 3, 3)]
)
async def test_what_cannot_be_undone_is_put_before_a_person_with_the_commands(
    tmp_path: Path, trouble: list[SidecarError], attempts: int
) -> None:
    async with corridor(tmp_path, RESUMING) as world:
        await world.adopt(session(SHELL))
        world.tmux.trouble["rebuild"] = [TmuxRefused("no room"), *trouble]
        await ask_to_replace(world)
        row = await ended(world)
        (command,) = row.commands
        assert (row.state, row.transaction_outcome) == ("stuck", "stuck")
        assert command == f"sidecar checkpoint restore web --id {row.undo}"
        assert [one for one in told(row) if one[1] == "undo"][-1][2] == attempts
        assert command in row.verdict
        assert [line["commands"] for line in world.log.of(Action.RECOVERY_ENDED)] == [(command,)]
        assert command in world.tmux.called("announce")[-1][2]
        (incident,) = await world.store.open_incidents()
        assert (incident.state, command in incident.sentence) == (IncidentState.GIVEN_UP, True)
        assert command in world.ward.standstills["web"].sentence
        assert health_of(world.ward, "web", None) is Health.GIVEN_UP
        page = world.meter.render("")[0].decode()
        assert 'sidecar_transactions_total{outcome="stuck"} 1.0' in page


async def test_what_ends_the_sidecar_each_time_is_left_to_a_person(tmp_path: Path) -> None:
    tmux = None
    for number in range(4):
        death = Death(3 if number == 0 else 1, after=True)

        async def lurk(world: Corridor, death: Death = death) -> None:
            death.lurk(world)

        async with corridor(tmp_path, RESUMING, before=lurk, tmux=tmux) as world:
            if number == 0:
                await world.adopt(session(SHELL), session(pane(9), name="other", identity="$9"))
                world.kill_pane_process()
            await world.until(lambda death=death: death.happened, "its end")
            tmux = world.tmux
    async with corridor(tmp_path, RESUMING, tmux=tmux) as last:
        row = await ended(last)
        assert (row.state, row.transaction_outcome, row.resumed) == ("stuck", "stuck", 4)
        assert row.commands == ("sidecar explain web", "sidecar recover web")
        assert "3 times" in row.verdict
        assert last.tmux.effects.count(("respawn", "%1")) <= 1
        (incident,) = await last.store.open_incidents()
        assert incident.state is IncidentState.GIVEN_UP
        assert "sidecar recover web" in last.tmux.called("announce")[-1][2]


async def test_an_orderly_end_is_no_crash(tmp_path: Path) -> None:
    async with corridor(tmp_path, RESUMING) as world:
        await world.adopt(session(SHELL))
        world.tmux.trouble["respawn"] = [TmuxUnknown("busy")] * 2
        world.kill_pane_process()
        await world.until(lambda: world.tmux.called("respawn"), "the first attempt")
        await world.quiet()
        for _ in range(5):
            assert await world.store.take_up(1, 1.0) == 1
            assert await world.store.lay_down(2.0) == (1,)
        world.crash()
    async with corridor(tmp_path, RESUMING, tmux=world.tmux) as later:
        row = await ended(later)
        assert (row.state, row.resumed) == ("verified", 1)


def alert(status: str = "firing", fingerprint: str = "f") -> AlertIntake:
    return AlertIntake(fingerprint, "2026-01-01T00:00:00Z", status, {"session": "web"}, "web")


@asynccontextmanager
async def asked_by_alert(folder: Path, *trouble: str) -> AsyncIterator[Corridor]:
    """A recovery that an alert has begun, and that waits for another attempt at the step of this name."""
    async with corridor(folder, RESUMING) as world:
        await world.adopt(session(SHELL), session(pane(9), name="keep", identity="$9"))
        del world.tmux.sessions["web"]
        world.watch.signal(SignalKind.TICK)
        await world.until(lambda: "web" not in world.ward.expected, "closed by a person")
        world.tmux.trouble = {name: [TmuxUnknown("busy")] for name in trouble}
        await world.desk.accept_alerts([alert()])
        await world.until(lambda: all(map(world.tmux.called, trouble)), "the first attempt")
        await world.quiet()
        yield world


async def test_a_resolved_alert_stops_what_it_alone_has_asked_for(tmp_path: Path) -> None:
    async with asked_by_alert(tmp_path, "rebuild") as world:
        await world.desk.accept_alerts([alert("resolved")])
        row = await ended(world)
        assert (row.state, row.transaction_outcome) == ("stopped", "compensated")
        assert "resolved (f)" in row.stopped
        assert row.stopped in row.verdict
        assert world.tmux.effects == []
        assert await world.store.open_incidents() == ()
        (stopped,) = await world.store.audit_rows(10, action=Action.RECOVERY_STOPPED)
        assert stopped.reason == row.stopped


async def test_what_has_no_way_back_is_finished_when_the_alert_is_resolved(tmp_path: Path) -> None:
    async with asked_by_alert(tmp_path, "enter") as world:
        await world.desk.accept_alerts([alert("resolved")])
        row = await ended(world)
        assert (row.state, row.transaction_outcome) == ("verified", "committed")
        assert world.tmux.effects == [("rebuild", "web"), TYPED]


async def test_what_a_person_wants_too_is_not_stopped(tmp_path: Path) -> None:
    async with asked_by_alert(tmp_path, "rebuild") as world:
        answer = await world.desk.request(RecoverRequest("web"))
        assert isinstance(answer, Ticket)
        await world.desk.accept_alerts([alert("resolved")])
        row = await ended(world)
        assert (row.state, row.stopped) == ("verified", "")


async def test_what_another_alert_wants_too_is_stopped_with_the_last_of_them(tmp_path: Path) -> None:
    async with asked_by_alert(tmp_path, "rebuild") as world:
        await world.desk.accept_alerts([alert(fingerprint="g")])
        await world.quiet()
        await world.desk.accept_alerts([alert("resolved")])
        assert world.ward.cases["web"].stop == ""
        await world.desk.accept_alerts([alert("resolved", "g")])
        assert (await ended(world)).state == "stopped"


async def test_a_stop_outlives_the_sidecar(tmp_path: Path) -> None:
    async with asked_by_alert(tmp_path, "rebuild") as world:
        await world.desk.accept_alerts([alert("resolved")])
        await world.quiet()
        world.crash()
    async with corridor(tmp_path, RESUMING, tmux=world.tmux) as later:
        assert (await ended(later)).state == "stopped"
        assert later.tmux.effects == []


async def test_what_an_alert_asked_for_before_a_crash_is_stopped_when_it_is_resolved_after(
    tmp_path: Path,
) -> None:
    async with asked_by_alert(tmp_path, "rebuild") as world:
        world.crash()
    world.tmux.trouble["rebuild"] = [TmuxUnknown("busy")]
    async with corridor(tmp_path, RESUMING, tmux=world.tmux) as later:
        await later.pass_time(1.0)
        later.tmux.trouble["rebuild"] = [TmuxUnknown("busy")] * 9
        await later.desk.accept_alerts([alert("resolved")])
        row = await ended(later)
        assert row.state in ("stopped", "verified")


@pytest.mark.parametrize("jump", [-HOUR, HOUR])
async def test_a_clock_that_jumps_by_an_hour_neither_prolongs_a_wait_nor_acts_twice(
    tmp_path: Path, jump: float
) -> None:
    async with corridor(tmp_path, RESUMING) as world:
        await world.adopt(session(SHELL))
        world.tmux.trouble["respawn"] = [TmuxUnknown("busy")] * 2
        world.kill_pane_process()
        await world.until(lambda: world.tmux.called("respawn"), "the first attempt")
        await world.quiet()
        world.clock.wall_ahead += jump
        before = world.clock.now
        row = await ended(world)
        assert row.state == "verified"
        assert world.clock.now - before < 5.0
        assert world.tmux.effects == [("respawn", "%1"), TYPED]


@pytest.mark.parametrize("write", ["step_begun", "step_ended"])
async def test_a_book_that_becomes_read_only_holds_the_plan_up_and_doubles_nothing(
    tmp_path: Path, write: str
) -> None:
    async with corridor(tmp_path, RESUMING) as world:
        await world.adopt(session(SHELL))
        book = world.store._connection
        calls = before_each(
            world.store,
            write,
            {
                2: lambda: book.execute("PRAGMA query_only = ON"),
                7: lambda: book.execute("PRAGMA query_only = OFF"),
            },
        )
        world.kill_pane_process()
        row = await ended(world)
        assert (row.state, row.transaction_outcome) == ("verified", "committed")
        assert len(calls) > 7
        assert world.tmux.effects == [("respawn", "%1"), TYPED]


async def test_a_step_that_hangs_is_cut_off(tmp_path: Path) -> None:
    async with corridor(tmp_path, RESUMING) as world:
        await world.adopt(session(SHELL))
        before_each(world.tmux, "respawn", {1: asyncio.Future})
        world.kill_pane_process()
        await world.pass_time(290.0)
        assert [row.state for row in await world.recoveries()] == ["running"]
        await world.pass_time(15.0)
        first, *later = await world.recoveries()
        assert (first.state, "did not end within 300 s" in first.verdict) == ("failed", True)
        assert [row.state for row in later] == ["verified"]


async def test_a_fault_in_a_step_is_a_failure_of_the_plan(tmp_path: Path) -> None:
    async with corridor(tmp_path, RESUMING) as world:
        await world.adopt(session(SHELL))
        before_each(world.tmux, "respawn", {1: lambda: 1 // 0})
        world.kill_pane_process()
        row = await ended(world)
        assert (row.state, "ZeroDivisionError" in row.verdict) == ("failed", True)


async def test_a_fault_in_the_pipeline_is_taken_up_without_giving_the_lease_away(tmp_path: Path) -> None:
    async with corridor(tmp_path, RESUMING) as world:
        await world.adopt(session(SHELL))
        before_each(world.store, "end_recovery", {1: lambda: 1 // 0})
        world.kill_pane_process()
        row = await ended(world)
        assert (row.state, row.resumed, len(await world.recoveries())) == ("verified", 1, 1)
        assert world.tmux.effects == [("respawn", "%1"), TYPED]
        world.faults.clear()


def tamper(folder: Path, plan: str) -> None:
    path = folder / "state" / "sidecar.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE recoveries SET plan = ?", (plan,))


@pytest.mark.parametrize(
    "plan", ["", "{}", '{"version": "mandate-99"}', '{"version": "mandate-1"}', "[" * 9999]
)
@pytest.mark.parametrize("at", [3, 4])
async def test_a_plan_that_cannot_be_read_any_more_is_taken_back_and_decided_anew(
    tmp_path: Path, plan: str, at: int
) -> None:
    death = Death(at, after=False)
    async with corridor(tmp_path, RESUMING) as world:
        await world.adopt(session(SHELL))
        death.lurk(world)
        await kill_server(world)
        await world.until(lambda: death.happened, "its end")
    tamper(tmp_path, plan)
    async with corridor(tmp_path, RESUMING, tmux=world.tmux) as later:
        await ended(later)
        first = (await later.recoveries())[0]
        assert first.state in ("compensated", "failed")
        assert first.transaction_outcome in ("compensated", "committed")
        assert "cannot be read" in first.verdict
        await later.pass_time(5.0)
        assert list(later.tmux.sessions) == ["web"]


async def test_a_replacement_whose_plan_is_lost_is_taken_back_by_the_row_alone(tmp_path: Path) -> None:
    death = Death(3, after=False)
    async with corridor(tmp_path, RESUMING) as world:
        await world.adopt(session(SHELL))
        death.lurk(world)
        await ask_to_replace(world)
        await world.until(lambda: death.happened, "its end")
    tamper(tmp_path, "")
    async with corridor(tmp_path, RESUMING, tmux=world.tmux) as later:
        row = await ended(later)
        assert told(row)[-1] == (StepKind.REPLACE_SESSION, "undo", 1, "done")
        assert row.state == "compensated"
        assert list(later.tmux.sessions) == ["web"]


@pytest.mark.parametrize("jump", [-3_600.0, -400 * 86_400.0])
async def test_a_clock_that_is_set_back_while_no_sidecar_runs_makes_no_negative_times(
    tmp_path: Path, jump: float
) -> None:
    async with corridor(tmp_path, RESUMING) as world:
        await world.adopt(session(SHELL))
        world.tmux.trouble["enter"] = [TmuxUnknown("no answer")]
        world.kill_program()
        await world.until(lambda: world.tmux.called("enter"), "the first attempt")
        await world.quiet()
        world.crash()
    world.clock.wall_ahead += jump
    async with corridor(tmp_path, RESUMING, tmux=world.tmux) as later:
        await later.pass_time(30.0)
        (row,) = await later.recoveries()
        assert row.state == "verified"
        assert row.time_to_recovery is not None
        assert row.duration is not None
        assert row.time_to_recovery >= 0.0
        assert row.duration >= 0.0
