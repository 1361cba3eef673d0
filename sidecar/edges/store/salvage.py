"""What can still be read of a damaged database, brought into a new one.

Every table is read from both ends up to the damage. What comes over is not believed for that: rows
of checkpoints carry a seal, texts a digest, and the audit trail shows its gap.
"""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sidecar.edges.store.seal import seal_all

UNREADABLE = (sqlite3.DatabaseError, UnicodeDecodeError)
"""What damage raises. The second comes from the words of an error, which quote what was read."""

_PAGE = 4096

_PARENTLESS = (
    "DELETE FROM checkpoint_scrollbacks WHERE checkpoint NOT IN (SELECT id FROM checkpoints)"
    " OR digest NOT IN (SELECT digest FROM scrollbacks)",
    "DELETE FROM recoveries WHERE incident NOT IN (SELECT id FROM incidents)",
    "DELETE FROM steps WHERE recovery NOT IN (SELECT id FROM recoveries)",
)


def salvage(damaged: Path, into: sqlite3.Connection) -> int:
    """Copy what is readable; returns the number of rows. Never raises for what is not."""
    rows = 0
    with _readable_file(damaged) as file, contextlib.closing(_read_only(file)) as source:
        source.text_factory = into.text_factory
        # Even where the list of tables is damaged, read what it still has.
        source.execute("PRAGMA writable_schema = ON")
        into.execute("PRAGMA foreign_keys = OFF")
        into.execute("BEGIN IMMEDIATE")
        for table, key in _tables(into):
            # The file may be of an earlier release.
            columns = _readable_columns(source, table, _columns(into, table))
            for row in _readable(source, table, key, columns):
                rows += _insert(into, table, columns, row)
            if table == "checkpoints" and "seal" not in columns:
                seal_all(into)
        for statement in _PARENTLESS:
            into.execute(statement)
        into.execute("COMMIT")
        into.execute("PRAGMA foreign_keys = ON")
    return rows


@contextlib.contextmanager
def _readable_file(damaged: Path) -> Iterator[Path]:
    """The file itself; where it is empty or no file, a copy of its log beside a blank page, since SQLite
    takes an empty file for a database that never had a log."""
    log = damaged.with_name(f"{damaged.name}-wal")
    if not log.is_file() or (damaged.is_file() and damaged.stat().st_size):
        yield damaged
        return
    with tempfile.TemporaryDirectory(dir=damaged.parent, prefix="salvage-") as folder:
        copy = Path(folder) / damaged.name
        copy.write_bytes(bytes(_PAGE))
        shutil.copyfile(log, copy.with_name(f"{copy.name}-wal"))
        yield copy


def _read_only(path: Path) -> sqlite3.Connection:
    """Whoever looks into the damage later has to find it as it was."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)


def _tables(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """The tables, each with what it is ordered by."""
    found = connection.execute(
        "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%sqlite%'"
    ).fetchall()
    return [
        (
            name,
            ", ".join(_columns(connection, name, keys=True)) if "WITHOUT ROWID" in sql else "rowid",
        )
        for name, sql in found
    ]


def _columns(connection: sqlite3.Connection, table: str, *, keys: bool = False) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})") if not keys or row[5]]


def _readable_columns(source: sqlite3.Connection, table: str, wanted: list[str]) -> list[str]:
    try:
        there = set(_columns(source, table))
    except UNREADABLE:
        return []
    return [column for column in wanted if column in there]


def _readable(
    source: sqlite3.Connection, table: str, key: str, columns: list[str]
) -> Iterator[tuple[object, ...]]:
    backward = ", ".join(f"{column} DESC" for column in key.split(", "))
    for order in (key, backward) if columns else ():
        try:
            yield from source.execute(
                f"SELECT {', '.join(columns)} FROM {table} NOT INDEXED ORDER BY {order}"
            )
        except UNREADABLE:
            continue
        return


def _insert(into: sqlite3.Connection, table: str, columns: list[str], row: tuple[object, ...]) -> int:
    """1 if it is new and fits."""
    names, marks = ", ".join(columns), ", ".join("?" * len(row))
    with contextlib.suppress(*UNREADABLE):
        return into.execute(f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})", row).rowcount
    return 0
