"""The state store: SQLite through sqlite-utils, in one file that people can read with its tools."""

from sidecar.edges.store.store import Store

__all__ = ["Store"]
