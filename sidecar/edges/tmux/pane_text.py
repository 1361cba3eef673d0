"""How one pane's text is captured: as a whole, or only what is new. Pure.

Before an open end is put behind sealed pieces, lines of the pane are compared with what is known of
them: all those just before the seal, and some of every sealed piece. Where they are other lines
(cleared, wrapped anew, trimmed, printed by another process) there is doubt, and then the pane is
captured as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from sidecar.edges.tmux.piece import (
    ANCHOR,
    BLOCK,
    LINES,
    Sealed,
    anchor_of,
    anchor_part,
    block_of,
    seal_piece,
)
from sidecar.model import sgr
from sidecar.model.scrollback import Manifest, after_lines

_SLIP = 8
"""So many lines may be printed between the look and the capture; less than :data:`ANCHOR`."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What tmux says of a pane: while it is the same, so is the text."""

    pid: int
    dead: bool
    width: int
    height: int
    history: int
    """Lines."""
    history_bytes: int
    """Of the screen as well."""
    alternate: bool
    activity: int
    """When something was last printed in the pane's window, in whole seconds."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is remembered of a pane's text: digests and counts, and no text."""

    facts: Facts
    settled: bool
    """Whatever is printed after this capture changes the facts."""
    wanted: int
    """Lines of history that it was to keep."""
    limit: int
    """Lines of history that tmux holds; at the limit it drops a tenth of them at once."""
    tail: int
    """Lines of history after the last sealed piece."""
    sealed: tuple[Sealed, ...]
    anchor: bytes
    """See :func:`anchor_of`: of the last sealed piece."""
    manifest: Manifest
    digest: str
    """Of the manifest; empty for a pane without text."""


@dataclass(frozen=True, slots=True)
class Text:
    """A pane's text as it was read."""

    sealed: tuple[Sealed, ...]
    anchor: bytes
    tail: int
    open: bytes
    """From the last seal to the bottom, without the empty lines below the last one."""
    fresh: Mapping[str, bytes]
    """The texts of newly sealed pieces, by digest."""


class Job(Protocol):
    """How one pane is captured."""

    def commands(self) -> Iterator[tuple[str, ...]]:
        """Arguments of ``capture-pane``, one body of the answer for each."""

    def outrun(self, now: Facts) -> bool:
        """Whether too much has happened since the look. ``now`` is the moment of the capture."""

    def short(self, now: Facts) -> bool:
        """Whether lines that are wanted were left out, since so much was printed since the look."""

    def read(self, now: Facts, limit: int, bodies: list[bytes]) -> Text | None:
        """None when there is doubt."""


@dataclass(frozen=True, slots=True)
class Whole:
    """All that is wanted, cut into pieces by tmux itself, at multiples of :data:`LINES`."""

    facts: Facts
    wanted: int

    def commands(self) -> Iterator[tuple[str, ...]]:
        history = self.facts.history
        for start in self._starts():
            yield ("-e", "-S", str(start - history), "-E", str(start + LINES - 1 - history))
        yield from _to_the_bottom(self.facts, history % LINES)

    def outrun(self, now: Facts) -> bool:
        return now.history < self.facts.history or now.alternate != self.facts.alternate

    def short(self, now: Facts) -> bool:
        return self.facts.history < min(now.history, self.wanted)

    def read(self, now: Facts, limit: int, bodies: list[bytes]) -> Text | None:
        pieces, bottom = bodies[: len(self._starts())], bodies[len(self._starts()) :]
        tail = self.facts.history % LINES
        if any(text.count(b"\n") != LINES for text in pieces) or bottom[0].count(b"\n") < tail:
            return None
        sealed = tuple(map(seal_piece, pieces))
        fresh = {one.piece.digest: text for one, text in zip(sealed, pieces, strict=True)}
        anchor = anchor_of(pieces[-1]) if pieces else b""
        return Text(sealed, anchor, tail, _open(b"", bottom), fresh)

    def _starts(self) -> range:
        history = self.facts.history
        return range(max(history - self.wanted, 0) // LINES * LINES, history // LINES * LINES, LINES)


@dataclass(frozen=True, slots=True)
class Growth:
    """The open end of a pane whose sealed pieces are known, and the lines that prove it."""

    facts: Facts
    known: Known
    trims: int
    """How often tmux must have dropped the oldest tenth meanwhile."""

    @property
    def tail(self) -> int:
        """Lines of history after the last seal, at the look."""
        return self.known.tail + self.facts.history - self.known.facts.history + self._step * self.trims

    @property
    def _step(self) -> int:
        return _step(self.known.limit)

    def commands(self) -> Iterator[tuple[str, ...]]:
        for _, above in self._probes():
            yield ("-S", str(-above - _SLIP), "-E", str(BLOCK - 1 - above))
        yield from _to_the_bottom(self.facts, self.tail + ANCHOR)

    def outrun(self, now: Facts) -> bool:
        return self._slip(now) is None or now.alternate != self.facts.alternate

    def short(self, now: Facts) -> bool:
        # What slips by is read too, and all before it is known.
        return False

    def read(self, now: Facts, limit: int, bodies: list[bytes]) -> Text | None:
        slip = self._slip(now)
        if slip is None or limit != self.known.limit or not _same(self.known, now):
            return None
        probes = [one for one, _ in self._probes()]
        for one, body in zip(probes, bodies, strict=False):
            if block_of(body.split(b"\n"), _SLIP - slip) != one.block:
                return None
        first, *rest = bodies[len(probes) :]
        start = after_lines(first, ANCHOR - slip)
        if anchor_of(first[:start]) != anchor_part(self.known.anchor, ANCHOR - slip):
            return None
        return self._sealed(sgr.carried(first[:start]), [first[start:], *rest], self.tail + slip)

    def _sealed(self, before: bytes, bottom: list[bytes], tail: int) -> Text | None:
        """Seal what has grown to a whole piece."""
        sealed, anchor = self.known.sealed, self.known.anchor
        fresh: dict[str, bytes] = {}
        while tail >= LINES:
            cut = after_lines(bottom[0], LINES)
            text = before + bottom[0][:cut]
            if text.count(b"\n") != LINES:
                return None
            before, bottom = sgr.carried(text), [bottom[0][cut:], *bottom[1:]]
            one = seal_piece(text)
            sealed, anchor, tail = (*sealed, one), anchor_of(text), tail - LINES
            fresh[one.piece.digest] = text
        return Text(sealed, anchor, tail, _open(before, bottom), fresh)

    def _probes(self) -> Iterator[tuple[Sealed, int]]:
        """Sealed pieces whose block is still in the history, and how far above the screen it begins."""
        above = self.tail
        for one in reversed(self.known.sealed):
            above += one.piece.lines
            if above - one.at + _SLIP <= self.facts.history:
                yield one, above - one.at

    def _slip(self, now: Facts) -> int | None:
        """How many lines were printed between the look and the capture."""
        printed = now.history - self.facts.history
        return next((slip for slip in (printed, printed + self._step) if 0 <= slip <= _SLIP), None)


def growth(known: Known, facts: Facts) -> Growth | None:
    """How to capture only what is new; None if that is not possible."""
    if not known.sealed or not _same(known, facts):
        return None
    trimming = facts.history >= known.limit - _step(known.limit)
    shrunk = facts.history < known.facts.history
    if (shrunk and not trimming) or (trimming and _step(known.limit) <= _SLIP):
        return None
    job = Growth(facts, known, int(shrunk))
    return job if 0 <= job.tail <= min(known.wanted, facts.history - ANCHOR) else None


def _step(limit: int) -> int:
    """How many lines tmux drops at once when a history is full."""
    return max(limit // 10, 1)


def _same(known: Known, facts: Facts) -> bool:
    """Whether it is the same process in lines of the same width, so that no line was wrapped anew."""
    return (known.facts.pid, known.facts.width) == (facts.pid, facts.width)


def _to_the_bottom(facts: Facts, lines: int) -> Iterator[tuple[str, ...]]:
    """The last lines of history and the screen. A full-screen program's picture is its own to draw
    again: instead of it comes the screen that it has covered."""
    if not facts.alternate:
        yield ("-e", "-S", str(-lines))
        return
    if lines:
        yield ("-e", "-S", str(-lines), "-E", "-1")
    yield ("-e", "-a", "-q")


def _open(before: bytes, bottom: list[bytes] | tuple[bytes, ...]) -> bytes:
    """The parts of an open end as one text; ``before`` sets the state in which it begins."""
    text = b"".join(part + sgr.ended(part) for part in bottom[:-1]) + bottom[-1]
    text = text.rstrip(b"\n")
    return before + text + b"\n" if text else b""
