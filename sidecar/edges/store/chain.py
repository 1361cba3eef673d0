"""Whether the audit trail is whole: every row follows from the one before it, up to the head.

What retention has removed is signed off by a row of the trail itself (:data:`Action.AUDIT_PRUNED`),
which names the last row that went and its hash: the rows that are left have to begin there.
"""

from __future__ import annotations

import json
import sqlite3

from sidecar.edges.store.audit import Transaction, highest_given, link
from sidecar.model.audit import Break, Chain, Head
from sidecar.model.record import Action

COLUMNS = ("id", "at", "trace", "session", "action", "actor", "reason", "detail")
"""What a row's hash is over, beside the hash of the row before."""


def verify(tx: Transaction, noted: Head | None = None) -> Chain:
    """Check every row. ``noted`` is a head that was kept elsewhere, in the log for example."""
    start, head = start_of(tx), read_head(tx)
    count, first, broken, last = 0, 0, None, start
    for row in tx.run("SELECT * FROM audit ORDER BY id"):
        count, first = count + 1, first or row["id"]
        broken = broken or fault(row, last) or _noted_fault(row, noted)
        last = Head(row["id"], row["hash"])
    broken = broken or _end(tx, last, head) or _cut(tx, last) or _noted_end(last, start, noted)
    return Chain(count, first, last, broken)


def start_of(tx: Transaction) -> Head:
    """The row before the oldest that is kept, as the newest boundary signs it off."""
    for row in tx.all(
        "SELECT detail FROM audit WHERE action = ? ORDER BY id DESC", Action.AUDIT_PRUNED.value
    ):
        try:
            detail = json.loads(row["detail"])
            return Head(int(detail["to"]), str(detail["hash"]))
        except (ValueError, KeyError, TypeError):
            # Its own hash will not match either, and it is named then.
            continue
    return Head(0, "")


def read_head(tx: Transaction) -> Head | None:
    """The newest row as the head names it; None without one."""
    if not _knows_heads(tx):
        return None
    row = tx.one("SELECT newest, hash FROM audit_head")
    return Head(row["newest"], row["hash"]) if row else None


def fault(row: sqlite3.Row, before: Head) -> Break | None:
    """What is wrong with a row, given the one before it."""
    number = row["id"]
    if number > before.newest + 1:
        return Break(number, f"{_missing(before.newest + 1, number - 1)} before it")
    if number <= before.newest:
        return Break(number, f"it is not of the trail, which begins behind record {before.newest}")
    if row["hash"] != link(before.hash, [row[column] for column in COLUMNS]):
        return Break(number, "it was changed, or is not where it was")
    return None


def _noted_fault(row: sqlite3.Row, noted: Head | None) -> Break | None:
    if noted is None or noted.newest != row["id"] or noted.hash == row["hash"]:
        return None
    return Break(noted.newest, "it is not the record that was noted")


def _end(tx: Transaction, last: Head, head: Head | None) -> Break | None:
    """Whether the trail ends where the head says."""
    if head is None:
        gone = last.newest and _has_known_heads(tx)
        return Break(last.newest + 1, "the head is gone, and newer records may be") if gone else None
    if head.newest > last.newest:
        return Break(last.newest + 1, f"{_missing(last.newest + 1, head.newest)}, says the head")
    if head.newest < last.newest:
        return Break(head.newest + 1, f"it is not of the trail: the newest is {head.newest}, says the head")
    return None if head == last else Break(last.newest, "it is not the record that the head names")


def _cut(tx: Transaction, last: Head) -> Break | None:
    """Whether there were newer rows once, and the head was moved back to hide that."""
    given = highest_given(tx)
    if given > last.newest:
        return Break(last.newest + 1, f"{_missing(last.newest + 1, given)}: the database has had {given}")
    return None


def _noted_end(last: Head, start: Head, noted: Head | None) -> Break | None:
    if noted is None:
        return None
    if noted.newest > last.newest:
        return Break(last.newest + 1, f"{_missing(last.newest + 1, noted.newest)}: {noted.newest} was noted")
    if noted.newest == start.newest and noted.hash != start.hash:
        return Break(noted.newest, "what retention has removed is not the record that was noted")
    return None


def _knows_heads(tx: Transaction) -> bool:
    """A file of an earlier release, looked at without the service, has no head yet."""
    return tx.one("SELECT 1 FROM sqlite_master WHERE name = 'audit_head'") is not None


def _has_known_heads(tx: Transaction) -> bool:
    """Whether there was a table of it, though somebody may have dropped that."""
    made = "SELECT 1 FROM _sqlite_migrations WHERE name = 'headed'"
    listed = tx.one("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'") is not None
    return _knows_heads(tx) or (listed and tx.one(made) is not None)


def _missing(first: int, last: int) -> str:
    return f"record {first} is missing" if first == last else f"records {first} to {last} are missing"
