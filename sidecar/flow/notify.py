"""Telling people, whatever happens meanwhile: a queue in the book, and one messenger for each channel.

A notice is written down before anybody is told. A channel that hangs holds up neither a recovery nor
another channel, and what could not be delivered is tried again, also after a restart.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sidecar.clock import Clock, Dice
from sidecar.decide import notices
from sidecar.errors import Permanent, SidecarError, Temporary
from sidecar.flow.nap import ended, nap
from sidecar.flow.ports import Logbook, Mailbox, Messenger, Meter
from sidecar.flow.ward import Ward
from sidecar.model.notice import Channel, Delivery, Matter, Notice, QueuedNotice, Trial
from sidecar.model.quiet import Hush
from sidecar.model.record import Action

_TEST_SECONDS = 10.0
"""Less than the command line waits for its answer."""
_REST = 5.0
"""Seconds after a fault of our own, so that it does not come back at once."""


class Notices:
    """Takes notices, and sees to it that each channel gets them."""

    def __init__(
        self,
        ward: Ward,
        book: Mailbox,
        messenger: Messenger,
        clock: Clock,
        dice: Dice,
        meter: Meter,
        log: Logbook,
        host: str,
    ) -> None:
        """``host`` is the name that people know this machine by."""
        self._ward = ward
        self._book = book
        self._messenger = messenger
        self._clock = clock
        self._dice = dice
        self._meter = meter
        self._log = log
        self._host = host
        self._news: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        """Set for a channel when it has something new to say."""

    @property
    def host(self) -> str:
        """The name that people know this machine by."""
        return self._host

    async def take(self, notice: Notice, hush: Hush | None = None) -> None:
        """Write it down for every channel that wants to hear of its matter. Never fails.

        ``hush`` is what keeps it quiet, if anything does: few channels are told then.
        """
        wanted = [
            channel
            for channel in self._ward.settings.notify.channels
            if notice.matter in channel.pacing.matters
        ]
        if hush is not None:
            told = [channel for channel in wanted if notices.passes(channel, notice, hush)]
            for channel in wanted:
                if channel not in told:
                    self._meter.notified(channel.kind, Delivery.SILENCED)
            wanted = told
        if not wanted:
            return
        try:
            await self._book.queue_notice(notice, [channel.name for channel in wanted])
        except SidecarError as error:
            # Just when nothing can be written, somebody has to hear of it: told once, and not again.
            self._complain(wanted[0], str(error), error.hint)
            await asyncio.gather(*(self._tell_unwritten(channel, notice) for channel in wanted))
        self.hurry(channel.name for channel in wanted)

    async def test(self, channel: Channel) -> Trial:
        """Send a message through it now, past its queue and its pacing. Never fails."""
        notice = Notice(Matter.TEST, "", f"This is a test from {self._host}.", self._clock.wall())
        began = self._clock.monotonic()
        error = hint = ""
        try:
            async with asyncio.timeout(_TEST_SECONDS):
                await self._tell(channel, [QueuedNotice(0, channel.name, notice)])
        except TimeoutError:
            error, hint = f"no answer within {_TEST_SECONDS:g} s", "Is the server up, and the address right?"
        except SidecarError as fault:
            error, hint = str(fault), fault.hint
        outcome = Delivery.FAILED if error else Delivery.DELIVERED
        self._meter.notified(channel.kind, outcome)
        took = self._clock.monotonic() - began
        return Trial(channel.name, channel.kind, outcome, took, error, hint)

    def hurry(self, channels: Iterable[str]) -> None:
        """Something has been queued for these."""
        for channel in channels:
            self._news[channel].set()

    async def run(self) -> None:
        """Deliver, for ever; one task for each channel, as the settings have them."""
        running: dict[Channel, asyncio.Task[None]] = {}
        try:
            while True:
                wanted = self._ward.settings.notify.channels
                for channel in [one for one in running if one not in wanted or running[one].done()]:
                    await ended(running.pop(channel))
                for channel in wanted:
                    if channel not in running:
                        running[channel] = asyncio.create_task(self._serve(channel), name=channel.name)
                await self._clock.sleep(_REST)
        finally:
            for task in running.values():
                await ended(task)

    async def _serve(self, channel: Channel) -> None:
        while True:
            self._news[channel.name].clear()
            try:
                wait = await self._deliver_next(channel)
            except SidecarError as error:
                self._complain(channel, str(error), error.hint)
                wait = _REST
            if wait > 0:
                await nap(self._clock, self._news[channel.name], wait)

    async def _deliver_next(self, channel: Channel) -> float:
        """Deliver what is due as one message. Returns the seconds until it is worth looking again."""
        now = self._clock.wall()
        waiting = await self._book.queued_notices(channel.name)
        sent = await self._book.notices_sent_since(channel.name, now - channel.pacing.rate.period)
        batch = notices.pick(channel.pacing, waiting, sent, now)
        if isinstance(batch, notices.Wait):
            return batch.seconds
        try:
            await self._tell(channel, batch)
        except Temporary as error:
            await self._postpone(channel, batch, error)
        except Permanent as error:
            await self._settle(channel, batch, Delivery.FAILED, error)
        else:
            await self._settle(channel, batch, Delivery.DELIVERED)
        return 0.0

    async def _tell(self, channel: Channel, batch: Sequence[QueuedNotice]) -> None:
        times = {
            one.notice.at: datetime.fromtimestamp(one.notice.at, UTC).isoformat(" ", "seconds")
            for one in batch
        }
        await self._messenger.deliver(channel, notices.compose(channel, batch, self._host, times))

    async def _tell_unwritten(self, channel: Channel, notice: Notice) -> None:
        try:
            await self._tell(channel, [QueuedNotice(0, channel.name, notice)])
        except SidecarError as error:
            self._meter.notified(channel.kind, Delivery.FAILED)
            self._complain(channel, str(error), error.hint)
        else:
            self._meter.notified(channel.kind, Delivery.DELIVERED)

    async def _postpone(self, channel: Channel, batch: Sequence[QueuedNotice], error: Temporary) -> None:
        self._complain(channel, str(error), error.hint)
        now, die = self._clock.wall(), self._dice.roll()
        again: dict[float, list[QueuedNotice]] = {}
        for one in batch:
            due = notices.next_attempt(one, now, die, error.delay or 0.0)
            if due is None:
                await self._settle(channel, [one], Delivery.FAILED, error)
            else:
                again.setdefault(due, []).append(one)
        for due, those in again.items():
            await self._book.postpone_notices([one.id for one in those], due, str(error))

    async def _settle(
        self,
        channel: Channel,
        batch: Sequence[QueuedNotice],
        outcome: Delivery,
        error: SidecarError | None = None,
    ) -> None:
        if error is not None:
            self._complain(channel, str(error), error.hint)
        words = str(error) if error else ""
        await self._book.settle_notices(channel.name, [one.id for one in batch], outcome, words)
        for _ in batch:
            self._meter.notified(channel.kind, outcome)

    def _complain(self, channel: Channel, error: str, hint: str) -> None:
        self._log.say(Action.NOTIFY_FAILED, level="warning", channel=channel.name, error=error, hint=hint)
