"""A session's generations under its new name: sealed anew, or in quarantine where they are not good."""

from __future__ import annotations

from dataclasses import replace

from sidecar.edges.store import checkpoints, codec
from sidecar.edges.store.audit import Transaction
from sidecar.edges.store.seal import SEALED, seal
from sidecar.errors import CheckpointUnusable


def rename(tx: Transaction, old: str, new: str, now: float) -> tuple[int, int]:
    """Let the checkpoints follow. Returns how many did, and how many were found damaged on the way."""
    moved = bad = 0
    for (number,) in tx.all("SELECT id FROM checkpoints WHERE session = ? AND quarantined = ''", old):
        (row,) = tx.all("SELECT * FROM checkpoints WHERE id = ?", number)
        try:
            image = checkpoints.read(row).image
        except CheckpointUnusable as error:
            bad += checkpoints.quarantine(tx, number, old, str(error), now)
            continue
        body = codec.encode(replace(image, name=new))
        changed = {"session": new, "checksum": codec.checksum(body), "size": len(body)}
        values = [changed.get(key, row[key]) for key in SEALED]
        tx.run(
            f"UPDATE checkpoints SET ({', '.join(SEALED)}, body, seal) ="
            f" ({', '.join('?' * len(SEALED))}, ?, ?) WHERE id = ?",
            *values, body, seal(values), number,
        )  # fmt: skip
        moved += 1
    # Its result is bound to the checksum that the checkpoint had.
    tx.run("DELETE FROM rehearsals WHERE session = ?", old)
    return moved, bad
