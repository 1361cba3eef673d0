"""Bringing a database up to date: what each release has added, in order.

Most starts have nothing to bring up to date, and a new database is made as it is now. Only the others
need sqlite-utils, which would keep more memory for good than a hundred sessions take.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from sidecar.edges.store import views
from sidecar.edges.store.seal import seal_all

if TYPE_CHECKING:
    from sqlite_utils import Database

_SET = "sidecar"
"""Our name in the table in which sqlite-utils notes what has been done."""
_NOTES = """
CREATE TABLE "_sqlite_migrations" (id INTEGER PRIMARY KEY, migration_set TEXT, name TEXT, applied_at TEXT);
CREATE UNIQUE INDEX idx__sqlite_migrations_migration_set_name ON _sqlite_migrations (migration_set, name);
"""
"""That table, as sqlite-utils makes it."""

_MIGRATIONS: list[Callable[[Database], None]] = []


def _migration(change: Callable[[Database], None]) -> Callable[[Database], None]:
    """Register a step. Its name is noted in every database, and never changes."""
    _MIGRATIONS.append(change)
    return change


def bring_up_to_date(connection: sqlite3.Connection, *, empty: bool) -> None:
    """Make or change the tables until they are as they are now. ``empty``: there is none of ours."""
    done = applied(connection)
    if empty and not done:
        create(connection)
    elif names() - done:
        views.drop(connection)
        migrate(connection)


def names() -> set[str]:
    """All steps that this release knows."""
    return {change.__name__ for change in _MIGRATIONS}


def applied(connection: sqlite3.Connection) -> set[str]:
    """The steps that a database has had, by its own account."""
    if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = '_sqlite_migrations'").fetchone():
        return set()
    rows = connection.execute("SELECT name FROM _sqlite_migrations WHERE migration_set = ?", (_SET,))
    return {name for (name,) in rows}


def create(connection: sqlite3.Connection) -> None:
    """All tables of a new database, at once or not at all, with the note that no step is missing."""
    with connection:
        connection.execute("BEGIN IMMEDIATE")
        for statement in _statements(_NOTES + schema()):
            connection.execute(statement)
        connection.executemany(
            "INSERT INTO _sqlite_migrations (migration_set, name, applied_at)"
            " VALUES (?, ?, strftime('%Y-%m-%d %H:%M:%f+00:00'))",
            [(_SET, change.__name__) for change in _MIGRATIONS],
        )


def migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that are missing, each at once or not at all."""
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

    known = Migrations(_SET)
    for change in _MIGRATIONS:
        known()(change)
    known.apply(Database(connection))


def schema() -> str:
    """The tables as they are now; equal to the sum of the migrations."""
    return _sql("schema.sql")


def _statements(text: str) -> list[str]:
    return [statement for statement in text.split(";\n") if statement.strip()]


def _sql(name: str) -> str:
    return Path(__file__).with_name(name).read_text()


@_migration
def first(db: Database) -> None:
    """The tables of the first release."""
    for statement in _statements(_sql("first.sql")):
        db.execute(statement)


@_migration
def rehearsals(db: Database) -> None:
    """The results of rehearsals, for databases that were made without."""
    _create(db, "rehearsals")


@_migration
def compared(db: Database) -> None:
    """What a verdict has compared, for databases that were made without."""
    if "compared" not in db["recoveries"].columns_dict:
        db.execute("ALTER TABLE recoveries ADD COLUMN compared TEXT NOT NULL DEFAULT '{}'")


@_migration
def sealed(db: Database) -> None:
    """A checksum over the whole row of a checkpoint, not over its body alone."""
    if "seal" not in db["checkpoints"].columns_dict:
        db.execute("ALTER TABLE checkpoints ADD COLUMN seal TEXT NOT NULL DEFAULT ''")
        seal_all(db.conn)


@_migration
def headed(db: Database) -> None:
    """The head of the audit trail, for databases that were made without."""
    _create(db, "audit_head")
    db.execute(
        "INSERT OR IGNORE INTO audit_head (id, newest, hash)"
        " SELECT 1, id, hash FROM audit ORDER BY id DESC LIMIT 1"
    )


@_migration
def counted(db: Database) -> None:
    """How many texts a checkpoint has, so that a lost row of them shows."""
    if "texts" not in db["checkpoints"].columns_dict:
        db.execute("ALTER TABLE checkpoints ADD COLUMN texts INTEGER NOT NULL DEFAULT 0")
        db.execute(
            "UPDATE checkpoints SET texts ="
            " (SELECT COUNT(*) FROM checkpoint_scrollbacks WHERE checkpoint = checkpoints.id)"
        )


@_migration
def probed(db: Database) -> None:
    """Circuits with all their calls and their permits. What failed before is remembered by the open ones."""
    if "probe_until" not in db["circuits"].columns_dict:
        return
    db.execute("ALTER TABLE circuits RENAME TO circuits_before")
    _create(db, "circuits")
    db.execute(
        "INSERT INTO circuits SELECT name, state, '[]', opened, 0, '[]', 0, MAX(opened, probe_until)"
        " FROM circuits_before"
    )
    db.execute("DROP TABLE circuits_before")


@_migration
def totals(db: Database) -> None:
    """What retention took away, added up, for databases that were made without."""
    _create(db, "counted")


@_migration
def journal(db: Database) -> None:
    """Plans with their recoveries, and a row for each attempt at a step."""
    for column in (
        "plan TEXT NOT NULL DEFAULT ''",
        "resumed INTEGER NOT NULL DEFAULT 0",
        "stopped TEXT NOT NULL DEFAULT ''",
        "wanted TEXT NOT NULL DEFAULT '[]'",
        "transaction_outcome TEXT NOT NULL DEFAULT ''",
        "commands TEXT NOT NULL DEFAULT '[]'",
        "undo INTEGER NOT NULL DEFAULT 0",
    ):
        db.execute(f"ALTER TABLE recoveries ADD COLUMN {column}")
    db.execute("ALTER TABLE steps RENAME TO former_steps")
    _create(db, "steps")
    db.execute(
        "INSERT INTO steps (recovery, seq, kind, description, state, due, begun, ended, error)"
        " SELECT recovery, seq, kind, description, state, begun, begun, ended, error FROM former_steps"
    )
    db.execute("DROP TABLE former_steps")


@_migration
def climbed(db: Database) -> None:
    """Several attempts at one incident, and where sessions stand on their ladders."""
    _create(db, "footings")
    columns = db["recoveries"].columns_dict
    if "attempt" not in columns:
        db.execute("ALTER TABLE recoveries ADD COLUMN attempt INTEGER NOT NULL DEFAULT 1")
    if "manner" not in columns:
        db.execute("ALTER TABLE recoveries ADD COLUMN manner TEXT NOT NULL DEFAULT 'plain'")


@_migration
def looked_up(db: Database) -> None:
    """The recoveries of an incident, found without going through all of them."""
    db.execute("CREATE INDEX IF NOT EXISTS recoveries_by_incident ON recoveries (incident)")


@_migration
def notices(db: Database) -> None:
    """The queue of what people are told, for databases that were made without."""
    _create(db, "notices")
    db.execute("CREATE INDEX IF NOT EXISTS notices_by_channel ON notices (channel, state, id)")


@_migration
def said(db: Database) -> None:
    """What steps have done, in words."""
    if "said" not in db["steps"].columns_dict:
        db.execute("ALTER TABLE steps ADD COLUMN said TEXT NOT NULL DEFAULT ''")


@_migration
def silenced(db: Database) -> None:
    """Silences, what they keep from being told, and the checks that notices are about."""
    _create(db, "silences")
    _create(db, "withheld")
    if "check_name" not in db["notices"].columns_dict:
        db.execute("ALTER TABLE notices ADD COLUMN check_name TEXT NOT NULL DEFAULT ''")


@_migration
def checks(db: Database) -> None:
    """What is remembered of health checks, for databases that were made without."""
    _create(db, "checks")


@_migration
def diagnostics(db: Database) -> None:
    """What was seen before anything was done, for databases that were made without."""
    _create(db, "diagnostics")


@_migration
def programs(db: Database) -> None:
    """What is known of programs under supervision, for databases that were made without."""
    _create(db, "programs")
    _create(db, "program_starts")
    db.execute("CREATE INDEX IF NOT EXISTS program_starts_by_pane ON program_starts (session, pane, at)")


def _create(db: Database, table: str) -> None:
    """Make a table as it is now, unless it is there."""
    for statement in _statements(schema()):
        if statement.startswith(f"CREATE TABLE {table} "):
            db.execute(statement.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS", 1))
