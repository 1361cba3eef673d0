"""Silences and maintenance windows: begun and ended, and what follows from that.

Whether something is quiet is asked anew of the clock whenever it matters (:meth:`Ward.hushes`). What is
done here may come a moment late: that an end is said, that held sessions are looked at again, and that
people hear of what went wrong meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sidecar.clock import Clock
from sidecar.decide import quiet
from sidecar.errors import SidecarError, Temporary
from sidecar.flow.nap import nap
from sidecar.flow.person import Person
from sidecar.flow.ports import Book, Logbook, QuietBook
from sidecar.flow.ward import DRAINING, Ward
from sidecar.model.check import SUBJECT
from sidecar.model.incident import Asker
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.quiet import Hush, QuietKind, Silence, SilenceRequest, UnknownTarget, is_pattern
from sidecar.model.record import Action

_TURN = 15.0
"""Seconds between two turns, at most: the clock may be set, and the configuration changed."""
_REST = 5.0
"""Seconds after a fault of ours, so that it does not come back at once."""
MOST = 100
"""Silences at a time."""
_BY_ITSELF = "it is over"


class Quiet:
    """Implements :class:`sidecar.web.ports.Quiet`."""

    def __init__(
        self,
        ward: Ward,
        book: Book,
        shelf: QuietBook,
        person: Person,
        clock: Clock,
        log: Logbook,
        on_change: Callable[[], None],
    ) -> None:
        """``on_change``: what was held back may be done now, and what is shown has changed."""
        self._ward = ward
        self._book = book
        self._shelf = shelf
        self._person = person
        self._clock = clock
        self._log = log
        self._on_change = on_change
        self._open: dict[str, Hush] = {}
        """Windows that are open, by name."""
        self._news = asyncio.Event()

    async def load(self) -> None:
        """Take up what an earlier run was asked for."""
        self._ward.silences = {one.id: one for one in await self._shelf.silences()}

    async def silence(self, asked: SilenceRequest) -> Silence | Refusal | UnknownTarget:
        """Begin a silence that :func:`sidecar.decide.quiet.fault` has nothing to say against.

        Raises:
            Temporary: there are too many, or it could not be put on record.
        """
        if self._ward.draining:
            return DRAINING
        if not is_pattern(asked.target):
            known = await self._known(asked.target)
            if asked.target not in known:
                return UnknownTarget(asked.target, quiet.near(asked.target, known))
        if len(self._ward.silences) >= MOST:
            hint = "`sidecar silence list` shows them; one may be about many: 'work-*'."
            raise Temporary(f"there are {MOST} silences already", hint=hint)
        silence = await self._shelf.add_silence(asked, Asker.OPERATOR)
        self._ward.silences[silence.id] = silence
        self._log.say(
            Action.SILENCED,
            session=silence.target,
            silence=silence.id,
            seconds=asked.seconds,
            hold=silence.hold,
            reason=silence.reason,
        )
        self._changed()
        return silence

    async def end(self, number: int) -> Silence | None:
        """End a silence before its time. None: there is none of this number."""
        silence = self._ward.silences.get(number)
        if silence is None:
            return None
        await self._end(silence, "asked for", Asker.OPERATOR)
        self._changed()
        return silence

    def listed(self) -> tuple[Hush, ...]:
        """What keeps quiet now, what lasts longest first."""
        return self._ward.shown_hushes(self._clock.wall())

    def look_again(self) -> None:
        """The configuration may have changed."""
        self._news.set()

    async def run(self) -> None:
        """Say it when something ends, and see to what follows, for ever."""
        while True:
            self._news.clear()
            try:
                await self._turn()
                wait = quiet.until_next(self.listed(), self._clock.wall(), _TURN)
            except SidecarError as error:
                self._log.say(
                    Action.TASK_FAILED, level="error", task="quiet", error=str(error), hint=error.hint
                )
                wait = _REST
            await nap(self._clock, self._news, wait)

    async def _turn(self) -> None:
        now = self._clock.wall()
        over = [one for one in self._ward.silences.values() if quiet.ends(one, now) <= now]
        for silence in over:
            await self._end(silence, _BY_ITSELF, "sidecar")
        moved = await self._follow_windows(now)
        if over or moved:
            self._changed()
        await self._person.catch_up()

    async def _end(self, silence: Silence, why: str, actor: str) -> None:
        if await self._shelf.end_silence(silence, why, actor):
            self._log.say(Action.SILENCE_ENDED, session=silence.target, silence=silence.id, reason=why)
        self._ward.silences.pop(silence.id, None)

    async def _follow_windows(self, now: float) -> bool:
        """Put on record which windows have opened and closed. Whether any has."""
        open_now = {hush.name: hush for hush in self._ward.hushes(now) if hush.kind is QuietKind.WINDOW}
        opened = [hush for name, hush in open_now.items() if name not in self._open]
        closed = [hush for name, hush in self._open.items() if name not in open_now]
        for action, some in ((Action.WINDOW_OPENED, opened), (Action.WINDOW_CLOSED, closed)):
            for hush in some:
                await self._tell(action, hush, now)
        self._open = open_now
        return bool(opened or closed)

    async def _tell(self, action: Action, hush: Hush, now: float) -> None:
        facts: dict[str, Any] = {"window": hush.name, "sessions": hush.targets, "until": hush.until}
        facts["hold"] = hush.hold
        await self._book.audit(action, now, reason=hush.reason, detail=facts)
        self._log.say(action, reason=hush.reason, **facts)

    def _changed(self) -> None:
        self._ward.ask_again(RefusalReason.MAINTENANCE)
        self._news.set()
        self._on_change()

    async def _known(self, target: str) -> set[str]:
        """Whatever may be silenced by its name."""
        ward = self._ward
        known = {*ward.expected, *ward.released, *(live.name for live in ward.look.sessions)}
        known |= {
            *ward.settings.declared.sessions,
            *(SUBJECT + name for name in ward.checks_in_force),
        }
        if target not in known and await self._book.newest_checkpoint(target) is not None:
            known.add(target)
        return known
