"""The database file: where it lies, who may read it, how it is opened and brought up to date.

A damaged file is moved aside and said so; it is never deleted. What can still be read of it goes into
a new one: checkpoints and texts are sealed, so nothing wrong can come with them.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
import stat
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from sidecar.edges.aside import free_name, is_misplaced, put_aside
from sidecar.edges.lock import lock
from sidecar.edges.store import migrations, views
from sidecar.edges.store.salvage import UNREADABLE, salvage
from sidecar.edges.store.wal import left_out
from sidecar.errors import DiskFull, Permanent, StoreUnavailable, UnsafeState

FILE = "sidecar.db"
_LOCK = "sidecar.lock"
_OVERFLOW_UID = 65_534
"""Owns, in a container's user namespace, what belongs to nobody in it."""
BUSY_MILLISECONDS = 1000
_CACHE_KIB = 512
"""Of pages that SQLite keeps; what it reads again comes from the page cache of the kernel."""


def prepare_folder(folder: Path) -> None:
    """Make the state folder, or see that it is ours alone.

    Raises:
        UnsafeState: it belongs to another user, or another user could put another one in its place.
        Permanent: it can be neither made nor used.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Permanent(
            f"the state folder {folder} cannot be made: {error.strerror}",
            hint="Choose another folder with --state.",
        ) from error
    facts = folder.stat()
    if facts.st_uid != os.getuid():
        raise UnsafeState(
            f"{folder} belongs to uid {facts.st_uid}", hint="Choose another folder with --state."
        )
    if stat.S_IMODE(facts.st_mode) & 0o077:
        folder.chmod(0o700)
    for above in folder.resolve().parents:
        facts = above.stat()
        free_for_all = facts.st_mode & stat.S_IWOTH and not facts.st_mode & stat.S_ISVTX
        if free_for_all or facts.st_uid not in (0, os.getuid(), _OVERFLOW_UID):
            raise UnsafeState(
                f"others may rename what is in {above}, and so put another folder in place of {folder}",
                hint=f"chmod o-w {above}, or choose another folder with --state.",
            )


def lock_state(folder: Path) -> int:
    """The lock of the state folder; see :mod:`sidecar.edges.lock`.

    Raises:
        Permanent: its file cannot be written.
    """
    try:
        return lock(folder / _LOCK, f"the state in {folder}")
    except OSError as error:
        raise Permanent(
            f"{folder / _LOCK} cannot be written: {error.strerror}", hint="Check the disk and its folder."
        ) from error


@dataclass(frozen=True, slots=True)
class Opened:
    """A database that is fit for use, and what had to be done for it."""

    connection: sqlite3.Connection
    set_aside: Path | None = None
    """Where a damaged file was moved."""
    fresh: bool = False
    """It was made just now, or nothing was in it."""
    cut_off: bool = False
    """The write-ahead log was damaged: what was written last before the last end is gone."""


def open_database(folder: Path, now: float) -> Opened:
    """Open and migrate. ``now`` is wall seconds.

    Raises:
        Permanent: the file was written by a newer release.
        StoreUnavailable: it is locked, or the disk cannot take it.
    """
    path = folder / FILE
    try:
        aside = _clear_the_way(path, now)
        return replace(_open(path), set_aside=aside) if aside is None else _salvaged(path, aside)
    except OSError as error:
        raise Permanent(
            f"{path} cannot be opened: {error.strerror}",
            hint="Check its owner and mode, or choose another folder with --state.",
        ) from error
    except UNREADABLE as error:
        if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
            raise unavailable(error) from error
        return _salvaged(path, _set_aside(path, now))


def _clear_the_way(path: Path, now: float) -> Path | None:
    """Put aside what SQLite would take for an empty database, or could not open: where it is now."""
    wal, shm = (path.with_name(f"{path.name}-{ending}") for ending in ("wal", "shm"))
    if is_misplaced(path) or (wal.is_file() and wal.stat().st_size and not _size(path)):
        # SQLite deletes the log of a database that is empty, though all may be in it.
        return _set_aside(path, now)
    moved = [put_aside(one) for one in (wal, shm) if is_misplaced(one) or one.is_symlink()]
    return _set_aside(path, now) if moved else None


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _salvaged(path: Path, aside: Path) -> Opened:
    """A new database with what can still be read of the one that was put aside."""
    opened = _open(path)
    if aside.is_file() or aside.with_name(f"{aside.name}-wal").is_file():
        salvage(aside, opened.connection)
    return replace(opened, set_aside=aside)


def unavailable(error: Exception) -> StoreUnavailable:
    """A database error as one of ours, with what to do."""
    words = str(error)
    if _is_the_disk(error):
        return DiskFull(
            f"the database does not take the write: {words}",
            hint="Free some space on the disk that holds the state folder, and see that it works.",
        )
    if "locked" in words or "busy" in words:
        hint = "Another program holds a write lock on it; end that program."
    else:
        hint = "Check the state folder's disk and permissions."
    return StoreUnavailable(f"the database does not take the write: {words}", hint=hint)


def _is_the_disk(error: Exception) -> bool:
    """Whether it is full or does not work, by the primary code of SQLite's answer."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def lenient(raw: bytes) -> str:
    """A stored text. A damaged one has to be readable, or no checksum could be held against it."""
    return raw.decode("utf-8", "replace")


def is_in_use(folder: Path) -> bool:
    """Whether a service holds the lock of this state folder."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _open(path: Path) -> Opened:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(descriptor)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MILLISECONDS}")
        if not _size(path):
            # Only before the first page; it lets empty pages be given back in portions.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        connection.execute("PRAGMA journal_mode = WAL")
        frames = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
        cut_off = left_out(path.with_name(f"{path.name}-wal"), max(frames, 0))
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.text_factory = lenient
        _check(connection)
        connection.row_factory = sqlite3.Row
        fresh = not tables(connection)
        _refuse_newer(connection)
        migrations.bring_up_to_date(connection, empty=fresh)
        if tables(connection) != _wanted_tables():
            raise sqlite3.DatabaseError("the tables are not as they were made")
        views.refresh(connection)
    except BaseException:
        connection.close()
        raise
    return Opened(connection, fresh=fresh, cut_off=cut_off)


def _check(connection: sqlite3.Connection) -> None:
    """See that the file is whole. A damaged index is made anew from its table, where every row is sealed."""
    if _complaint(connection):
        connection.execute("REINDEX")
        if complaint := _complaint(connection):
            raise sqlite3.DatabaseError(complaint)


def _complaint(connection: sqlite3.Connection) -> str:
    answer = str(connection.execute("PRAGMA integrity_check(1)").fetchone()[0])
    return "" if answer == "ok" else answer


def look_through(path: Path) -> str:
    """What is wrong with any page of the database; empty if nothing is. Beside whoever writes it.

    Raises:
        StoreUnavailable: it could not be looked at.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as connection:
            answer = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.DatabaseError as error:
        raise StoreUnavailable(f"the database cannot be read: {error}", hint="Look at its disk.") from error
    return "" if answer == "ok" else answer


def tables(connection: sqlite3.Connection) -> dict[str, str]:
    """What makes each table and index of ours, in one spelling. Views hold nothing, and are made anew."""
    rows = connection.execute(
        "SELECT name, sql FROM sqlite_master"
        " WHERE sql NOT NULL AND type != 'view' AND name NOT LIKE '%sqlite%'"
    )
    return {name: "".join(sql.split()) for name, sql in rows}


def _wanted_tables() -> dict[str, str]:
    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(migrations.schema())
        return tables(connection)


def _refuse_newer(connection: sqlite3.Connection) -> None:
    newer = migrations.applied(connection) - migrations.names()
    if newer:
        raise Permanent(
            f"the database was written by a newer release (it has {', '.join(sorted(newer))})",
            hint="Upgrade tmux-sidecar, or use another --state.",
        )


def _is_damage(error: sqlite3.OperationalError) -> bool:
    return "malformed" in str(error) or "not a database" in str(error)


def _set_aside(path: Path, now: float) -> Path:
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = free_name(path, f"damaged-{stamp}")
    for ending in ("", "-wal", "-shm"):
        source = path.with_name(path.name + ending)
        if source.exists():
            source.rename(aside.with_name(aside.name + ending))
    return aside
