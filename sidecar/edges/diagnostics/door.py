"""All of these instruments together; every one has a time limit, and says what it could not read."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from sidecar.edges import cgroup, pressure
from sidecar.edges.diagnostics import callout, processes, spy
from sidecar.edges.diagnostics.processes import Found
from sidecar.edges.diagnostics.reading import Notes, Readings
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.tails import read_tails
from sidecar.errors import Temporary
from sidecar.model.diagnostics import MOST_STACKS, Machine, ProcessFacts, PythonStack, Subject, Tail, Tree
from sidecar.model.stress import Room

_ANSWER = 1.0
"""Seconds for tmux to answer; whoever cannot wait for so long goes on without."""
_STACK = 1.5
"""Seconds for one Python process."""


class DiagnosticsDoor:
    """Implements :class:`sidecar.flow.ports.Instruments`."""

    def __init__(
        self,
        runner: TmuxRunner,
        environment: Mapping[str, str] = os.environ,
        proc: Path = processes.PROC,
        seconds: float = 1.0,
    ) -> None:
        """
        Args:
            runner: starts clients of the tmux server.
            environment: whose PATH leads to py-spy.
            proc: where the kernel tells of processes.
            seconds: how long one reading of files may take.
        """
        self._runner = runner
        self._environment = environment
        self._proc = proc
        self._seconds = seconds
        self._readings = Readings()

    async def tails(self, panes: Sequence[str]) -> Mapping[str, Tail]:
        return await read_tails(self._runner, panes, _ANSWER)

    async def processes(self, subjects: Sequence[Subject]) -> tuple[Mapping[str, Tree], str]:
        notes: Notes[Found] = await self._readings.run(
            partial(processes.read, subjects, proc=self._proc), self._seconds
        )
        return {each.key: each.tree for each in notes.found}, notes.trouble

    async def stacks(self, pids: Sequence[int]) -> tuple[PythonStack, ...]:
        program = await asyncio.to_thread(spy.find, self._environment)
        if not program:
            raise Temporary(f"{spy.PROGRAM} is not installed", hint=spy.INSTALL)
        return tuple(await asyncio.gather(*(spy.dump(program, pid, _STACK) for pid in pids[:MOST_STACKS])))

    async def call_out(self, processes: Sequence[ProcessFacts], signal: str) -> tuple[str, ...]:
        return await asyncio.to_thread(callout.call_out, processes, signal)

    async def machine(self, folders: Sequence[str], groups: Sequence[str]) -> tuple[Machine | None, str]:
        work = partial(_machine, folders, groups)
        notes: Notes[Machine] = await self._readings.run(work, self._seconds)
        return (notes.found[-1] if notes.found else None), notes.trouble


def _machine(folders: Sequence[str], groups: Sequence[str], notes: Notes[Machine]) -> None:
    notes.at = "the memory and the pressure of the machine"
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    accounts = tuple(cgroup.account(Path(group)) for group in groups)
    found = Machine(pressure.read(), total, groups=accounts)
    notes.found.append(found)
    rooms: dict[str, Room] = {}
    for folder in folders:
        notes.at = f"the disk of {folder}"
        if (room := pressure.room(Path(folder))) is not None:
            rooms[folder] = room
            notes.found.append(replace(found, rooms=dict(rooms)))
