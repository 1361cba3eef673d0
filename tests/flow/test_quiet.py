"""What is kept quiet is told late and once, is healed all the same, and with a hold is left alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sidecar.config import NotifySettings, Settings
from sidecar.errors import StoreUnavailable
from sidecar.model.check import Check, CheckRow
from sidecar.model.heal import RestartHeal
from sidecar.model.incident import Asker, FailureKind
from sidecar.model.notice import Alertmanager, Channel, Matter, Webhook
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.probe import TcpProbe
from sidecar.model.quiet import Silence, SilenceRequest, UnknownTarget, Window
from sidecar.model.record import Action
from sidecar.model.status import RecoverRequest, Ticket
from tests.decide.builders import pane, session
from tests.flow.corridor import Corridor, corridor
from tests.flow.test_checks import COMMAND, GOOD, HTTP, REFUSED, WEB, api
from tests.flow.test_checks import world as checked
from tests.flow.test_desk import alert
from tests.flow.test_notices import telling, told

OPS = Channel("ops", Webhook("http://127.0.0.1/ops"))
PAGER = Channel("pager", Alertmanager("http://127.0.0.1:9093"))
HOUR = 3_600.0


async def hush(world: Corridor, target: str = "web", seconds: float = HOUR, *, hold: bool = False) -> Silence:
    answer = await world.quieter.silence(SilenceRequest(target, seconds, hold, "work"))
    assert isinstance(answer, Silence), answer
    return answer


async def say(world: Corridor, matter: Matter = Matter.GIVEN_UP, name: str = "web", **more: str) -> None:
    await world.person.tell(matter, name, f"{name} {matter}", **more)


def announced(world: Corridor) -> list[str]:
    return [call[2] for call in world.tmux.called("announce")]


async def audited(world: Corridor, action: Action) -> list[dict[str, Any]]:
    rows = await world.store.audit_rows(100, action=action)
    return [{"session": row.session, "actor": row.actor, "reason": row.reason, **row.detail} for row in rows]


async def test_nobody_is_told_and_it_is_healed_all_the_same(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS, PAGER) as world:
        await world.adopt(session())
        await hush(world, seconds=60.0)
        world.kill_pane_process()
        await world.recovered()
        await world.until(lambda: told(world, "pager"))
        assert (told(world), announced(world)) == ([], [])
        [line] = world.log.of(Action.NOTICE_WITHHELD)
        assert (line["session"], line["by"]) == ("web", "silence 1")
        # An alert that fired before the silence is over with this.
        assert len(told(world, "pager")) == 1
        await world.pass_time(80.0)
        assert (told(world), announced(world)) == ([], [])
        assert await world.store.quiet.withheld() == ()
        page = world.meter.render("")[0].decode()
        assert 'sidecar_notifications_total{channel="webhook",outcome="silenced"} 1.0' in page
        assert 'sidecar_notifications_total{channel="tmux",outcome="silenced"} 1.0' in page


async def test_what_is_still_wrong_is_told_as_one_when_it_ends(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS) as world:
        await world.adopt(session(), session(pane(2), name="api", identity="$2"))
        await hush(world, "*", 60.0)
        world.ward.set_back("web", world.clock.now + 10_000.0)
        await say(world)
        await say(world, Matter.RECOVERY_FAILED)
        await say(world, name="api")
        world.ward.checks = {name: CheckRow(name, True, 0, 0.0) for name in ("disk", "load")}
        await say(world, Matter.CHECK_FAILED, "", check="disk")
        await say(world, Matter.CHECK_FAILED, "check:load")
        await say(world, Matter.CHECK_RECOVERED, "check:load")
        await say(world, Matter.CHECK_FAILED, "check:gone")
        assert (told(world), announced(world)) == ([], [])
        await world.pass_time(61.0)
        [body] = told(world)
        first, second, third = body.splitlines()
        assert first.startswith("web given_up (since 20")
        assert first.endswith("+00:00; it was kept quiet)")
        assert second.startswith("web recovery_failed")
        # A subject without a name of a session is the check; what is whole again is not told.
        assert third.startswith(" check_failed")
        assert announced(world) == [
            "sidecar: still wrong after it was kept quiet: web, check:disk; `sidecar status`"
        ]
        assert await world.store.quiet.withheld() == ()
        [row] = await audited(world, Action.NOTICES_RELEASED)
        assert row["told"] == {"ops": 3}
        assert ["api", "given_up"] in row["over"]


async def test_one_thing_that_is_still_wrong_is_said_to_its_session(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS) as world:
        await world.adopt(session())
        silence = await hush(world)
        world.ward.set_back("web", world.clock.now + 10_000.0)
        await say(world)
        assert await world.quieter.end(silence.id) == silence
        await world.until(lambda: told(world))
        [call] = world.tmux.called("announce")
        assert (call[1], call[2].startswith("sidecar: web given_up (since ")) == ("web", True)


async def test_it_is_quiet_until_the_last_of_several_ends(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS) as world:
        await world.adopt(session())
        await hush(world, "web", 60.0)
        await hush(world, "w*", 120.0)
        world.ward.set_back("web", world.clock.now + 10_000.0)
        await say(world)
        await world.pass_time(61.0)
        assert told(world) == []
        await world.pass_time(60.0)
        assert len(told(world)) == 1
        ends = await audited(world, Action.SILENCE_ENDED)
        assert [(row["silence"], row["actor"], row["reason"]) for row in ends] == [
            (2, "sidecar", "it is over"), (1, "sidecar", "it is over"),
        ]  # fmt: skip
        assert len(world.log.of(Action.SILENCE_ENDED)) == 2


async def test_who_asked_and_why_is_on_record(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        silence = await hush(world, hold=True)
        [row] = await audited(world, Action.SILENCED)
        assert (row["session"], row["actor"], row["reason"], row["hold"]) == ("web", "operator", "work", True)
        assert row["until"] == silence.until == world.clock.wall() + HOUR
        await world.quieter.end(silence.id)
        assert await world.quieter.end(silence.id) is None
        [row] = await audited(world, Action.SILENCE_ENDED)
        assert (row["session"], row["actor"], row["reason"]) == ("web", "operator", "asked for")


async def test_it_survives_a_restart_and_ends_by_itself_meanwhile(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS) as world:
        await world.adopt(session())
        await hush(world, "web", 600.0)
        await hush(world, "api*", 10.0)
        await say(world)
    async with telling(tmp_path, OPS) as world:
        world.tmux.put(session())
        world.clock.now += 60.0
        await world.pass_time(20.0)
        assert [one.target for one in world.ward.silences.values()] == ["web"]
        assert told(world) == []
        # The session that it was about has never been seen in this run.
        assert "web given_up" not in announced(world)
        [row] = await audited(world, Action.SILENCE_ENDED)
        assert (row["session"], row["reason"]) == ("api*", "it is over")


async def test_a_hold_keeps_the_sidecar_off_until_it_ends(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        await hush(world, seconds=60.0, hold=True)
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED))
        [line] = world.log.of(Action.REFUSED)
        assert (line["reason"], line["sentence"]) == ("maintenance", "web is held by silence 1: work")
        await world.pass_time(50.0)
        assert await world.recoveries() == []
        assert len(world.log.of(Action.REFUSED)) == 1
        await world.pass_time(15.0)
        row = await world.recovered()
        assert row.asker is Asker.WATCHER


async def test_ending_a_hold_by_hand_heals_at_once(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        silence = await hush(world, hold=True)
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED))
        await world.quieter.end(silence.id)
        await world.recovered()


async def test_a_person_passes_a_hold_and_an_alert_does_not(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        await hush(world, hold=True)
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED))
        asked = RecoverRequest("web", FailureKind.CRASHED)
        dry = await world.desk.request(replace(asked, dry_run=True))
        assert not isinstance(dry, Refusal)
        assert isinstance(await world.desk.request(asked), Ticket)
        await world.recovered()


async def test_an_alert_waits_for_the_end_of_a_hold(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        silence = await hush(world, hold=True)
        world.kill_pane_process()
        await world.quiet()
        await world.desk.accept_alerts([alert(), replace(alert(), fingerprint="other")])
        await world.pass_time(60.0)
        assert world.desk.pending_alerts == 2
        assert [line["reason"] for line in world.log.of(Action.REFUSED)] == ["maintenance"] * 2
        await world.desk.accept_alerts([replace(alert(), fingerprint="other", status="resolved")])
        await world.pass_time(6.0)
        assert world.desk.pending_alerts == 1
        await world.quieter.end(silence.id)
        await world.pass_time(6.0)
        assert world.desk.pending_alerts == 0
        await world.recovered()


async def test_a_window_is_quiet_and_is_on_record(tmp_path: Path) -> None:
    nightly = Window(
        "nightly", ("we*",), start=1_700_001_020.0, end=1_700_001_060.0, hold=True, reason="backup"
    )
    settings = Settings(quiet=(nightly,), notify=NotifySettings(channels=(OPS,)))
    async with corridor(tmp_path, settings) as world:
        await world.adopt(session())
        assert world.clock.wall() == 1_700_001_000.0
        assert world.quieter.listed() == ()
        await world.pass_time(40.0)
        assert [str(one) for one in world.quieter.listed()] == ["window nightly"]
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED))
        await world.pass_time(40.0)
        await world.recovered()
        for action in (Action.WINDOW_OPENED, Action.WINDOW_CLOSED):
            [row] = await audited(world, action)
            assert (row["window"], row["reason"]) == ("nightly", "backup")
            assert len(world.log.of(action)) == 1


async def test_a_window_that_is_taken_out_of_the_settings_ends(tmp_path: Path) -> None:
    always = Window("always", begins=0, ends=24 * 60, hold=True)
    async with corridor(tmp_path, Settings(quiet=(always,))) as world:
        await world.adopt(session())
        world.kill_pane_process()
        await world.until(lambda: world.log.of(Action.REFUSED))
        world.ward.settings = Settings()
        world.quieter.look_again()
        await world.recovered()


@pytest.mark.parametrize(
    ("target", "near"),
    [("wbe", ("web",)), ("check:dsk", ("check:disk",)), ("check:web", ("check:disk",)), ("", ())],
)
async def test_what_nobody_knows_cannot_be_silenced(
    tmp_path: Path, target: str, near: tuple[str, ...]
) -> None:
    settings = Settings(checks=(Check("disk", TcpProbe("127.0.0.1", 1)),))
    async with corridor(tmp_path, settings) as world:
        await world.adopt(session())
        assert await world.quieter.silence(SilenceRequest(target, HOUR)) == UnknownTarget(target, near)
        assert world.ward.silences == {}


async def test_what_is_known_or_a_glob_can_be_silenced(tmp_path: Path) -> None:
    settings = Settings(checks=(Check("disk", TcpProbe("127.0.0.1", 1)),))
    async with corridor(tmp_path, settings) as world:
        await world.adopt(session())
        for target in ("web", "check:disk", "nobody-*", "*"):
            await hush(world, target)
        world.tmux.die()
        await world.pass_time(10.0)
        await hush(world, "web")


async def test_a_service_that_ends_takes_no_silence(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        world.ward.draining = True
        answer = await world.quieter.silence(SilenceRequest("*", HOUR))
        assert isinstance(answer, Refusal)
        assert answer.reason is RefusalReason.DRAINING


async def test_a_book_that_takes_nothing_makes_no_noise_and_loses_no_silence(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS) as world:
        await world.adopt(session())
        await hush(world, seconds=60.0)
        world.ward.set_back("web", world.clock.now + 10_000.0)
        await say(world)
        release = world.store.quiet.release

        async def full(*anything: object) -> None:
            raise StoreUnavailable("the disk is full")

        world.store.quiet.release = full  # type: ignore[method-assign]
        await world.pass_time(80.0)
        assert told(world) == []
        world.store.quiet.release = release  # type: ignore[method-assign]
        await world.pass_time(10.0)
        assert len(told(world)) == 1
        world.store.quiet.withhold = full  # type: ignore[method-assign]
        await hush(world)
        await say(world)
        assert world.log.of(Action.NOTIFY_FAILED)[-1]["error"] == "the disk is full"
        assert len(told(world)) == 1


async def test_a_clock_that_is_set_back_makes_no_silence_longer(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        await hush(world, seconds=600.0)
        world.clock.wall_ahead -= 300.0
        await world.pass_time(60.0)
        [one] = world.quieter.listed()
        assert one.until - world.clock.wall() <= 600.0
        world.clock.wall_ahead -= 100_000.0
        await world.pass_time(20.0)
        assert world.quieter.listed() == ()
        assert world.ward.silences == {}


@pytest.mark.parametrize("target", ["check:api", "check:*", "web"])
async def test_a_check_is_held_also_where_it_is_about_a_session(tmp_path: Path, target: str) -> None:
    async with checked(tmp_path, api(RestartHeal(WEB))) as here:
        world = here.corridor
        silence = await hush(world, target, hold=True)
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(40.0)
        assert [line["reason"] for line in world.log.of(Action.REFUSED)] == ["maintenance"]
        assert world.tmux.effects == []
        here.programs.on_end = lambda: here.answers.always.update({HTTP: GOOD})
        await world.quieter.end(silence.id)
        await here.pass_time(5.0)
        await world.recovered()
        assert len(announced(world)) == 1


async def test_a_check_that_is_given_up_in_a_silence_is_told_with_its_name(tmp_path: Path) -> None:
    async with checked(tmp_path, api(COMMAND, tries=1)) as here:
        world = here.corridor
        await hush(world, "check:api", 600.0)
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(300.0)
        assert announced(world) == []
        withheld = {(one.session, one.check, one.matter) for one in await world.store.quiet.withheld()}
        assert ("", "api", Matter.HEAL_GIVEN_UP) in withheld
        await here.pass_time(320.0)
        [said] = announced(world)
        assert said.startswith("sidecar: still wrong after it was kept quiet: check:api")


async def test_a_check_that_passes_again_in_a_silence_is_not_told(tmp_path: Path) -> None:
    async with checked(tmp_path, api(COMMAND, tries=1)) as here:
        world = here.corridor
        silence = await hush(world, "*")
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(300.0)
        here.answers.always[HTTP] = GOOD
        await here.pass_time(60.0)
        assert await world.store.quiet.withheld() == ()
        await world.quieter.end(silence.id)
        await here.pass_time(20.0)
        assert announced(world) == []
