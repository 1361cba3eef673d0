"""The audit trail: rows that each carry a hash over themselves and the row before.

Any edit, removal or change of order breaks the chain; the head, which names the newest row, stands in
a table of its own, so that the loss of the newest rows is seen too (``chain`` checks it). The row is
written in the same transaction as the change that it explains.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sidecar.errand import OUR_OWN, Errand
from sidecar.model.plan import Plan
from sidecar.model.record import Action, AuditRow

SIDECAR = "sidecar"
"""The actor of what nobody has asked for."""


class Transaction:
    """One write transaction: plain SQL, and the audit rows that belong to it."""

    def __init__(self, connection: sqlite3.Connection, errand: Errand = OUR_OWN) -> None:
        """``errand``: on whose behalf it is, which every row tells."""
        self._connection = connection
        self._errand = errand
        self.audited = 0

    def run(self, sql: str, *values: object) -> sqlite3.Cursor:
        return self._connection.execute(sql, values)

    def many(self, sql: str, rows: Iterable[Sequence[object]]) -> None:
        self._connection.executemany(sql, rows)

    def one(self, sql: str, *values: object) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: object) -> list[sqlite3.Row]:
        return self._connection.execute(sql, values).fetchall()

    def audit(
        self,
        action: Action,
        at: float,
        *,
        session: str = "",
        actor: str = SIDECAR,
        reason: str = "",
        trace: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Append one row to the chain.

        Who has sent the errand stands in ``detail`` as ``by``, and as the actor where the sidecar itself
        would; its trace is the row's unless another one is named.
        """
        number, before = self._place()
        told = {**(detail or {}), **({"by": dict(self._errand.by)} if self._errand.by else {})}
        text = json.dumps(told, sort_keys=True, default=str)
        actor = self._errand.actor or actor if actor == SIDECAR else actor
        trace = trace or self._errand.trace
        values = (number, float(at), trace, session, action.value, str(actor), str(reason), text)
        digest = link(before, values)
        self.run(
            "INSERT INTO audit (id, at, trace, session, action, actor, reason, detail, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            *values,
            digest,
        )
        self.run("INSERT OR REPLACE INTO audit_head (id, newest, hash) VALUES (1, ?, ?)", number, digest)
        self.audited += 1

    def _place(self) -> tuple[int, str]:
        """The id of the next row, and the hash of the one before it, as the head has it.

        Whatever somebody has done to the rows, the next one can be written and does not mend the chain:
        it follows the newest that was written, behind every id that is taken. Where the head is gone, so
        may be rows: an id is passed over for good, which tells of it.
        """
        last = self.one("SELECT id, hash FROM audit ORDER BY id DESC LIMIT 1")
        head = self.one("SELECT newest, hash FROM audit_head")
        given = highest_given(self)
        if head is not None:
            return max(head["newest"], given) + 1, head["hash"]
        return (given + 2, last["hash"] if last else "") if given else (1, "")


def highest_given(tx: Transaction) -> int:
    """The highest id that a row of the trail has ever had, as SQLite remembers it; 0 if there was none."""
    row = tx.one(
        "SELECT MAX((SELECT COALESCE(MAX(id), 0) FROM audit),"
        " (SELECT COALESCE(MAX(seq), 0) FROM sqlite_sequence WHERE name = 'audit')) AS id"
    )
    assert row is not None
    return int(row["id"])


def link(before: str, values: Iterable[object]) -> str:
    """The hash of a row, given the hash of the one before."""
    return hashlib.sha256(json.dumps([before, *values], default=repr).encode()).hexdigest()


def decision(plan: Plan) -> dict[str, Any]:
    """What a record of a decision to act tells: the whole of it, and what it rests on."""
    finding = plan.finding
    return {
        "failure": finding.failure.kind,
        "unit": finding.failure.unit,
        "cause": finding.cause,
        "intent": finding.intent,
        "evidence": [asdict(fact) for fact in finding.evidence],
        "checkpoint": plan.checkpoint.id if plan.checkpoint else None,
        "fallback": plan.fallback,
        "steps": [step.describe() for step in plan.steps],
    }


def read_audit(row: sqlite3.Row) -> AuditRow:
    return AuditRow(
        id=row["id"],
        at=row["at"],
        trace=row["trace"],
        session=row["session"],
        action=_action(row["action"]),
        actor=row["actor"],
        reason=row["reason"],
        detail=json.loads(row["detail"]),
        hash=row["hash"],
    )


def _action(word: str) -> Action | str:
    """A word of ours; one that somebody has put there, or a later release, is shown as it is."""
    try:
        return Action(word)
    except ValueError:
        return word
