"""Sealed pieces of a pane's history, and the few bytes by which they are known again. Pure.

Lines are compared by their words alone: the colours of a captured line depend on the line that the
capture began with.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.model import sgr
from sidecar.model.scrollback import Piece, digest_of

LINES = 256
"""Of history in a sealed piece."""
ANCHOR = 16
"""Lines just before the open end that are all compared."""
BLOCK = 4
"""Consecutive lines of each sealed piece that are compared."""
_HASH = 8
_PLACES = 8
"""Tried until the block has any words in it."""


@dataclass(frozen=True, slots=True)
class Sealed:
    """A piece of history that will not change any more."""

    piece: Piece
    at: int
    """Where in it the block begins, in lines."""
    block: bytes


def seal_piece(text: bytes) -> Sealed:
    """Seal a text of :data:`LINES` lines."""
    digest = digest_of(text)
    lines = text.split(b"\n")
    places = [int(digest[at : at + 4], 16) % (LINES - BLOCK + 1) for at in range(0, _PLACES * 4, 4)]
    at = next((at for at in places if any(map(sgr.plain, lines[at : at + BLOCK]))), places[0])
    return Sealed(Piece(digest, LINES), at, block_of(lines, at))


def block_of(lines: Sequence[bytes], at: int) -> bytes:
    """The hash of the block that begins there."""
    return _hash(b"\n".join(map(sgr.plain, lines[at : at + BLOCK])))


def anchor_of(text: bytes) -> bytes:
    """The hashes of the last lines, at most :data:`ANCHOR` of them, run together."""
    lines = text.split(b"\n")[:-1]
    return b"".join(_hash(sgr.plain(line)) for line in lines[-ANCHOR:])


def anchor_part(anchor: bytes, lines: int) -> bytes:
    """The anchor of the last so many of its lines."""
    return anchor[-lines * _HASH :]


def _hash(words: bytes) -> bytes:
    return hashlib.blake2b(words, digest_size=_HASH).digest()
