"""What rehearsals came to: one row for each session, the last one."""

from __future__ import annotations

import json
from dataclasses import asdict

from sidecar.edges.store.audit import Transaction
from sidecar.model.plan import Difference
from sidecar.model.record import Action, Rehearsal


def keep(tx: Transaction, row: Rehearsal, action: Action | None) -> None:
    """Replace the session's row; those of sessions that have no checkpoint any more go."""
    differences = [asdict(difference) for difference in row.differences]
    tx.run(
        "INSERT OR REPLACE INTO rehearsals (session, checkpoint, checksum, restorable, at, differences)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        row.session, row.checkpoint, row.checksum, row.restorable, row.at, json.dumps(differences),
    )  # fmt: skip
    tx.run(
        "DELETE FROM rehearsals WHERE NOT EXISTS"
        " (SELECT 1 FROM checkpoints WHERE checkpoints.session = rehearsals.session)"
    )
    if action is not None:
        detail = {"checkpoint": row.checkpoint, "differences": differences}
        tx.audit(action, row.at, session=row.session, detail=detail)


def read_all(tx: Transaction) -> tuple[Rehearsal, ...]:
    return tuple(
        Rehearsal(
            session=row["session"],
            checkpoint=row["checkpoint"],
            checksum=row["checksum"],
            restorable=bool(row["restorable"]),
            at=row["at"],
            differences=tuple(Difference(**one) for one in json.loads(row["differences"])),
        )
        for row in tx.all("SELECT * FROM rehearsals ORDER BY session")
    )
