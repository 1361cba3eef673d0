"""People are told once, whatever happens to the channel, the book or the sidecar meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from sidecar.config import NotifySettings, Settings
from sidecar.errors import Permanent, StoreUnavailable, Temporary
from sidecar.flow import notify
from sidecar.model.notice import Channel, Matter, Notice, Pacing, UnknownChannel, Webhook
from sidecar.model.policy import Budget
from sidecar.model.quiet import SilenceRequest
from sidecar.model.record import Action
from tests.decide.builders import session
from tests.flow.corridor import Corridor, corridor

OPS = Channel("ops", Webhook("http://127.0.0.1/ops"))
DEV = Channel("dev", Webhook("http://127.0.0.1/dev"))


@asynccontextmanager
async def telling(folder: Path, *channels: Channel) -> AsyncIterator[Corridor]:
    settings = Settings(notify=NotifySettings(channels=channels))
    async with corridor(folder, settings) as world:
        task = asyncio.create_task(world.notices.run())
        try:
            yield world
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def notice(world: Corridor, text: str = "help", matter: Matter = Matter.GIVEN_UP) -> Notice:
    return Notice(matter, "web", text, world.clock.wall())


def told(world: Corridor, channel: str = "ops") -> list[str]:
    return [message.body for name, message in world.mail.taken if name == channel]


def failed(world: Corridor) -> float:
    page = world.meter.render("")[0].decode()
    series = 'sidecar_notifications_total{channel="webhook",outcome="failed"} '
    return float(next(line for line in page.splitlines() if line.startswith(series)).split()[-1])


async def test_a_recovery_is_told_with_what_was_done(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS) as world:
        await world.adopt(session())
        world.kill_pane_process()
        await world.recovered()
        await world.until(lambda: told(world))
        assert told(world) == ["web is back by respawn_pane: verified, 0 tolerated differences"]
        [(_, message)] = world.mail.taken
        [row] = await world.recoveries()
        assert message.notices[0].trace == row.trace


async def test_a_channel_hears_only_of_what_it_wants(tmp_path: Path) -> None:
    quiet = Channel("ops", OPS.target, Pacing(matters=frozenset({Matter.STUCK})))
    async with telling(tmp_path, quiet, DEV) as world:
        await world.notices.take(notice(world))
        await world.until(lambda: told(world, "dev"))
        assert told(world) == []


async def test_one_channel_that_fails_holds_up_no_other_and_is_tried_again(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS, DEV) as world:
        world.mail.trouble["ops"] = [Temporary("down")] * 3
        await world.notices.take(notice(world))
        await world.until(lambda: told(world, "dev"))
        assert told(world) == []
        await world.pass_time(60.0)
        assert told(world) == ["help"]
        assert len(world.log.of(Action.NOTIFY_FAILED)) == 3


async def test_what_is_refused_is_not_sent_again(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS) as world:
        world.mail.trouble["ops"] = [Permanent("no such room")]
        await world.notices.take(notice(world, "first"))
        await world.until(lambda: failed(world) == 1.0)
        await world.notices.take(notice(world, "second"))
        await world.until(lambda: told(world))
        await world.pass_time(600.0)
        assert told(world) == ["second"]


async def test_nobody_is_told_the_news_of_yesterday(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "_REST", 3600.0)
    async with telling(tmp_path, OPS) as world:
        world.mail.trouble["ops"] = [Temporary("down")] * 10_000
        # With a look every five seconds it would be a long day.
        for task in world.tasks:
            task.cancel()
        await world.notices.take(notice(world))
        await world.pass_time(87_000.0)
        assert failed(world) == 1.0
        assert await world.store.queued_notices("ops") == ()


async def test_a_rate_makes_one_message_of_many(tmp_path: Path) -> None:
    slow = Channel("ops", OPS.target, Pacing(rate=Budget(1, 60.0)))
    async with telling(tmp_path, slow) as world:
        await world.notices.take(notice(world, "one"))
        await world.until(lambda: told(world))
        for text in ("two", "three"):
            await world.notices.take(notice(world, text))
        await world.pass_time(30.0)
        assert told(world) == ["one"]
        await world.pass_time(60.0)
        assert told(world) == ["one", "two\nthree"]


async def test_what_was_queued_is_told_after_a_restart(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS) as world:
        world.mail.trouble["ops"] = [Temporary("down")]
        await world.notices.take(notice(world))
        await world.until(lambda: world.log.of(Action.NOTIFY_FAILED))
        await world.quiet()
    async with telling(tmp_path, OPS) as world:
        world.clock.now += 10.0
        await world.until(lambda: told(world))
        assert told(world) == ["help"]


async def test_a_full_book_does_not_keep_people_in_the_dark(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS, DEV) as world:

        async def full(*anything: object) -> int:
            raise StoreUnavailable("the disk is full")

        world.store.queue_notice = full  # type: ignore[method-assign]
        await world.notices.take(notice(world))
        assert (told(world), told(world, "dev")) == (["help"], ["help"])


async def test_a_channel_that_is_gone_from_the_settings_is_let_go(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS) as world:
        await world.notices.take(notice(world, "one"))
        await world.until(lambda: told(world))
        world.ward.settings = Settings(notify=NotifySettings(channels=(DEV,)))
        await world.pass_time(6.0)
        await world.notices.take(notice(world, "two"))
        await world.until(lambda: told(world, "dev"))
        assert told(world) == ["one"]


async def test_a_test_goes_through_every_channel_whatever_is_quiet(tmp_path: Path) -> None:
    shy = Channel("shy", DEV.target, Pacing(matters=frozenset({Matter.STUCK}), rate=Budget(1, 600.0)))
    async with telling(tmp_path, OPS, shy) as world:
        await world.quieter.silence(SilenceRequest("*", 600.0))
        world.mail.trouble["ops"] = [Temporary("down", hint="wait")]
        found = await world.person.test(None)
        assert isinstance(found, tuple)
        assert [(one.channel, one.outcome, one.error, one.hint) for one in found] == [
            ("tmux", "delivered", "", ""),
            ("ops", "failed", "down", "wait"),
            ("shy", "delivered", "", ""),
        ]
        assert told(world, "shy") == ["This is a test from box."]
        [row] = await world.store.audit_rows(10, action=Action.NOTIFIED)
        assert (row.reason, row.detail["channels"][1]) == ("test", ["ops", "failed"])


async def test_one_channel_is_tested_and_one_that_hangs_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with telling(tmp_path, OPS, DEV) as world:
        [one] = await world.person.test("dev")
        assert (one.channel, one.outcome) == ("dev", "delivered")
        assert told(world) == []
        assert await world.person.test("oops") == UnknownChannel("oops", ("tmux", "ops", "dev"))

        async def never(*anything: object) -> None:
            await asyncio.Event().wait()

        world.mail.deliver = never  # type: ignore[method-assign]
        monkeypatch.setattr(notify, "_TEST_SECONDS", 0.05)
        [one] = await world.person.test("ops")
        assert (one.outcome, one.error) == ("failed", "no answer within 0.05 s")


async def test_nobody_in_tmux_and_no_channel_at_all(tmp_path: Path) -> None:
    async with telling(tmp_path) as world:

        async def nobody(session: str, text: str) -> bool:
            return False

        world.tmux.announce = nobody  # type: ignore[method-assign]
        [one] = await world.person.test("tmux")
        assert (one.outcome, one.hint) == ("nobody_there", "A client has to be attached to the tmux server.")
        world.ward.settings = Settings(notify=NotifySettings(tmux=False))
        assert await world.person.test(None) == ()
