"""What is remembered of health checks: one row for each that fails, or whose heals have not helped."""

from __future__ import annotations

from sidecar.edges.store.audit import Transaction
from sidecar.model.check import CheckRow
from sidecar.model.record import Action


def keep(tx: Transaction, row: CheckRow) -> None:
    """Replace the check's row; one that passes needs none."""
    if not row.failing and not row.vain:
        tx.run("DELETE FROM checks WHERE name = ?", row.name)
        return
    tx.run(
        "INSERT OR REPLACE INTO checks (name, failing, vain, at) VALUES (?, ?, ?, ?)",
        row.name, row.failing, row.vain, row.at,
    )  # fmt: skip


def turned(tx: Transaction, row: CheckRow, subject: str, fact: str) -> None:
    """It fails from now on, or passes again."""
    keep(tx, row)
    action = Action.CHECK_FAILED if row.failing else Action.CHECK_PASSED
    tx.audit(action, row.at, session=subject, detail={"check": row.name, "found": fact})


def read_all(tx: Transaction) -> tuple[CheckRow, ...]:
    return tuple(
        CheckRow(row["name"], bool(row["failing"]), row["vain"], row["at"])
        for row in tx.all("SELECT * FROM checks ORDER BY name")
    )
