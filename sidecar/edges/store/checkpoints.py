"""Checkpoints and their scrollback. What does not match its checksum is quarantined, never used."""

from __future__ import annotations

import hashlib
import sqlite3
import zlib
from collections.abc import Callable, Collection, Sequence

from sidecar.edges.store import codec
from sidecar.edges.store.audit import Transaction
from sidecar.errors import CheckpointUnusable
from sidecar.model.policy import Retention
from sidecar.model.record import Action, Capture, Generation, StoredTotals
from sidecar.model.session import Checkpoint, Operation

Chooser = Callable[[Sequence[Generation], Retention, float], Collection[int]]
"""Which generations are kept."""


def add(
    tx: Transaction, capture: Capture, operation: Operation, body: str, packed: dict[str, bytes]
) -> Checkpoint:
    """Store one generation. ``packed`` holds compressed texts by digest."""
    digest = codec.checksum(body)
    cursor = tx.run(
        "INSERT INTO checkpoints (session, taken, operation, instance, checksum, size, body)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        capture.image.name, capture.taken, operation.value, capture.instance, digest, len(body), body,
    )  # fmt: skip
    number = int(cursor.lastrowid or 0)
    for key, blob in packed.items():
        tx.run(
            "INSERT OR IGNORE INTO scrollbacks (digest, size, packed) VALUES (?, ?, ?)",
            key, len(capture.scrollbacks[key]), blob,
        )  # fmt: skip
    for key in digests(capture):
        tx.run("INSERT INTO checkpoint_scrollbacks (checkpoint, digest) VALUES (?, ?)", number, key)
    tx.audit(
        Action.CHECKPOINT_CREATED,
        capture.taken,
        session=capture.image.name,
        reason=operation,
        detail={"checkpoint": number, "panes": capture.image.pane_count, "bytes": len(body)},
    )
    return Checkpoint(
        number,
        capture.image.name,
        capture.taken,
        operation,
        capture.instance,
        digest,
        len(body),
        capture.image,
    )


def digests(capture: Capture) -> set[str]:
    """The texts that an image refers to and that were given with it."""
    named = {pane.scrollback for window in capture.image.windows for pane in window.panes}
    return named & capture.scrollbacks.keys()


def pack(capture: Capture) -> dict[str, bytes]:
    """Compressed texts; level 1 costs 2 ms a megabyte. Runs outside the transaction."""
    return {key: zlib.compress(capture.scrollbacks[key], 1) for key in digests(capture)}


def newest(tx: Transaction, session: str, now: float) -> tuple[Checkpoint | None, int]:
    """The newest good one, and how many were quarantined on the way to it."""
    bad = 0
    for row in tx.all(
        "SELECT * FROM checkpoints WHERE session = ? AND quarantined = '' ORDER BY id DESC", session
    ):
        try:
            return _read(row), bad
        except CheckpointUnusable as error:
            bad += 1
            tx.run("UPDATE checkpoints SET quarantined = ? WHERE id = ?", str(error), row["id"])
            tx.audit(
                Action.CHECKPOINT_QUARANTINED,
                now,
                session=session,
                reason=str(error),
                detail={"checkpoint": row["id"]},
            )
    return None, bad


def scrollback(tx: Transaction, digest: str) -> bytes | None:
    """The text; None when it is missing or is not what its digest says."""
    row = tx.one("SELECT packed FROM scrollbacks WHERE digest = ?", digest)
    try:
        text = zlib.decompress(row["packed"]) if row else b""
    except (zlib.error, TypeError):
        return None
    return text if row and hashlib.sha256(text).hexdigest() == digest else None


def totals(tx: Transaction) -> tuple[StoredTotals, ...]:
    rows = tx.all(
        "SELECT c.session, COUNT(*) AS count, MAX(c.taken) AS newest, SUM(c.size) + COALESCE(("
        "  SELECT SUM(LENGTH(s.packed)) FROM scrollbacks s WHERE s.digest IN ("
        "    SELECT l.digest FROM checkpoint_scrollbacks l JOIN checkpoints k ON k.id = l.checkpoint"
        "    WHERE k.session = c.session)), 0) AS size"
        " FROM checkpoints c WHERE c.quarantined = '' GROUP BY c.session"
    )
    return tuple(StoredTotals(row["session"], row["count"], row["size"], row["newest"]) for row in rows)


def prune(tx: Transaction, chooser: Chooser, retention: Retention, now: float) -> int:
    """Remove what is not kept, and texts that nothing refers to any more."""
    removed = 0
    for (session,) in tx.all("SELECT DISTINCT session FROM checkpoints WHERE quarantined = ''"):
        rows = tx.all(
            "SELECT id, taken, size FROM checkpoints WHERE session = ? AND quarantined = ''", session
        )
        kept = set(chooser([Generation(*row) for row in rows], retention, now))
        for row in rows:
            if row["id"] not in kept:
                tx.run("DELETE FROM checkpoints WHERE id = ?", row["id"])
                removed += 1
    if removed:
        tx.run("DELETE FROM scrollbacks WHERE digest NOT IN (SELECT digest FROM checkpoint_scrollbacks)")
        tx.audit(Action.CHECKPOINTS_PRUNED, now, detail={"removed": removed})
    return removed


def _read(row: sqlite3.Row) -> Checkpoint:
    body = row["body"]
    if not isinstance(body, str) or not body.isascii() or codec.checksum(body) != row["checksum"]:
        raise CheckpointUnusable("the checksum does not match")
    try:
        operation = Operation(row["operation"])
    except ValueError as error:
        raise CheckpointUnusable(f"its operation is {row['operation']!r}") from error
    image = codec.decode(body)
    if image.name != row["session"]:
        raise CheckpointUnusable("it is a checkpoint of another session")
    return Checkpoint(
        row["id"],
        row["session"],
        row["taken"],
        operation,
        row["instance"],
        row["checksum"],
        row["size"],
        image,
    )
