"""A checksum over all that a checkpoint's row means.

The body has a checksum of its own, which stands among the sealed values: so a row can be checked
without reading its body, and nothing in it can change unseen.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable

SEALED = ("id", "session", "taken", "operation", "instance", "checksum", "size")
"""The sealed columns, in order."""


def seal(values: Iterable[object]) -> str:
    """SHA-256, in hex, of the values of :data:`SEALED`."""
    text = json.dumps([_plain(value) for value in values])
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def seal_all(connection: sqlite3.Connection) -> None:
    """Seal the rows of a release that knew no seals."""
    for row in connection.execute(f"SELECT {', '.join(SEALED)} FROM checkpoints").fetchall():
        connection.execute("UPDATE checkpoints SET seal = ? WHERE id = ?", (seal(row), row[0]))


def _plain(value: object) -> object:
    """Damage can turn a column into bytes, which have no place in JSON."""
    return ["bytes", value.hex()] if isinstance(value, bytes) else value
