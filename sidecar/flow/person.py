"""Calling a person: in tmux at once, and through every channel that wants to hear of the matter.

Nobody is called of what is kept quiet. It is withheld, and told once that is over, if it is still so.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from sidecar.clock import Clock
from sidecar.decide.matchers import shown, silencing
from sidecar.decide.quiet import covering
from sidecar.errors import SidecarError
from sidecar.flow.notify import Notices
from sidecar.flow.picture import health_of
from sidecar.flow.ports import Book, Logbook, Meter, QuietBook, Tmux
from sidecar.flow.ward import Ward
from sidecar.model.check import SUBJECT
from sidecar.model.notice import (
    GOOD_NEWS,
    ChannelKind,
    Delivery,
    Matter,
    Notice,
    Trial,
    UnknownChannel,
    labels_of_alerts,
)
from sidecar.model.quiet import Hush
from sidecar.model.record import Action
from sidecar.model.session import Health

_WELL = frozenset({Health.HEALTHY, Health.RELEASED})
_NAMED = 5
"""Subjects that are named in a message in tmux, which is one line."""


class Person:
    """Whoever looks after the sessions. A call never fails."""

    def __init__(
        self,
        ward: Ward,
        tmux: Tmux,
        book: Book,
        quiet: QuietBook,
        notices: Notices,
        clock: Clock,
        meter: Meter,
        log: Logbook,
    ) -> None:
        self._ward = ward
        self._tmux = tmux
        self._book = book
        self._quiet = quiet
        self._notices = notices
        self._clock = clock
        self._meter = meter
        self._log = log

    async def tell(self, matter: Matter, session: str, text: str, trace: str = "", check: str = "") -> None:
        """Say it about this session, or this health check; without either it is about the tmux server."""
        if session.startswith(SUBJECT):
            session, check = "", session.removeprefix(SUBJECT)
        notice = Notice(matter, session, text, self._clock.wall(), trace, check)
        hush = self._hush(notice)
        if hush is not None:
            await self._withhold(notice, hush)
            return
        await self._announce(session, text, good=matter in GOOD_NEWS)
        await self._notices.take(notice)

    async def test(self, name: str | None) -> tuple[Trial, ...] | UnknownChannel:
        """Send a message through every channel, or through this one, whatever is quiet."""
        settings = self._ward.settings.notify
        known = {channel.name: channel for channel in settings.channels}
        tmux = (ChannelKind.TMUX.value,) if settings.tmux else ()
        if name is not None and name not in (*tmux, *known):
            return UnknownChannel(name, (*tmux, *known))
        trials = [self._test_tmux()] if tmux and name in (None, *tmux) else []
        trials += [self._notices.test(channel) for each, channel in known.items() if name in (None, each)]
        found = tuple(await asyncio.gather(*trials))
        told = [[one.channel, one.outcome] for one in found]
        with contextlib.suppress(SidecarError):
            await self._book.audit(
                Action.NOTIFIED, self._clock.wall(), reason=Matter.TEST, detail={"channels": told}
            )
        return found

    async def _test_tmux(self) -> Trial:
        began = self._clock.monotonic()
        seen = await self._announce("", "This is a test.", good=True)
        outcome = Delivery.DELIVERED if seen else Delivery.NOBODY_THERE
        kind = ChannelKind.TMUX
        hint = "" if seen else "A client has to be attached to the tmux server."
        return Trial(kind, kind, outcome, self._clock.monotonic() - began, hint=hint)

    async def catch_up(self) -> None:
        """Tell as one what was withheld, is not kept quiet any more, and is still so.

        Raises:
            SidecarError: the book cannot say, or cannot take it; it is told another time.
        """
        over = [notice for notice in await self._quiet.withheld() if self._hush(notice) is None]
        if not over:
            return
        open_ones = {row.session for row in await self._book.open_incidents()}
        wrong = [self._late(notice) for notice in over if self._is_so(notice, open_ones)]
        channels = {
            channel.name: [notice for notice in wrong if notice.matter in channel.pacing.matters]
            for channel in self._ward.settings.notify.channels
        }
        await self._quiet.release(over, {name: some for name, some in channels.items() if some})
        self._log.say(Action.NOTICES_RELEASED, over=len(over), told=len(wrong))
        self._notices.hurry(channels)
        if wrong:
            await self._announce(*_in_one_line(wrong), good=False)

    def _hush(self, notice: Notice) -> Hush | None:
        now = self._clock.wall()
        ours = covering(self._ward.hushes(now), notice.session, notice.check)
        if ours is not None:
            return ours
        theirs = silencing(self._ward.foreign, labels_of_alerts(notice, self._notices.host), now)
        return shown(theirs) if theirs is not None else None

    async def _withhold(self, notice: Notice, hush: Hush) -> None:
        self._log.say(
            Action.NOTICE_WITHHELD,
            session=notice.session,
            check=notice.check,
            matter=notice.matter,
            text=notice.text,
            by=str(hush),
        )
        if self._ward.settings.notify.tmux:
            self._meter.notified(ChannelKind.TMUX, Delivery.SILENCED)
        try:
            await self._quiet.withhold(notice)
        except SidecarError as error:
            self._log.say(Action.NOTIFY_FAILED, level="warning", error=str(error), hint=error.hint)
        await self._notices.take(notice, hush)

    def _is_so(self, notice: Notice, open_ones: Collection[str]) -> bool:
        """Whether it is still as the notice says."""
        name = notice.session
        if notice.check:
            row = self._ward.checks.get(notice.check)
            return row is not None and row.failing
        if notice.matter is Matter.NOT_RESTORABLE:
            rehearsal = self._ward.rehearsals.get(name)
            return rehearsal is None or not rehearsal.restorable
        if name in open_ones or name in self._ward.cases or name in self._ward.setbacks:
            return True
        live = self._ward.look.find(name)
        return name in self._ward.expected and health_of(self._ward, name, live) not in _WELL

    def _late(self, notice: Notice) -> Notice:
        """As it is told now. It is news of now, so that a channel that is down is tried for as long."""
        since = datetime.fromtimestamp(notice.at, UTC).isoformat(" ", "seconds")
        return replace(
            notice, text=f"{notice.text} (since {since}; it was kept quiet)", at=self._clock.wall()
        )

    async def _announce(self, session: str, text: str, *, good: bool) -> bool:
        """Whether anybody has seen it."""
        if not self._ward.settings.notify.tmux:
            return False
        try:
            seen = await self._tmux.announce(session, f"sidecar: {text}")
        except SidecarError:
            seen = False
        self._meter.notified(ChannelKind.TMUX, Delivery.DELIVERED if seen else Delivery.NOBODY_THERE)
        level = "info" if good else "error"
        self._log.say(Action.NOTIFIED, level=level, session=session, text=text, seen=seen)
        return seen


def _in_one_line(wrong: Sequence[Notice]) -> tuple[str, str]:
    """To whom it is said in tmux, and what."""
    if len(wrong) == 1:
        return wrong[0].session, wrong[0].text
    sessions = {notice.session for notice in wrong}
    names = list(dict.fromkeys(notice.subject or "the tmux server" for notice in wrong))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    text = f"still wrong after it was kept quiet: {', '.join(names[:_NAMED])}{more}; `sidecar status`"
    return (sessions.pop() if len(sessions) == 1 else ""), text
