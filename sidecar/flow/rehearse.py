"""Rehearsals: proof that a checkpoint can be restored, before anybody needs it.

The newest checkpoint of each session is rebuilt on a throw-away server and compared, one at a time,
when the machine has room for it. The real server is only looked at, never spoken to, but for a call
to a person.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.clock import Clock, Dice
from sidecar.decide import rehearse
from sidecar.decide.rehearse import Turn
from sidecar.decide.rehearse_verdict import Script, flaws, refused, shape_verdict, summed_up, verdict
from sidecar.errors import CheckpointUnusable, SidecarError, Temporary, TmuxRefused, TmuxUnknown
from sidecar.flow.person import Person
from sidecar.flow.ports import Book, Host, Logbook, Meter, Scene, Stage
from sidecar.flow.ward import Ward
from sidecar.model.notice import Matter
from sidecar.model.plan import Verdict
from sidecar.model.record import Action, HoldOffReason, Rehearsal, RehearsalOutcome
from sidecar.model.session import Checkpoint, Look, Presence, SessionImage

_ASK_EVERY = 1.0
_HELD_OFF = 5.0
_REST = 20.0
"""After a rehearsal, rest this many times as long as it took: many sessions are no storm."""
_SECONDS = 20.0
"""The longest that one rehearsal may take; an ordinary one takes a fraction of one."""
_PATIENCE = 3.0
"""Seconds until what was built has to stand as it should."""
_FIRST_PAUSE = 0.005
_LAST_PAUSE = 0.1
_TAKES = 2
"""A failure counts once it has been seen twice."""
_LONGEST_REPORT = 50
"""Differences that are kept."""


@dataclass(frozen=True, slots=True)
class Props:
    """What the rehearser works with."""

    stage: Stage
    book: Book
    host: Host
    clock: Clock
    dice: Dice
    meter: Meter
    log: Logbook
    person: Person


class Rehearser:
    """Rehearses the sessions in our care, turn by turn."""

    def __init__(self, ward: Ward, props: Props) -> None:
        self._ward = ward
        self._p = props
        self._turns: dict[str, Turn] = {}
        self._held_off: HoldOffReason | None = None

    async def load(self) -> None:
        """Take up what an earlier run has learnt, and remove what it has left standing."""
        await self._p.stage.clear()
        self._ward.rehearsals = {row.session: row for row in await self._p.book.rehearsals()}

    async def run(self) -> None:
        """One rehearsal after the other, for ever."""
        while True:
            await self._p.clock.sleep(_ASK_EVERY)
            name = self._next()
            if name is None:
                continue
            if await self._hold_off():
                await self._p.clock.sleep(_HELD_OFF)
                continue
            began = self._p.clock.monotonic()
            await self._attempt(name)
            await self._p.clock.sleep((self._p.clock.monotonic() - began) * _REST)

    def _next(self) -> str | None:
        if self._ward.draining:
            return None
        now, known = self._p.clock.monotonic(), self._turns
        self._turns = {
            name: known[name] if name in known else self._first_turn(name, now)
            for name in self._ward.expected
        }
        return rehearse.next_turn(self._turns.items(), self._ward.settings.checkpoints.rehearse, now)

    def _first_turn(self, name: str, now: float) -> Turn:
        earlier = self._ward.rehearsals.get(name)
        # A clock that was set back would else put the next turn off for as long.
        age = max(self._p.clock.wall() - earlier.at, 0.0) if earlier else None
        return Turn(now, self._p.dice.roll(), None if age is None else now - age)

    async def _hold_off(self) -> bool:
        """Whether the machine has no room for it; said once, counted each time."""
        held = rehearse.hold_off(await self._p.host.pressure(), len(self._ward.cases))
        reason = held.reason if held else None
        if held is not None:
            self._p.meter.rehearsals_held_off(held.reason)
            if reason is not self._held_off:
                self._p.log.say(Action.REHEARSALS_HELD_OFF, reason=held.reason, sentence=held.sentence)
        self._held_off = reason
        return held is not None

    async def _attempt(self, name: str) -> None:
        """One session's turn, which is over whatever comes of it."""
        began = self._p.clock.monotonic()
        turn = self._turns[name]
        self._turns[name] = Turn(turn.seen, turn.share, began)
        try:
            checkpoint = await self._p.book.newest_checkpoint(name)
            if checkpoint is None or self._proven(checkpoint):
                return
            found = await self._rehearse(checkpoint)
            await self._record(checkpoint, found, self._p.clock.monotonic() - began)
            outcome = RehearsalOutcome.PASSED if found.holds else RehearsalOutcome.FAILED
        except SidecarError as error:
            outcome = RehearsalOutcome.INCONCLUSIVE
            self._p.log.say(
                Action.REHEARSAL_INCONCLUSIVE,
                level="warning",
                session=name,
                error=str(error),
                hint=error.hint,
            )
        self._p.meter.rehearsed(outcome, self._p.clock.monotonic() - began)

    def _proven(self, checkpoint: Checkpoint) -> bool:
        """Whether this very content has passed. One that failed may pass: the machine may be to blame."""
        known = self._ward.rehearsals.get(checkpoint.session)
        return known is not None and known.restorable and known.checksum == checkpoint.checksum

    async def _rehearse(self, checkpoint: Checkpoint) -> Verdict:
        script = await self._script(checkpoint.image)
        found = Verdict(False)
        for _ in range(_TAKES):
            found = await self._take(script)
            if found.holds:
                break
        # No look can mend these, so no time is spent on waiting for it.
        return summed_up((*found.differences, *flaws(script)))

    async def _script(self, image: SessionImage) -> Script:
        folders = {image.path, *(pane.cwd for window in image.windows for pane in window.panes)} - {""}
        missing = await asyncio.to_thread(self._p.host.missing_folders, folders)
        texts, lost = await self._texts(image)
        return Script(rehearse.stand_in(image), missing, texts, lost)

    async def _texts(self, image: SessionImage) -> tuple[Mapping[str, bytes], frozenset[str]]:
        """An excerpt of each text, and the digests of those that are not whole any more."""
        digests = {pane.scrollback for window in image.windows for pane in window.panes} - {""}
        texts: dict[str, bytes] = {}
        lost: set[str] = set()
        for digest in sorted(digests):
            stored = await self._p.book.scrollback(digest)
            texts[digest] = await asyncio.to_thread(rehearse.excerpt, stored.text)
            if stored.lost:
                lost.add(digest)
        return texts, frozenset(lost)

    async def _take(self, script: Script) -> Verdict:
        """Build it once, look until it stands as it should or the time is over, and tear it down."""
        name = script.image.name
        try:
            async with asyncio.timeout(_SECONDS):
                async with self._p.stage.open(rehearse.first_pane_index(script.image)) as scene:
                    await scene.rebuild(script.image, script.texts)
                    return await self._watch(scene, script)
        except TimeoutError as error:
            raise Temporary(
                f"the rehearsal of {name} was not over within {_SECONDS:g} s",
                hint="The machine is slow; it is tried again at its next turn.",
            ) from error
        except OSError as error:
            raise Temporary(f"the rehearsal of {name} could not be set up: {error}") from error
        except (TmuxRefused, CheckpointUnusable) as error:
            return refused(name, str(error))

    async def _watch(self, scene: Scene, script: Script) -> Verdict:
        deadline = self._p.clock.monotonic() + _PATIENCE
        pause = _FIRST_PAUSE
        while True:
            if self._ward.cases:
                raise Temporary("a recovery has begun, and goes first", hint="It is tried again in its turn.")
            look = await scene.look()
            if look.presence is not Presence.PRESENT:
                raise TmuxUnknown(f"the throw-away tmux server gives no answer: {look.reason}")
            found = await asyncio.to_thread(shape_verdict, script, look)
            if found.holds:
                found = await self._inspect(scene, script, look)
            if found.holds or self._p.clock.monotonic() >= deadline:
                return found
            await self._p.clock.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)

    async def _inspect(self, scene: Scene, script: Script, look: Look) -> Verdict:
        session = look.find(script.image.name)
        assert session is not None
        lines = rehearse.EXCERPT_LINES * rehearse.WRAPPED
        capture = await scene.capture(session, look, lines, self._p.clock.wall(), private=False)
        return await asyncio.to_thread(verdict, script, look, capture)

    async def _record(self, checkpoint: Checkpoint, found: Verdict, seconds: float) -> None:
        """Remember it; say something where it failed, or where that has changed."""
        before = self._ward.rehearsals.get(checkpoint.session)
        row = Rehearsal(
            session=checkpoint.session,
            checkpoint=checkpoint.id,
            checksum=checkpoint.checksum,
            restorable=found.holds,
            at=self._p.clock.wall(),
            differences=found.differences[:_LONGEST_REPORT],
        )
        action = Action.REHEARSAL_PASSED if row.restorable else Action.REHEARSAL_FAILED
        news = _is_news(before, row)
        await self._p.book.keep_rehearsal(row, action if news else None)
        self._ward.rehearsals[row.session] = row
        self._p.log.say(
            action,
            level="debug" if not news else "info" if row.restorable else "error",
            session=row.session,
            checkpoint=row.checkpoint,
            verdict=found.sentence(),
            differences=[f"{one.where}: {one.field}" for one in row.faults],
            seconds=round(seconds, 4),
        )
        if row.restorable and before is not None and not before.restorable:
            text = f"the newest checkpoint of {row.session} can be restored again"
            await self._p.person.tell(Matter.RESTORABLE, row.session, text)
        if not row.restorable and (before is None or before.restorable):
            await self._p.person.tell(
                Matter.NOT_RESTORABLE,
                row.session,
                f"the newest checkpoint of {row.session} cannot be restored: {found.sentence()}",
            )


def _is_news(before: Rehearsal | None, now: Rehearsal) -> bool:
    """Whether it says something that a person does not know yet; a session is expected to pass."""
    if now.restorable:
        return before is not None and not before.restorable
    return before is None or (before.checksum, before.faults) != (now.checksum, now.faults)
