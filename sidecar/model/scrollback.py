"""The text of a pane as it is stored: pieces, each known by its SHA-256, and the list of them.

A pane's history only grows at one end, so two generations share all pieces but the last few. Each
piece begins in the terminal's default state, whatever the one before it ends in.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from sidecar.model import sgr

_MAGIC = b"tmux-sidecar scrollback 1\n"


def digest_of(blob: bytes) -> str:
    """SHA-256 in hex: the name under which a blob is stored."""
    return hashlib.sha256(blob).hexdigest()


@dataclass(frozen=True, slots=True)
class Piece:
    """Some consecutive lines of a pane."""

    digest: str
    lines: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a pane's text is made of, oldest piece first."""

    pieces: tuple[Piece, ...]
    skip: int = 0
    """Lines of the first piece that are too old to be wanted."""

    def encode(self) -> bytes:
        """The one blob of this manifest; its digest is what :attr:`SavedPane.scrollback` holds."""
        body = {"skip": self.skip, "pieces": [[piece.digest, piece.lines] for piece in self.pieces]}
        return _MAGIC + json.dumps(body, separators=(",", ":"), sort_keys=True).encode("ascii")


def decode(blob: bytes) -> Manifest | None:
    """The manifest in a blob whose digest has been checked; None if it is a whole text of old."""
    if not blob.startswith(_MAGIC):
        return None
    body = json.loads(blob[len(_MAGIC) :])
    return Manifest(tuple(Piece(digest, lines) for digest, lines in body["pieces"]), body["skip"])


@dataclass(frozen=True, slots=True)
class StoredText:
    """A pane's text out of the store, as far as it is still what was stored."""

    text: bytes
    lost: str = ""
    """What is missing, for people; empty if nothing is."""


def assemble(blob: bytes | None, find: Callable[[str], bytes | None]) -> StoredText:
    """The text behind a stored blob (None: it is lost). ``find`` gives a piece, or None if it is lost.

    What is lost is never passed over in silence: the text says so in its place.
    """
    if blob is None:
        return StoredText(_notice("the text of this pane is"), "the whole text")
    manifest = decode(blob)
    if manifest is None:
        return StoredText(blob)
    lost = 0
    parts: list[bytes] = []
    for number, piece in enumerate(manifest.pieces):
        skip = 0 if number else manifest.skip
        text = find(piece.digest)
        if text is None:
            lost += piece.lines - skip
            parts.append(_notice(f"{piece.lines - skip:,} lines are"))
        else:
            start = after_lines(text, skip)
            # What is skipped may have set the colour in which the rest begins.
            parts += [sgr.carried(text[:start]), text[start:], sgr.ended(text)]
    return StoredText(b"".join(parts), f"{lost:,} lines" if lost else "")


def after_lines(text: bytes, count: int) -> int:
    """Where the line begins that has so many before it; the text's end if there are not so many."""
    start = 0
    for _ in range(count):
        found = text.find(b"\n", start)
        if found < 0:
            return len(text)
        start = found + 1
    return start


def _notice(what: str) -> bytes:
    return f"-- sidecar: {what} missing here, since what was stored is damaged --\n".encode()
