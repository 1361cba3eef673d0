"""Silences that people make in an Alertmanager of ours: asked for now and then, never waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sidecar.clock import Clock
from sidecar.decide.matchers import usable
from sidecar.errors import SidecarError
from sidecar.flow.ports import Logbook, Silencers
from sidecar.flow.ward import Ward
from sidecar.model.notice import Alertmanager
from sidecar.model.quiet import ForeignSilence
from sidecar.model.record import Action

EVERY = 30.0
"""Seconds between two questions."""


class Foreign:
    """Keeps ``Ward.foreign`` as the Alertmanagers have it. One that gives no answer has no silences."""

    def __init__(
        self, ward: Ward, silencers: Silencers, clock: Clock, log: Logbook, on_change: Callable[[], None]
    ) -> None:
        self._ward = ward
        self._silencers = silencers
        self._clock = clock
        self._log = log
        self._on_change = on_change
        self._mute: set[str] = set()
        """Alertmanagers that gave no answer the last time."""
        self._useless: set[str] = set()
        """Ids of silences that cannot be used, and of which that was said."""

    async def run(self) -> None:
        """Ask, for ever."""
        while True:
            await self.ask()
            await self._clock.sleep(EVERY)

    async def ask(self) -> None:
        """Ask each once. Never fails."""
        targets = {
            channel.target.url: channel.target
            for channel in self._ward.settings.notify.channels
            if isinstance(channel.target, Alertmanager)
        }
        self._mute &= targets.keys()
        answers = await asyncio.gather(*map(self._ask_one, targets.values()))
        found, faults = await asyncio.to_thread(usable, [one for answer in answers for one in answer])
        for number in faults.keys() - self._useless:
            self._log.say(
                Action.SILENCE_USELESS,
                level="warning",
                silence=number,
                error=faults[number],
                hint="People are told in spite of it. Write its expression in another way.",
            )
        self._useless = set(faults)
        if found != self._ward.foreign:
            self._ward.foreign = found
            self._on_change()

    async def _ask_one(self, target: Alertmanager) -> tuple[ForeignSilence, ...]:
        try:
            found = await self._silencers.silences(target)
        except SidecarError as error:
            if target.url not in self._mute:
                self._mute.add(target.url)
                self._log.say(Action.SILENCES_UNKNOWN, level="warning", error=str(error), hint=error.hint)
            return ()
        if target.url in self._mute:
            self._mute.discard(target.url)
            self._log.say(Action.SILENCES_KNOWN, silences=len(found))
        return found
