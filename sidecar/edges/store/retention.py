"""Which generations go, and their going. Texts that nothing refers to any more go with them."""

from __future__ import annotations

import sqlite3
import sys
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace

from sidecar.edges.store import checkpoints, links, scrollbacks
from sidecar.edges.store.audit import Transaction
from sidecar.model.archive import Doomed, PruneReason
from sidecar.model.policy import Retention
from sidecar.model.record import Action, Generation

_NAMED = 200
"""Checkpoints that the record of a pruning names."""

Chooser = Callable[[Sequence[Generation], Retention, float], Collection[int]]
"""Which generations are kept."""


def doomed(tx: Transaction, chooser: Chooser, retention: Retention, now: float) -> tuple[Doomed, ...]:
    """What retention does not keep, session by session, oldest first. Changes nothing."""
    found = [*_surplus(tx, chooser, retention, now), *_spoiled(tx, retention, now)]
    return tuple(sorted(found, key=lambda one: (one.session, one.id)))


def prune(tx: Transaction, chooser: Chooser, retention: Retention, now: float) -> tuple[Doomed, ...]:
    """Remove what retention does not keep; gives back what is gone."""
    gone = doomed(tx, chooser, retention, now)
    for one in gone:
        tx.run("DELETE FROM checkpoints WHERE id = ?", one.id)
    if gone:
        links.mend(tx, now)
        scrollbacks.sweep(tx)
        detail = {
            "removed": len(gone),
            "bytes": sum(one.size for one in gone),
            "checkpoints": [one.id for one in gone[:_NAMED]],
        }
        tx.audit(Action.CHECKPOINTS_PRUNED, now, detail=detail)
    return gone


def _surplus(tx: Transaction, chooser: Chooser, retention: Retention, now: float) -> Iterator[Doomed]:
    for (session,) in tx.all("SELECT DISTINCT session FROM checkpoints WHERE quarantined = ''"):
        rows = tx.all(
            "SELECT id, session, taken, size FROM checkpoints WHERE session = ? AND quarantined = ''", session
        )
        texts = _texts(tx, session)
        generations = [
            Generation(row["id"], row["taken"], row["size"], tuple(texts[row["id"]])) for row in rows
        ]
        kept = set(chooser(generations, retention, now))
        at_any_size = set(chooser(generations, replace(retention, max_bytes=sys.maxsize), now))
        for row in rows:
            if row["id"] not in kept:
                reason = PruneReason.BYTES if row["id"] in at_any_size else PruneReason.THINNED
                yield _doomed(row, reason)


def _spoiled(tx: Transaction, retention: Retention, now: float) -> Iterator[Doomed]:
    """Damaged ones are kept for ``max_age`` from when it was seen, so that a person can look into them."""
    rows = tx.all("SELECT id, session, taken, size FROM checkpoints WHERE quarantined != ''")
    since = checkpoints.quarantined_since(tx) if rows else {}
    for row in rows:
        if since.get(row["id"], now) < now - retention.max_age:
            yield _doomed(row, PruneReason.QUARANTINED)


def _texts(tx: Transaction, session: str) -> defaultdict[int, list[tuple[str, int]]]:
    """The texts of each generation of a session with their bytes as stored."""
    found: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)
    for number, digest, size in tx.all(
        "SELECT l.checkpoint, l.digest, LENGTH(s.packed) FROM checkpoints c"
        " JOIN checkpoint_scrollbacks l ON l.checkpoint = c.id JOIN scrollbacks s ON s.digest = l.digest"
        " WHERE c.session = ?",
        session,
    ):
        found[number].append((digest, size))
    return found


def _doomed(row: sqlite3.Row, reason: PruneReason) -> Doomed:
    return Doomed(row["id"], row["session"], row["taken"], row["size"], reason)
