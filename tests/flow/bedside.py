"""Instruments that show what a test has laid out, and fail or hang when it says so."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sidecar.model.diagnostics import Machine, ProcessFacts, PythonStack, Subject, Tail, Tree
from sidecar.model.record import Pressure


@dataclass
class Bedside:
    """Implements :class:`sidecar.flow.ports.Instruments`."""

    shown: dict[str, Tail] = field(default_factory=dict)
    trees: dict[str, Tree] = field(default_factory=dict)
    python: tuple[PythonStack, ...] = ()
    deaf: tuple[str, ...] = ()
    late: str = ""
    trouble: dict[str, Exception] = field(default_factory=dict)
    """Errors to raise, by method, each time."""
    hangs: set[str] = field(default_factory=set)
    """Methods that do not come back."""
    calls: list[tuple[Any, ...]] = field(default_factory=list)

    async def _called(self, name: str, *facts: Any) -> None:
        self.calls.append((name, *facts))
        if name in self.hangs:
            await asyncio.Future()
        if name in self.trouble:
            raise self.trouble[name]

    async def tails(self, panes: Sequence[str]) -> Mapping[str, Tail]:
        await self._called("tails", *panes)
        return {pane: tail for pane, tail in self.shown.items() if pane in panes}

    async def processes(self, subjects: Sequence[Subject]) -> tuple[Mapping[str, Tree], str]:
        await self._called("processes", *subjects)
        keys = {one.key for one in subjects}
        return {key: tree for key, tree in self.trees.items() if key in keys}, self.late

    async def stacks(self, pids: Sequence[int]) -> tuple[PythonStack, ...]:
        await self._called("stacks", *pids)
        return self.python

    async def call_out(self, processes: Sequence[ProcessFacts], signal: str) -> tuple[str, ...]:
        await self._called("call_out", signal, *(one.pid for one in processes))
        return self.deaf

    async def machine(self, folders: Sequence[str], groups: Sequence[str]) -> tuple[Machine | None, str]:
        await self._called("machine", tuple(folders), tuple(groups))
        return Machine(Pressure(memory_available=0.5, load=0.1), 1 << 30), ""
