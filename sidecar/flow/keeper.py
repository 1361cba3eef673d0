"""Keeping the record: old audit rows go, signed off; the head of the trail is noted in the log.

The log is mostly kept elsewhere, so a note there tells of a trail that somebody has cut or forged.
"""

from __future__ import annotations

import contextlib
import itertools

from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.flow.ports import Book, Logbook
from sidecar.flow.ward import Ward
from sidecar.model.audit import TrailLimits
from sidecar.model.record import Action

HEAD_EVERY = 3600.0
"""Seconds between two notes of the head."""
RESERVE_EVERY = 5.0
"""Seconds between two attempts to set the reserve aside again."""
_PRUNE_EVERY = 6
"""Notes between two rounds of retention."""


class Keeper:
    """Looks after the record itself."""

    def __init__(self, ward: Ward, book: Book, clock: Clock, log: Logbook) -> None:
        self._ward = ward
        self._book = book
        self._clock = clock
        self._log = log

    async def run(self) -> None:
        """For ever. A book that cannot answer just now is asked again the next time."""
        for number in itertools.count():
            try:
                if number % _PRUNE_EVERY == 0:
                    await self.prune()
                await self.note_head()
            except SidecarError as error:
                self._log.say(
                    Action.TASK_FAILED, level="error", task="keeper", error=str(error), hint=error.hint
                )
            await self._clock.sleep(HEAD_EVERY)

    async def guard_reserve(self) -> None:
        """For ever: make the space that is kept for the record again, once there is room for it."""
        while True:
            # Where the book cannot answer, the next time.
            with contextlib.suppress(SidecarError):
                await self._book.tend_reserve()
            await self._clock.sleep(RESERVE_EVERY)

    async def note_head(self) -> None:
        """Write into the log where the trail ends."""
        head = await self._book.audit_head()
        if head is not None:
            self._log.say(Action.AUDIT_HEAD, head=str(head))

    async def prune(self) -> None:
        """Remove what is older than the settings keep, in steps that hold up no other write for long."""
        more = True
        while more:
            settings = self._ward.settings
            max_age = max(settings.audit.max_age, settings.checkpoints.max_age)
            limits = TrailLimits(max_age, settings.audit.max_records)
            gone = await self._book.prune_audit(limits, self._clock.wall())
            more = gone.more
            if gone.broken is not None:
                self._log.say(
                    Action.AUDIT_BROKEN,
                    level="error",
                    record=gone.broken.row,
                    fault=gone.broken.sentence,
                    hint="Somebody has changed the database: `sidecar audit verify`. Nothing was removed.",
                )
            elif gone.count:
                self._log.say(Action.AUDIT_PRUNED, removed=gone.count)
        await self._clear()

    async def _clear(self) -> None:
        """Remove what the trail has outlived."""
        more = True
        while more:
            cleared = await self._book.clear(self._clock.wall())
            more = cleared.more
            if cleared.count:
                self._log.say(Action.HISTORY_PRUNED, removed=cleared.count)
