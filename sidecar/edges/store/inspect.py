"""Everything that is stored, checked without a running service and without writing a byte.

Reads the file beside a running service as well: SQLite's log gives each reader one unchanging view.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sidecar.edges.store import checkpoints, links, scrollbacks
from sidecar.edges.store.audit import Transaction
from sidecar.edges.store.chain import verify
from sidecar.edges.store.database import FILE, is_in_use, lenient
from sidecar.edges.store.trail import page
from sidecar.edges.store.wal import left_out
from sidecar.errors import CheckpointUnusable, Permanent
from sidecar.model.audit import AuditFilter, Chain, Head
from sidecar.model.record import AuditRow
from sidecar.model.session import Checkpoint

PAGE = 500
"""Rows of the audit trail that are held at once."""
_BUSY_MILLISECONDS = 5000


@dataclass(frozen=True, slots=True)
class Damage:
    """One thing that is wrong, and where."""

    where: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Report:
    """What was looked at, and everything that is wrong with it."""

    checkpoints: int
    texts: int
    records: int
    faults: tuple[Damage, ...]

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def inspect(folder: Path) -> Report:
    """Check the database in a state folder.

    Raises:
        Permanent: there is none, or it may not be read.
    """
    # Of a log that is being written, the last part is never whole.
    cut_off = not is_in_use(folder) and left_out(folder / f"{FILE}-wal")
    try:
        with opened(folder) as tx:
            return _Inspection(tx, cut_off).report()
    except sqlite3.DatabaseError as error:
        return Report(0, 0, 0, (Damage("database", f"it cannot be read: {error}"),))


def inspect_chain(folder: Path, noted: Head | None = None) -> Chain:
    """Check the audit trail, against a head that was noted elsewhere too if there is one.

    Raises:
        Permanent: there is no database, or it cannot be read.
    """
    try:
        with opened(folder) as tx:
            return verify(tx, noted)
    except sqlite3.DatabaseError as error:
        raise _unreadable(error) from error


def audit_pages(folder: Path, wanted: AuditFilter) -> Iterator[tuple[AuditRow, ...]]:
    """The rows of the trail, oldest first, a page at a time; each page is a reading of its own.

    Raises:
        Permanent: there is no database, or it cannot be read.
    """
    after = 0
    while True:
        try:
            with opened(folder) as tx:
                rows = page(tx, after, PAGE, wanted)
        except sqlite3.DatabaseError as error:
            raise _unreadable(error) from error
        if not rows:
            return
        after = rows[-1].id
        yield rows


def _unreadable(error: sqlite3.DatabaseError) -> Permanent:
    return Permanent(f"the database cannot be read: {error}", hint="`sidecar checkpoint verify` tells more.")


@contextmanager
def opened(folder: Path) -> Iterator[Transaction]:
    """One transaction: everything is looked at as it was at one moment."""
    path = folder / FILE
    if not path.is_file():
        raise Permanent(
            f"there is no database in {folder}", hint="Name the service's state folder with --state."
        )
    try:
        connection = _connect(path)
    except sqlite3.OperationalError as error:
        raise Permanent(
            f"{path} cannot be read: {error}", hint="The user who runs the sidecar can read it."
        ) from error
    with closing(connection):
        tx = Transaction(connection)
        tx.run("BEGIN")
        yield tx


def _connect(path: Path) -> sqlite3.Connection:
    # Without a log nobody has it open, and SQLite needs nothing beside it: no file is made.
    lone = not path.with_name(f"{path.name}-wal").exists()
    mode = "mode=ro&immutable=1" if lone else "mode=ro"
    connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?{mode}", uri=True, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.text_factory = lenient
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    return connection


class _Inspection:
    def __init__(self, tx: Transaction, cut_off: bool) -> None:
        self._tx = tx
        self._cut_off = cut_off
        self._texts: dict[str, bool] = {}
        """Digests that were looked at, and whether the text is good."""

    def report(self) -> Report:
        faults = [*self._file(), *self._checkpoints(), *self._chain()]
        count = self._tx.all("SELECT (SELECT COUNT(*) FROM checkpoints), (SELECT COUNT(*) FROM audit)")[0]
        return Report(count[0], len(self._texts), count[1], tuple(faults))

    def _file(self) -> Iterator[Damage]:
        if self._cut_off:
            yield Damage("database", "its write-ahead log is damaged: what was written last is lost")
        for (words,) in self._tx.all("PRAGMA integrity_check"):
            if words != "ok":
                yield Damage("database", words)
        for row in self._tx.all("PRAGMA foreign_key_check"):
            yield Damage(f"table {row['table']}", f"row {row['rowid']} refers to nothing in {row['parent']}")

    def _checkpoints(self) -> Iterator[Damage]:
        for (number,) in self._tx.all("SELECT id FROM checkpoints ORDER BY id"):
            row = self._tx.one("SELECT * FROM checkpoints WHERE id = ?", number)
            assert row is not None
            where = f"checkpoint {number} of {row['session']}"
            if row["quarantined"]:
                yield Damage(where, f"in quarantine: {row['quarantined']}")
                continue
            # An earlier release knew no seals; its rows get them when the service opens the file.
            read = checkpoints.read if "seal" in row.keys() else checkpoints.read_unsealed  # noqa: SIM118
            try:
                found = read(row)
            except CheckpointUnusable as error:
                yield Damage(where, str(error))
            else:
                yield from self._scrollback(where, found)
                if lost := links.missing(self._tx, number, found.image):
                    sentence = f"{len(lost)} of its texts are not on its list; the next start mends that"
                    yield Damage(where, sentence)

    def _scrollback(self, where: str, found: Checkpoint) -> Iterator[Damage]:
        for window in found.image.windows:
            for pane in window.panes:
                digest = pane.scrollback
                if not digest:
                    continue
                if digest not in self._texts:
                    self._texts[digest] = not scrollbacks.read(self._tx, digest)[1]
                if not self._texts[digest]:
                    place = f"pane {window.index}.{pane.index}"
                    yield Damage(where, f"the scrollback of {place} is missing or damaged ({digest[:12]})")

    def _chain(self) -> Iterator[Damage]:
        broken = verify(self._tx).broken
        if broken is not None:
            yield Damage(f"audit record {broken.row}", broken.sentence)
