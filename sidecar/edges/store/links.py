"""Which texts each checkpoint needs, against the rows that say so.

What no such row names is swept away, so a row that is lost would take a good checkpoint's text along.
A checkpoint knows how many it was given, so that a lost one shows without reading any body.
"""

from __future__ import annotations

from sidecar.edges.store import checkpoints, scrollbacks
from sidecar.edges.store.audit import Transaction
from sidecar.errors import CheckpointUnusable
from sidecar.model.record import Action
from sidecar.model.session import SessionImage

_SHORT = (
    "SELECT id FROM checkpoints c WHERE quarantined = '' AND texts IS NOT"
    " (SELECT COUNT(*) FROM checkpoint_scrollbacks l WHERE l.checkpoint = c.id) ORDER BY id"
)


def missing(tx: Transaction, checkpoint: int, image: SessionImage) -> frozenset[str]:
    """The stored texts that the checkpoint needs and no row of its own names."""
    linked = {
        row["digest"]
        for row in tx.all("SELECT digest FROM checkpoint_scrollbacks WHERE checkpoint = ?", checkpoint)
    }
    manifests = {pane.scrollback for window in image.windows for pane in window.panes} - {""}
    needed = manifests.union(*(scrollbacks.pieces(tx, digest) for digest in manifests))
    return frozenset(digest for digest in needed - linked if scrollbacks.is_stored(tx, digest))


def mend(tx: Transaction, now: float) -> int:
    """Make the lost rows of good checkpoints anew. Returns how many checkpoints had lost some."""
    mended = 0
    for (number,) in tx.all(_SHORT):
        (row,) = tx.all("SELECT * FROM checkpoints WHERE id = ?", number)
        try:
            lost = missing(tx, number, checkpoints.read(row).image)
        except CheckpointUnusable:
            # Whoever reads it puts it in quarantine.
            continue
        tx.many(
            "INSERT INTO checkpoint_scrollbacks (checkpoint, digest) VALUES (?, ?)",
            ((number, digest) for digest in lost),
        )
        tx.run(
            "UPDATE checkpoints SET texts = (SELECT COUNT(*) FROM checkpoint_scrollbacks"
            " WHERE checkpoint = checkpoints.id) WHERE id = ?",
            number,
        )
        if lost:
            mended += 1
            detail = {"checkpoint": number, "texts": len(lost)}
            tx.audit(Action.SCROLLBACK_RELINKED, now, session=str(row["session"]), detail=detail)
    return mended
