"""Giving space back to the file system: in portions, so that no write waits for long.

Pages that hold nothing are cut off the file's end, which SQLite does only in a database that was made
for it; one that was made by an earlier release is only shortened in its log.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.store.database import BUSY_MILLISECONDS
from sidecar.model.record import Trimmed

_PAGES = 256
"""Pages that are cut off in one go: about a megabyte."""
_SECONDS = 30.0
_IMPATIENT = 50
"""Milliseconds that SQLite waits for other programs with what may as well come later."""
_INCREMENTAL = 2
_LOOKED_AT = 400
"""Rows of an index that are looked at for SQLite's statistics."""

Run = Callable[[Callable[[], bool]], Awaitable[bool]]
"""Does something with the connection, in its thread, and nothing else of the store meanwhile."""


async def trim(connection: sqlite3.Connection, path: Path, run: Run, clock: Clock) -> Trimmed:
    """Give back what holds nothing."""
    before = _bytes(path)
    deadline = clock.monotonic() + _SECONDS
    await run(lambda: _shorten_log(connection))
    more = able = await run(lambda: _can_shrink(connection))
    while more and clock.monotonic() < deadline:
        more = await run(lambda: _cut_off(connection))
    await run(lambda: _look_at_indexes(connection) and _shorten_log(connection))
    return Trimmed(before, _bytes(path), able)


def _bytes(path: Path) -> int:
    files = (path.with_name(path.name + ending) for ending in ("", "-wal"))
    return sum(file.stat().st_size for file in files if file.exists())


def _can_shrink(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("PRAGMA auto_vacuum").fetchone()[0] == _INCREMENTAL)


def _cut_off(connection: sqlite3.Connection) -> bool:
    """A portion. Whether there is more; on a full disk the log is what grows, so it is emptied each time."""
    # It cuts off one page at each step, and this takes all steps.
    connection.executescript(f"PRAGMA incremental_vacuum({_PAGES})")
    emptied = _shorten_log(connection)
    return emptied and bool(connection.execute("PRAGMA freelist_count").fetchone()[0])


def _shorten_log(connection: sqlite3.Connection) -> bool:
    """Whether all of the log is in the file, and its own is empty; not while another program reads."""
    connection.execute(f"PRAGMA busy_timeout = {_IMPATIENT}")
    try:
        with contextlib.suppress(sqlite3.OperationalError):
            return not connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        return False
    finally:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")


def _look_at_indexes(connection: sqlite3.Connection) -> bool:
    connection.execute(f"PRAGMA analysis_limit = {_LOOKED_AT}")
    connection.execute("PRAGMA optimize").fetchall()
    return True
