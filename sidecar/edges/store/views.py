"""Views that make the database pleasant to read with other programs; nothing of ours reads them.

They are no part of what migrations bring up to date: at each opening they are made as they are now.
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

_NAME = re.compile(r"CREATE VIEW (\w+)")


def wanted() -> dict[str, str]:
    """What makes each view, by its name."""
    text = Path(__file__).with_name("views.sql").read_text()
    statements = [statement for statement in text.split(";\n") if statement.strip()]
    return {found[1]: statement for statement in statements if (found := _NAME.match(statement))}


def drop(connection: sqlite3.Connection) -> None:
    """Before tables are changed: SQLite refuses to rename one that a view reads."""
    for name in _present(connection).keys() & wanted().keys():
        connection.execute(f"DROP VIEW {name}")


def refresh(connection: sqlite3.Connection) -> None:
    """Make those that are not there, or are of another release; writes nothing if all are as they should."""
    present = _present(connection)
    for name, statement in wanted().items():
        if present.get(name) != statement:
            connection.execute(f"DROP VIEW IF EXISTS {name}")
            connection.execute(statement)


def _present(connection: sqlite3.Connection) -> dict[str, str]:
    return dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'").fetchall())
