"""Heartbeats: what may be done about a program that misses its own."""

from __future__ import annotations

from enum import StrEnum


class May(StrEnum):
    """What a rule lets be done about a program that misses its heartbeat, beyond saying so."""

    INTERRUPT = "interrupt"
    RESPAWN = "respawn"
    REBUILD = "rebuild"
