"""The texts of panes: manifests and pieces, compressed, each stored once under its SHA-256.

A checkpoint refers to every manifest and every piece that it needs, so what nothing refers to may
go. Nothing is given out that does not match its digest.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterable, Mapping

from sidecar.edges.store.audit import Transaction
from sidecar.errors import TextsMissing
from sidecar.model.record import Capture
from sidecar.model.scrollback import StoredText, assemble, decode, digest_of

_AT_ONCE = 500
"""Parameters of one statement; SQLite allows at least 999."""


def named(capture: Capture) -> set[str]:
    """The digests of all that the texts of this capture are made of."""
    pieces = {piece.digest for manifest in capture.manifests.values() for piece in manifest.pieces}
    return pieces | capture.manifests.keys()


def pack(capture: Capture) -> dict[str, tuple[int, bytes]]:
    """Size and compressed bytes, by digest, of all that may be new. Runs outside the transaction."""
    manifests = {digest: manifest.encode() for digest, manifest in capture.manifests.items()}
    blobs = {**capture.pieces, **manifests}
    return {digest: (len(blob), zlib.compress(blob, 1)) for digest, blob in blobs.items()}


def add(
    tx: Transaction,
    checkpoint: int,
    capture: Capture,
    packed: Mapping[str, tuple[int, bytes]],
    damaged: Collection[str],
) -> None:
    """Store what is new, and note what this checkpoint needs.

    Raises:
        TextsMissing: the capture counts on a piece that is not here, or is known to be ``damaged``.
    """
    wanted = named(capture)
    old = wanted - packed.keys()
    if old & set(damaged) or len(old) != _count(tx, old):
        raise TextsMissing(
            "pieces of scrollback that should be stored are not there", hint="All of it is captured anew."
        )
    # What is there and is not the same has been damaged: here is the cure.
    tx.many(
        "INSERT INTO scrollbacks (digest, size, packed) VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE"
        " SET size = excluded.size, packed = excluded.packed WHERE packed IS NOT excluded.packed",
        ((digest, size, blob) for digest, (size, blob) in packed.items()),
    )
    tx.many(
        "INSERT INTO checkpoint_scrollbacks (checkpoint, digest) VALUES (?, ?)",
        ((checkpoint, digest) for digest in wanted),
    )
    tx.run("UPDATE checkpoints SET texts = ? WHERE id = ?", len(wanted), checkpoint)


def read(tx: Transaction, digest: str) -> tuple[StoredText, frozenset[str]]:
    """The text behind a digest as far as it is good, and the digests of what is not."""
    bad: set[str] = set()

    def find(wanted: str) -> bytes | None:
        blob = _blob(tx, wanted)
        if blob is None:
            bad.add(wanted)
        return blob

    return assemble(find(digest), find), frozenset(bad)


def pieces(tx: Transaction, digest: str) -> frozenset[str]:
    """The digests of the pieces that a stored manifest names; none if it is damaged or a whole text."""
    blob = _blob(tx, digest)
    manifest = decode(blob) if blob is not None else None
    return frozenset(piece.digest for piece in manifest.pieces) if manifest else frozenset()


def is_stored(tx: Transaction, digest: str) -> bool:
    return tx.one("SELECT 1 FROM scrollbacks WHERE digest = ?", digest) is not None


def sweep(tx: Transaction) -> None:
    """Remove what no checkpoint refers to any more."""
    tx.run("DELETE FROM scrollbacks WHERE digest NOT IN (SELECT digest FROM checkpoint_scrollbacks)")


def _blob(tx: Transaction, digest: str) -> bytes | None:
    row = tx.one("SELECT packed FROM scrollbacks WHERE digest = ?", digest)
    try:
        blob = zlib.decompress(row["packed"]) if row else None
    except (zlib.error, TypeError):
        return None
    return blob if blob is not None and digest_of(blob) == digest else None


def _count(tx: Transaction, digests: Iterable[str]) -> int:
    """How many of them are here."""
    names = sorted(digests)
    return sum(
        tx.all(
            f"SELECT COUNT(*) FROM scrollbacks WHERE digest IN ({', '.join('?' * len(part))})",
            *part,
        )[0][0]
        for part in (names[at : at + _AT_ONCE] for at in range(0, len(names), _AT_ONCE))
    )
