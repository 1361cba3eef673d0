"""Checkpoints: when one is due, what may become one, and what is kept.

A change of structure is stored at once, output and titles at every interval, and nothing when nothing
has changed. Options and environments are no part of a look: they are asked for at every interval. A
capture that could be a dying or a just-started server's is held back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from sidecar.clock import Clock
from sidecar.decide.detect import instance_of
from sidecar.decide.retain import admit
from sidecar.errors import DiskFull, SidecarError, TextsMissing
from sidecar.flow.ports import Book, Logbook, Meter, Tmux
from sidecar.flow.ward import Ward
from sidecar.model.record import Action, Capture, HoldBack, HoldBackReason
from sidecar.model.session import Checkpoint, Look, Operation, Presence, Session
from sidecar.model.stress import CheckpointMode

_PRUNE_EVERY = 300.0
_HELD_BACK_PAUSE = 10.0
_FAILED_PAUSE = 3.0
"""Seconds before the same structure is tried again: what fails now would fail at every look."""


class Checkpointer:
    """Keeps the newest good checkpoint of every session in our care close to the truth."""

    def __init__(
        self,
        ward: Ward,
        tmux: Tmux,
        book: Book,
        clock: Clock,
        meter: Meter,
        log: Logbook,
        on_full: Callable[[], None],
    ) -> None:
        """``on_full`` is called whenever the disk has turned a checkpoint down."""
        self._ward = ward
        self._tmux = tmux
        self._book = book
        self._clock = clock
        self._meter = meter
        self._log = log
        self._on_full = on_full
        self._stored: dict[str, tuple[object, ...]] = {}
        self._seen: dict[str, tuple[object, ...]] = {}
        """What :func:`changing` has told when the newest checkpoint was taken."""
        self._taken: dict[str, float] = {}
        self._due: dict[str, Operation] = {}
        self._put_off: dict[str, tuple[tuple[object, ...], float]] = {}
        """A structure that could not be stored, and when it is tried again in monotonic seconds."""
        self._fingerprints: dict[str, str] = {}
        self._believed: dict[str, str] = {}
        self._restored: set[str] = set()
        self._wake = asyncio.Event()
        self._one = asyncio.Lock()

    def consider(self, look: Look) -> None:
        """Note what a look makes due. Cheap: called after every look."""
        if self._ward.stress.checkpoints is CheckpointMode.PAUSED:
            return
        for name, entry in self._ward.expected.items():
            if entry.session is None or look.find(name) is None or name in self._ward.cases:
                continue
            shape = structure(entry.session)
            unstored, until = self._put_off.get(name, ((), 0.0))
            if shape == unstored and self._clock.monotonic() < until:
                continue
            if self._stored.get(name) != shape:
                restored = name in self._restored
                self._due[name] = Operation.AFTER_RECOVERY if restored else Operation.STRUCTURE
            elif self._interval_due(name, entry.session):
                self._due.setdefault(name, Operation.INTERVAL)
        if self._due:
            self._wake.set()

    def forget(self, name: str) -> None:
        """The session is no longer in our care."""
        for memory in (
            self._stored, self._seen, self._taken, self._due, self._put_off, self._fingerprints,
            self._believed,
        ):  # fmt: skip
            memory.pop(name, None)
        self._restored.discard(name)

    def believe(self, name: str, instance: str) -> None:
        """This life of the session is as a person wanted it, however small or young it is."""
        self._believed[name] = instance
        self._restored.add(name)

    async def run(self) -> None:
        """Take what is due, one after the other, for ever; prune now and then."""
        pruned = self._clock.monotonic()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._due:
                name, operation = next(iter(self._due.items()))
                del self._due[name]
                await self._take(name, operation)
            if self._clock.monotonic() - pruned > _PRUNE_EVERY:
                pruned = self._clock.monotonic()
                await self._book.prune(self._ward.settings.checkpoints.retention, self._clock.wall())
                await self.count()

    async def notice_settings(self) -> None:
        """At every interval, for ever: note whose options, hooks or environment have changed."""
        while True:
            await self._clock.sleep(self._ward.settings.checkpoints.interval)
            look = self._ward.look
            sessions = [each for each in look.sessions if each.name in self._ward.expected]
            if look.presence is Presence.PRESENT and sessions:
                with contextlib.suppress(SidecarError):
                    self._note_fingerprints(await self._tmux.fingerprints(sessions))

    async def save(self, session: Session, operation: Operation) -> Checkpoint | HoldBack:
        """Store the session as given, or say why this capture may not become the newest checkpoint.

        Raises:
            SidecarError: tmux or the store could not do it.
        """
        if self._ward.stress.checkpoints is CheckpointMode.PAUSED:
            return HoldBack(HoldBackReason.DISK_FULL, f"checkpoints are paused: {self._ward.stress.disk}")
        async with self._one:
            began = self._clock.monotonic()
            capture = await self._capture(session)
            believed = self._believed.get(session.name) == capture.instance
            age = float("inf") if believed else capture.taken - session.created
            newest = await self._book.newest_checkpoint(session.name)
            held = admit(capture.image, capture.instance, newest, age)
            if held is not None:
                self._meter.checkpoint_failed(held.reason)
                self._log.say(Action.CHECKPOINT_HELD_BACK, session=session.name, sentence=held.sentence)
                return held
            self._taken[session.name] = began
            self._restored.discard(session.name)
            if newest is not None and newest.image == capture.image and newest.instance == capture.instance:
                self._tmux.keep(capture.instance)
                return newest
            checkpoint = await self._add(session, capture, operation)
            self._tmux.keep(capture.instance)
            self._meter.checkpoint(self._clock.monotonic() - began)
        await self.count()
        return checkpoint

    async def count(self) -> None:
        """Bring the figures that are shown up to date."""
        self._ward.totals = {total.session: total for total in await self._book.totals()}

    async def _take(self, name: str, operation: Operation) -> None:
        entry = self._ward.expected.get(name)
        if entry is None or entry.session is None or name in self._ward.cases:
            return
        shape, seen = structure(entry.session), changing(entry.session)
        # tmux tells whole seconds: within the one of the last output, more may come unseen.
        settled = entry.session.activity < int(self._clock.wall())
        try:
            if isinstance(await self.save(entry.session, operation), HoldBack):
                self._put_off[name] = (shape, self._clock.monotonic() + _HELD_BACK_PAUSE)
                return
        except SidecarError as error:
            if isinstance(error, DiskFull):
                self._on_full()
            reason = type(error).__name__
            self._meter.checkpoint_failed(reason)
            self._log.say(
                Action.CHECKPOINT_FAILED, level="warning", session=name, error=str(error), hint=error.hint
            )
            self._put_off[name] = (shape, self._clock.monotonic() + _FAILED_PAUSE)
            return
        self._put_off.pop(name, None)
        self._stored[name] = shape
        self._seen.pop(name, None)
        # Without its output it is not yet what it should be, and due again as soon as there is room.
        if settled and self._ward.stress.checkpoints is CheckpointMode.FULL:
            self._seen[name] = seen

    async def _add(self, session: Session, capture: Capture, operation: Operation) -> Checkpoint:
        try:
            return await self._book.add_checkpoint(capture, operation)
        except TextsMissing:
            self._tmux.forget(capture.instance)
            return await self._book.add_checkpoint(await self._capture(session), operation)

    async def _capture(self, session: Session) -> Capture:
        look = self._ward.look
        full = self._ward.stress.checkpoints is CheckpointMode.FULL
        lines = self._ward.settings.checkpoints.scrollback_lines if full else None
        capture = await self._tmux.capture(
            session, look, lines, self._clock.wall(), self.private(session.name)
        )
        if look.presence is Presence.PRESENT and look.server is not None:
            return replace(capture, instance=instance_of(look.server, session))
        return capture

    def _note_fingerprints(self, found: Mapping[str, str]) -> None:
        for name, fingerprint in found.items():
            if self._fingerprints.get(name) != fingerprint:
                self._fingerprints[name] = fingerprint
                self._due.setdefault(name, Operation.INTERVAL)
        if self._due:
            self._wake.set()

    def private(self, name: str) -> bool:
        """Whether scrollback and environment of this session stay out of the book."""
        return any(fnmatchcase(name, glob) for glob in self._ward.settings.checkpoints.exclude)

    def _interval_due(self, name: str, session: Session) -> bool:
        waited = self._clock.monotonic() - self._taken.get(name, float("-inf"))
        changed = changing(session) != self._seen.get(name)
        return changed and waited >= self._ward.settings.checkpoints.interval


def changing(session: Session) -> tuple[object, ...]:
    """What makes a new checkpoint due at the next interval: output, and what programs animate."""
    return (
        session.activity,
        tuple((window.name, *(pane.title for pane in window.panes)) for window in session.windows),
    )


def structure(session: Session) -> tuple[object, ...]:
    """What makes a new checkpoint due at once."""
    return (
        session.id,
        session.name,
        session.group,
        tuple(
            (
                window.index,
                "" if window.automatic_rename else window.name,
                window.layout,
                window.zoomed,
                window.active,
                window.links,
                tuple(
                    (
                        pane.index,
                        pane.cwd,
                        pane.start_command,
                        pane.argv,
                        pane.active,
                        pane.resume,
                        pane.conversation,
                    )
                    + ((pane.program.argv,) if pane.program else ())
                    for pane in window.panes
                ),
            )
            for window in session.windows
        ),
    )
