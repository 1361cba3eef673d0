"""The audit trail from its old end: page by page, and what retention removes, signed off by a row.

Nothing is removed that is not as it was written: a trail with a break in it is evidence, and kept.
"""

from __future__ import annotations

from dataclasses import asdict

from sidecar.edges.store import counters
from sidecar.edges.store.audit import Transaction, read_audit
from sidecar.edges.store.chain import fault, start_of
from sidecar.model.audit import AuditFilter, Head, Pruned, TrailLimits
from sidecar.model.record import Action, AuditRow

_MOST = 5_000
"""Rows removed in one transaction, so that no other write waits long."""


def page(tx: Transaction, after: int, limit: int, wanted: AuditFilter) -> tuple[AuditRow, ...]:
    """So many rows behind the one with this id, oldest first."""
    rows = tx.all(
        "SELECT * FROM audit WHERE id > ?1 AND (?2 IS NULL OR session = ?2) AND (?3 IS NULL OR action = ?3)"
        " AND (?4 IS NULL OR at >= ?4) ORDER BY id LIMIT ?5",
        after, wanted.session, wanted.action, wanted.since, limit,
    )  # fmt: skip
    return tuple(read_audit(row) for row in rows)


def prune(tx: Transaction, limits: TrailLimits, now: float, most: int = _MOST) -> Pruned:
    """Remove the rows that the limits do not keep, oldest first, at most so many."""
    start = start_of(tx)
    too_old, too_many = _end(tx, now - limits.max_age), _newest(tx) - limits.max_records
    end = max(too_old, too_many)
    rows = tx.run("SELECT * FROM audit WHERE id <= ? ORDER BY id LIMIT ?", end, most)
    last, count, times = start, 0, (0.0, 0.0)
    for row in rows:
        if (broken := fault(row, last)) is not None:
            return Pruned(broken=broken)
        last, count = Head(row["id"], row["hash"]), count + 1
        times = (times[0] if count > 1 else row["at"], row["at"])
    if count:
        counters.keep(tx, last.newest)
        tx.run("DELETE FROM audit WHERE id <= ?", last.newest)
        signed = {"from": start.newest + 1, "to": last.newest, "count": count, "hash": last.hash}
        ages = {"from_at": times[0], "to_at": times[1], **asdict(limits)}
        reason = "max_age" if too_old >= last.newest else "max_records"
        tx.audit(Action.AUDIT_PRUNED, now, reason=reason, detail={**signed, **ages})
    return Pruned(count, more=last.newest < end)


def _end(tx: Transaction, before: float) -> int:
    """The last row of those that are all older: a clock that was set back leaves younger ones behind it."""
    kept = tx.one("SELECT id FROM audit WHERE at >= ? ORDER BY id LIMIT 1", before)
    return int(kept["id"]) - 1 if kept else _newest(tx)


def _newest(tx: Transaction) -> int:
    row = tx.one("SELECT MAX(id) AS id FROM audit")
    assert row is not None
    return int(row["id"] or 0)
