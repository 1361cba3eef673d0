"""Where questions wait for their turn: enough room for all, and what hangs only in its own way."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager, nullcontext

from sidecar.model.probe import CommandProbe, Probe, ProbeFault, ProbeResult

COMMANDS, HUNG = 8, 4
"""Commands that run at once; and how many of those that hung the last time, beside them."""


class Room:
    """A place for each question. Commands take turns, and one that hung last time only with its like."""

    def __init__(self) -> None:
        self._commands = asyncio.Semaphore(COMMANDS)
        self._hung = asyncio.Semaphore(HUNG)

    def place(self, probe: Probe, last: ProbeResult | None) -> AbstractAsyncContextManager[object]:
        if not isinstance(probe, CommandProbe):
            return nullcontext()
        hung = last is not None and last.fault is ProbeFault.COMMAND_HUNG
        return self._hung if hung else self._commands
