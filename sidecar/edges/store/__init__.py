"""The state store: SQLite in one file, migrated by sqlite-utils, that people can read with its tools."""

from sidecar.edges.store.store import Store

__all__ = ["Store"]
