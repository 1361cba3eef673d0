"""Alerts: accepted once, worked off, never lost. People: not bound by what the watcher is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from sidecar.config import RecoverySettings, Settings
from sidecar.errors import Permanent, StoreUnavailable
from sidecar.model.incident import Asker
from sidecar.model.plan import RefusalReason
from sidecar.model.policy import Mode
from sidecar.model.record import Action, AlertIntake, SkipReason
from sidecar.model.session import Presence
from sidecar.model.status import RecoverRequest, Ticket
from tests.decide.builders import session
from tests.flow.corridor import Corridor, corridor


def alert(name: str = "web", fingerprint: str = "f") -> AlertIntake:
    return AlertIntake(fingerprint, "2026-01-01T00:00:00Z", "firing", {"session": name}, name)


async def settled(world: Corridor) -> bool:
    return await world.store.pending_alerts() == ()


async def test_an_alert_that_was_committed_after_its_sender_was_sent_away_is_taken_up_when_sent_again(
    tmp_path: Path,
) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        accept = world.store.accept_alerts

        async def too_late(alerts: Sequence[AlertIntake], now: float) -> Any:
            await accept(alerts, now)
            raise StoreUnavailable("the database did not answer within 10 s")

        world.store.accept_alerts = too_late  # type: ignore[method-assign]
        with pytest.raises(StoreUnavailable):
            await world.desk.accept_alerts([alert()])
        world.store.accept_alerts = accept  # type: ignore[method-assign]
        (receipt,) = await world.desk.accept_alerts([alert()])
        assert receipt.skip is SkipReason.DUPLICATE
        await world.quiet()
        assert await settled(world)
        assert world.desk.pending_alerts == 0


async def test_an_alert_for_a_session_that_nobody_knows_is_settled_and_counted(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        await world.desk.accept_alerts([alert("nobody")])
        await world.pass_time(1.0)
        assert await settled(world)
        page = world.meter.render("")[0].decode()
        assert 'sidecar_alerts_skipped_total{reason="unknown_session"} 1.0' in page


async def test_an_alert_waits_for_a_server_that_does_not_answer(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        world.tmux.presence = Presence.UNKNOWN
        await world.desk.accept_alerts([alert()])
        await world.pass_time(20.0)
        assert (await settled(world), world.desk.pending_alerts) == (False, 1)
        # Sent again meanwhile, it is still one.
        await world.desk.accept_alerts([alert()])
        assert world.desk.pending_alerts == 1
        world.tmux.presence = Presence.PRESENT
        await world.pass_time(6.0)
        assert await settled(world)


async def test_an_alert_survives_an_error_that_is_not_temporary(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        settle, left = world.store.settle_alerts, 1

        async def broken(*facts: Any) -> None:
            nonlocal left
            left -= 1
            if left >= 0:
                raise Permanent("a fault")
            await settle(*facts)

        world.store.settle_alerts = broken  # type: ignore[method-assign]
        await world.desk.accept_alerts([alert()])
        await world.quiet()
        assert world.desk.pending_alerts == 1
        await world.pass_time(6.0)
        assert await settled(world)


async def test_alerts_of_an_earlier_run_are_taken_up(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.store.accept_alerts([alert("nobody")], 1.0)
        await world.desk.take_up_pending()
        await world.quiet()
        assert await settled(world)


async def test_an_alert_is_not_settled_while_the_service_stops(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        world.ward.draining = True
        await world.desk.accept_alerts([alert()])
        await world.pass_time(6.0)
        assert not await settled(world)


async def test_a_person_who_asks_while_the_watcher_decides_is_not_bound_by_its_answer(tmp_path: Path) -> None:
    observing = Settings(recovery=RecoverySettings(mode=Mode.OBSERVE))
    async with corridor(tmp_path, observing) as world:
        await world.adopt(session())
        refuse, deciding = world.store.refuse, asyncio.Event()

        async def slowly(*facts: Any) -> None:
            deciding.set()
            await world.clock.sleep(1.0)
            await refuse(*facts)

        world.store.refuse = slowly  # type: ignore[method-assign]
        world.kill_pane_process()
        await deciding.wait()
        asked = asyncio.ensure_future(world.desk.request(RecoverRequest("web")))
        await world.pass_time(2.0)
        answer = await asked
        assert isinstance(answer, Ticket)
        assert (await world.recovered()).asker is Asker.OPERATOR
        [refused] = world.log.of(Action.REFUSED)
        assert refused["reason"] == RefusalReason.OBSERVE_MODE


async def test_a_person_who_asks_while_a_failure_is_told_gets_a_recovery_of_their_own(tmp_path: Path) -> None:
    async with corridor(tmp_path) as world:
        await world.adopt(session())
        world.tmux.stillborn = True
        announce, telling = world.tmux.announce, asyncio.Event()

        async def slowly(*words: Any) -> bool:
            telling.set()
            await world.clock.sleep(1.0)
            return await announce(*words)

        world.tmux.announce = slowly  # type: ignore[method-assign]
        world.kill_pane_process()
        await world.pass_time(1.5)
        assert telling.is_set()
        world.tmux.stillborn = False
        asked = asyncio.ensure_future(world.desk.request(RecoverRequest("web")))
        await world.pass_time(2.0)
        answer = await asked
        assert isinstance(answer, Ticket)
        assert answer.recovery.id == 2
        assert [row.state for row in await world.recoveries()] == ["failed", "verified"]
