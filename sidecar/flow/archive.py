"""What people ask of the stored generations: take one now, show, compare, export, build an older one.

Whatever acts goes through the one pipeline: a restore takes the session's lease, and is planned,
journalled, verified and recorded as every other recovery is.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sidecar.clock import Clock
from sidecar.config import Settings
from sidecar.decide import export, restore
from sidecar.decide.claims import Claims
from sidecar.decide.compare import compare
from sidecar.decide.detect import instance_of
from sidecar.decide.remember import carry
from sidecar.decide.resume import Spot, resumption
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.ports import Book, Meter, Shelf, Tmux
from sidecar.flow.recover import Recoverer
from sidecar.flow.ward import DRAINING, Case, Ward, busy
from sidecar.flow.watch import Watch
from sidecar.model.archive import (
    Compared,
    Created,
    Doomed,
    Exported,
    GenerationFilter,
    GenerationRow,
    Missing,
    Order,
    RestoreRequest,
)
from sidecar.model.incident import Asker
from sidecar.model.plan import Refusal, RefusalReason, Resumption
from sidecar.model.record import HoldBack
from sidecar.model.session import Checkpoint, Look, Operation, Presence, SavedPane, Session, SessionImage
from sidecar.model.status import Answer, UnknownSession


class Archive:
    """Implements :class:`sidecar.web.ports.Archive`."""

    def __init__(
        self,
        ward: Ward,
        tmux: Tmux,
        book: Book,
        shelf: Shelf,
        clock: Clock,
        meter: Meter,
        checkpointer: Checkpointer,
        watch: Watch,
        recoverer: Recoverer,
    ) -> None:
        self._ward = ward
        self._tmux = tmux
        self._book = book
        self._shelf = shelf
        self._clock = clock
        self._meter = meter
        self._checkpointer = checkpointer
        self._watch = watch
        self._recoverer = recoverer

    async def page(self, wanted: GenerationFilter) -> tuple[GenerationRow, ...]:
        """Newest first."""
        return await self._shelf.page(wanted)

    async def find(self, number: int) -> Checkpoint | GenerationRow | None:
        """One by its id; the bare row if it is in quarantine."""
        return await self._shelf.find(number)

    async def create(self, name: str) -> Created | Refusal | UnknownSession:
        """Store the session as it is now, unless the newest generation already says so."""
        answer = await self._create(name)
        if isinstance(answer, Refusal):
            await self._put_on_record(name, answer, Asker.OPERATOR)
        return answer

    async def _create(self, name: str) -> Created | Refusal | UnknownSession:
        if self._ward.draining:
            return DRAINING
        if name in self._ward.cases:
            return busy(name)
        live = await self._living(name)
        if not isinstance(live, Session):
            return live
        before = await self._shelf.newest(name)
        saved = await self._checkpointer.save(live, Operation.REQUESTED)
        if isinstance(saved, HoldBack):
            return Refusal(
                RefusalReason.NO_CHECKPOINT, saved.sentence, hint="Ask again in a minute.", retry_after=60.0
            )
        return Created(saved, fresh=before is None or before.id != saved.id)

    async def compare(self, number: int, other: int | None) -> Compared | Refusal | Missing | UnknownSession:
        """The differences of ``other``, or of the living session, from this generation."""
        wanted = await self._good(number)
        if not isinstance(wanted, Checkpoint):
            return wanted
        if other is None:
            found = await self._picture(wanted.session)
            if not isinstance(found, SessionImage):
                return found
            found_differences = compare(wanted.image, found).differences
            # The living one was looked at without its texts.
            return Compared(number, None, tuple(d for d in found_differences if d.field != "scrollback"))
        second = await self._good(other)
        if not isinstance(second, Checkpoint):
            return second
        return Compared(number, other, compare(wanted.image, second.image).differences)

    async def export(self, number: int) -> Exported | Refusal | Missing:
        """The generation as a tmuxp workspace file."""
        checkpoint = await self._good(number)
        if not isinstance(checkpoint, Checkpoint):
            return checkpoint
        workspace = export.workspace(checkpoint.image, _resuming(checkpoint, self._ward.settings))
        return Exported(checkpoint.id, checkpoint.session, checkpoint.taken, workspace)

    async def doomed(self) -> tuple[Doomed, ...]:
        """What retention does not keep; :meth:`prune` would remove it."""
        return await self._shelf.doomed(self._ward.settings.checkpoints.retention)

    async def prune(self) -> tuple[Doomed, ...]:
        """Remove what retention does not keep, never a session's newest good one."""
        gone = await self._shelf.prune(self._ward.settings.checkpoints.retention)
        await self._checkpointer.count()
        return gone

    async def restore(self, request: RestoreRequest) -> Answer | Missing:
        """Build one generation. The recovery has begun when this returns, and goes on by itself."""
        if self._ward.draining:
            return DRAINING
        checkpoint = await self._good(request.number)
        if not isinstance(checkpoint, Checkpoint):
            return checkpoint
        look = await self._tmux.look()
        order = restore.order_of(request, checkpoint, look)
        refusal = self._hindrance(order, look)
        if refusal is not None:
            return await self._refused(order, refusal, request)
        case = self._case(order, look, request)
        # What is refused anyway leaves no incident behind.
        planned = await self._recoverer.dry_run(case)
        if request.dry_run:
            return planned
        refusal = planned if isinstance(planned, Refusal) else self._hindrance(order, look)
        if refusal is not None:
            return await self._refused(order, refusal, request)
        self._watch.open_case(case)
        return await case.answer

    def _hindrance(self, order: Order, look: Look) -> Refusal | None:
        name = order.checkpoint.image.name
        if name in self._ward.cases:
            return busy(name)
        return restore.obstacle(order, look, self._ward.expected)

    def _case(self, order: Order, look: Look, request: RestoreRequest) -> Case:
        live = look.find(order.checkpoint.image.name) if look.presence is Presence.PRESENT else None
        return Case(
            restore.finding_of(order, look, _words(request, order.checkpoint)),
            self._carried(live, look) if live is not None else None,
            request.asker,
            look,
            order=order,
        )

    async def _good(self, number: int) -> Checkpoint | Refusal | Missing:
        found = await self._shelf.find(number)
        if found is None:
            return Missing(number)
        if isinstance(found, Checkpoint):
            return found
        newest = await self._shelf.newest(found.session)
        hint = f"The newest good one is {newest.id}." if newest else "There is no good one of this session."
        return Refusal(
            RefusalReason.NO_CHECKPOINT,
            f"checkpoint {number} is in quarantine: {found.quarantined}",
            hint=hint,
        )

    async def _refused(self, order: Order, refusal: Refusal, request: RestoreRequest) -> Refusal:
        if not request.dry_run:
            await self._put_on_record(order.checkpoint.image.name, refusal, request.asker)
        return refusal

    async def _put_on_record(self, name: str, refusal: Refusal, asker: Asker) -> None:
        await self._book.refuse(name, refusal, asker, self._clock.wall(), None, None)
        self._meter.refusal(refusal.reason)

    async def _living(self, name: str) -> Session | Refusal | UnknownSession:
        look = await self._tmux.look()
        if look.presence is Presence.UNKNOWN:
            return restore.server_unknown(look)
        live = look.find(name) if look.presence is Presence.PRESENT else None
        return self._carried(live, look) if live is not None else UnknownSession(name)

    async def _picture(self, name: str) -> SessionImage | Refusal | UnknownSession:
        """The living session as a checkpoint would keep it, without its texts."""
        live = await self._living(name)
        if not isinstance(live, Session):
            return live
        look, private = await self._tmux.look(), self._checkpointer.private(name)
        return (await self._tmux.capture(live, look, 0, self._clock.wall(), private)).image

    def _carried(self, live: Session, look: Look) -> Session:
        """The living session, with what its dead panes were before they broke."""
        entry = self._ward.expected.get(live.name)
        assert look.server is not None
        same = entry is not None and entry.instance == instance_of(look.server, live)
        return carry(entry.session if entry and same else None, live)


def _words(request: RestoreRequest, checkpoint: Checkpoint) -> str:
    taken = datetime.fromtimestamp(checkpoint.taken, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    what = "" if request.window is None else f"window {request.window} of "
    return f"asked for: restore of {what}checkpoint {checkpoint.id} of {checkpoint.session}, taken {taken}"


def _resuming(checkpoint: Checkpoint, settings: Settings) -> restore.Resume:
    """By the rules alone: who has a claim to a conversation is not known where the file will be read."""

    def resuming(pane: SavedPane, window: int, shell: str) -> Resumption | None:
        return resumption(pane, Spot(checkpoint.session, window, shell, Claims()), settings.resume)

    return resuming
