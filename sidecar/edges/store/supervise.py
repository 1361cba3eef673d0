"""Programs under supervision: what is known of each, and when each was started.

A start is written with the recovery that makes it, so that no crash of ours can lose it from the count.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from sidecar.edges.store.audit import Transaction
from sidecar.model.incident import Asker
from sidecar.model.plan import Plan
from sidecar.model.record import ProgramRow
from sidecar.model.supervise import Life

_KEPT = 8 * 86_400.0
"""Seconds; no period and no pace looks back further."""

FREE = "id NOT IN (SELECT recovery FROM program_starts)"
"""SQL: recoveries that cost something of the budgets, which restarts of programs do not."""


def keep(tx: Transaction, rows: Iterable[ProgramRow], now: float) -> None:
    """Replace what is known of these; a row with an ``action`` is put on record as well."""
    for row in rows:
        tx.run(
            "INSERT OR REPLACE INTO programs (session, pane, server, rule, life, at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            row.session, row.pane, row.server, row.rule, msgspec.json.encode(row.life).decode(), now,
        )  # fmt: skip
        if row.action is not None:
            detail = {"rule": row.rule, "pane": row.pane, "sentence": row.sentence}
            tx.audit(row.action, now, session=row.session, reason=row.reason, detail=detail)
    tx.run("DELETE FROM programs WHERE at < ?", now - _KEPT)


def read(tx: Transaction, server: str) -> tuple[ProgramRow, ...]:
    """All that is known of panes in this life of the server; what cannot be read is not."""
    found = []
    for row in tx.all("SELECT * FROM programs WHERE server = ?", server):
        try:
            life = msgspec.json.decode(row["life"], type=Life)
        except msgspec.DecodeError:
            continue
        found.append(ProgramRow(row["session"], row["pane"], row["server"], row["rule"], life))
    return tuple(found)


def rename(tx: Transaction, old: str, new: str) -> None:
    """They follow the session; what was known under the new name was another's."""
    if old == new:
        return
    for table in ("programs", "program_starts"):
        theirs = f"SELECT pane FROM {table} WHERE session = ?2"
        tx.run(f"DELETE FROM {table} WHERE session = ?1 AND pane IN ({theirs})", new, old)
        tx.run(f"UPDATE {table} SET session = ? WHERE session = ?", new, old)


def started(tx: Transaction, recovery: int, plan: Plan, asker: Asker, now: float) -> None:
    """A recovery begins that starts a program; nothing of any other kind."""
    finding = plan.finding
    if not finding.program:
        return
    (part,) = finding.failure.broken
    tx.run("DELETE FROM program_starts WHERE at < ?", now - _KEPT)
    tx.run(
        "INSERT INTO program_starts (recovery, session, pane, rule, asker, at) VALUES (?, ?, ?, ?, ?, ?)",
        recovery, plan.session, part.pane, finding.program, asker.value, now,
    )  # fmt: skip


def starts(tx: Transaction, session: str, pane: str, since: float) -> tuple[float, ...]:
    """When it was started, oldest first; a person who has it started begins the count anew."""
    rows = tx.all(
        "SELECT at FROM program_starts WHERE session = ?1 AND pane = ?2 AND at >= ?3 AND asker != ?4"
        " AND recovery > (SELECT COALESCE(MAX(recovery), 0) FROM program_starts"
        " WHERE session = ?1 AND pane = ?2 AND asker = ?4) ORDER BY at",
        session, pane, since, Asker.OPERATOR.value,
    )  # fmt: skip
    return tuple(row["at"] for row in rows)
