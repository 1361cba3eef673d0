"""What was seen of broken sessions, one row for each incident: JSON, cut to size and compressed.

Text of panes is in it. It is read by whoever may read checkpoints, and never logged.
"""

from __future__ import annotations

import sqlite3
import zlib
from dataclasses import replace

import msgspec

from sidecar import redact
from sidecar.edges.store.audit import Transaction
from sidecar.model.cut import halvings, shorter
from sidecar.model.diagnostics import LARGEST, Diagnostics, PaneFacts
from sidecar.model.record import Action

_NEWEST = (
    "SELECT id, taken FROM checkpoints WHERE session = (SELECT session FROM incidents WHERE id = ?1)"
    " AND quarantined = '' AND taken <= ?2 ORDER BY id DESC LIMIT 1"
)
_KEY = "-----BEGIN"
_LINES = 8
"""So many are searched for secrets in one go, which holds up the event loop."""
_INFLATED = 4 * LARGEST
"""Bytes; what is more than that was not stored by us."""


def pack(found: Diagnostics) -> tuple[int, bytes]:
    """Size and compressed bytes; at most :data:`LARGEST` before that. Runs outside the transaction."""
    cut = shorter(found, 0)
    cut = replace(cut, panes=tuple(map(_without_secrets, cut.panes)))
    body = b""
    for times in halvings():
        body = msgspec.json.encode(shorter(cut, times))
        if len(body) <= LARGEST:
            break
    return len(body), zlib.compress(body, 6)


def _without_secrets(pane: PaneFacts) -> PaneFacts:
    """Here and not where it was read: to look for them takes longer than all the rest."""
    if pane.tail is None:
        return pane
    return replace(
        pane, tail=replace(pane.tail, lines=_hidden(pane.tail.lines), covered=_hidden(pane.tail.covered))
    )


def _hidden(lines: tuple[str, ...]) -> tuple[str, ...]:
    """A few lines at a time, so that nobody else waits long; all of them where a key goes over many."""
    whole = any(_KEY in line for line in lines)
    step = len(lines) if whole else _LINES
    texts = (redact.text("\n".join(lines[at : at + step])) for at in range(0, len(lines), step or 1))
    return tuple(line for text in texts for line in text.split("\n"))


def keep(tx: Transaction, incident: int, found: Diagnostics, packed: tuple[int, bytes], now: float) -> None:
    """Store it, with the newest generation of that moment, in the place of an earlier one."""
    owner = tx.one("SELECT session, trace, cause FROM incidents WHERE id = ?", incident)
    if owner is None:
        return
    newest = tx.one(_NEWEST, incident, found.taken)
    size, body = packed
    tx.run(
        "INSERT OR REPLACE INTO diagnostics (incident, at, checkpoint, size, packed) VALUES (?, ?, ?, ?, ?)",
        incident, found.taken, newest["id"] if newest else None, size, body,
    )  # fmt: skip
    tx.audit(
        Action.DIAGNOSTICS_TAKEN,
        now,
        session=owner["session"],
        reason=owner["cause"],
        trace=owner["trace"],
        detail={
            "incident": incident,
            "panes": len(found.panes),
            "processes": sum(len(pane.tree.processes) for pane in found.panes),
            "stacks": sum(len(pane.stacks) for pane in found.panes),
            "missing": len(found.missing),
            "bytes": size,
            "waited": round(found.seconds, 4),
        },
    )


def read(tx: Transaction, incident: int) -> sqlite3.Row | None:
    """The row of an incident, with when its checkpoint was taken, if that is still there."""
    return tx.one(
        "SELECT d.*, c.taken FROM diagnostics d LEFT JOIN checkpoints c ON c.id = d.checkpoint"
        " WHERE d.incident = ?",
        incident,
    )


def unpack(row: sqlite3.Row) -> Diagnostics | None:
    """What was stored; None if it is damaged."""
    try:
        inflate = zlib.decompressobj()
        body = inflate.decompress(row["packed"], _INFLATED)
        found = msgspec.json.decode(body, type=Diagnostics)
    except (zlib.error, msgspec.DecodeError, TypeError):
        return None
    return replace(found, checkpoint=row["checkpoint"], checkpoint_taken=row["taken"])
