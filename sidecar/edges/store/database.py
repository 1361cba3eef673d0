"""The database file: where it lies, who may read it, how it is opened and brought up to date.

A file that is not a database is moved aside and said so; it is never deleted.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import stat
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import sqlite_utils
from sqlite_utils.migrations import Migrations

from sidecar.errors import AlreadyRunning, Permanent, StoreUnavailable, UnsafeState

FILE = "sidecar.db"
_LOCK = "sidecar.lock"
_BUSY_MILLISECONDS = 1000

migrations = Migrations("sidecar")


@migrations()
def first(db: sqlite_utils.Database) -> None:
    """The tables of the first release."""
    for statement in schema().split(";\n"):
        if statement.strip():
            db.execute(statement)


@migrations()
def rehearsals(db: sqlite_utils.Database) -> None:
    """The results of rehearsals, for databases that were made without."""
    for statement in schema().split(";\n"):
        if statement.startswith("CREATE TABLE rehearsals "):
            db.execute(statement.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))


@migrations()
def compared(db: sqlite_utils.Database) -> None:
    """What a verdict has compared, for databases that were made without."""
    if "compared" not in db["recoveries"].columns_dict:
        db.execute("ALTER TABLE recoveries ADD COLUMN compared TEXT NOT NULL DEFAULT '{}'")


def schema() -> str:
    """The tables as they are now; equal to the sum of the migrations."""
    return resources.files("sidecar.edges.store").joinpath("schema.sql").read_text()


def prepare_folder(folder: Path) -> None:
    """Make the state folder, or see that it is ours alone.

    Raises:
        UnsafeState: it belongs to another user.
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


def lock(path: Path, what: str) -> int:
    """Hold a lock file as long as this process lives; the kernel lets go of it whatever happens.

    Returns the descriptor to close.

    Raises:
        AlreadyRunning: another process holds it.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not path.exists() or path.stat().st_ino != os.fstat(descriptor).st_ino:
            # The holder before us has just removed the file that we have locked.
            os.close(descriptor)
            return lock(path, what)
    except OSError as error:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        pid = int(holder) if holder.isdigit() else 0
        raise AlreadyRunning(
            f"another sidecar (pid {pid or 'unknown'}) looks after {what}",
            pid=pid,
            hint="Stop it first, or use another --state and tmux socket.",
        ) from error
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    return descriptor


def lock_state(folder: Path) -> int:
    """The lock of the state folder; see :func:`lock`.

    Raises:
        Permanent: its file cannot be written.
    """
    try:
        return lock(folder / _LOCK, f"the state in {folder}")
    except OSError as error:
        raise Permanent(
            f"{folder / _LOCK} cannot be written: {error.strerror}", hint="Check the disk and its folder."
        ) from error


def open_database(folder: Path, now: float) -> tuple[sqlite_utils.Database, Path | None]:
    """Open and migrate. ``now`` is wall seconds.

    Returns the database and where a damaged one was moved, if one was.

    Raises:
        Permanent: the file was written by a newer release.
        StoreUnavailable: it is locked, or the disk cannot take it.
    """
    path = folder / FILE
    try:
        return _open(path), None
    except OSError as error:
        raise Permanent(
            f"{path} cannot be opened: {error.strerror}",
            hint="Check its owner and mode, or choose another folder with --state.",
        ) from error
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
            raise unavailable(error) from error
        aside = _set_aside(path, now)
        return _open(path), aside


def unavailable(error: sqlite3.Error) -> StoreUnavailable:
    """A database error as one of ours, with what to do."""
    words = str(error)
    if "locked" in words or "busy" in words:
        hint = "Another program holds a write lock on it; end that program."
    elif "full" in words:
        hint = "Free some space on the disk that holds the state folder."
    else:
        hint = "Check the state folder's disk and permissions."
    return StoreUnavailable(f"the database does not take the write: {words}", hint=hint)


def _open(path: Path) -> sqlite_utils.Database:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    os.close(descriptor)
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise sqlite3.DatabaseError(answer)
        connection.row_factory = sqlite3.Row
        db = sqlite_utils.Database(connection)
        _refuse_newer(db)
        migrations.apply(db)
    except BaseException:
        connection.close()
        raise
    return db


def _refuse_newer(db: sqlite_utils.Database) -> None:
    # To an empty database, all that is known here is still to be done.
    known = {migration.name for migration in migrations.pending(sqlite_utils.Database(memory=True))}
    newer = {migration.name for migration in migrations.applied(db)} - known
    if newer:
        raise Permanent(
            f"the database was written by a newer release (it has {', '.join(sorted(newer))})",
            hint="Upgrade tmux-sidecar, or use another --state.",
        )


def _is_damage(error: sqlite3.OperationalError) -> bool:
    return "malformed" in str(error) or "not a database" in str(error)


def _set_aside(path: Path, now: float) -> Path:
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for ending in ("", "-wal", "-shm"):
        source = path.with_name(path.name + ending)
        if source.exists():
            source.rename(aside.with_name(aside.name + ending))
    return aside
