"""Facts about this machine: each is asked of the door that knows it, off the loop where it takes time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sidecar.edges import pressure, process, script, surroundings
from sidecar.edges.folders import Folders
from sidecar.edges.guests import Guests
from sidecar.edges.heals.door import HealDoor
from sidecar.edges.stopped import StoppedDoor
from sidecar.edges.tmux.birth import birth_environment
from sidecar.edges.transcripts import Transcripts
from sidecar.model.record import Pressure, Usage
from sidecar.model.session import SessionImage
from sidecar.model.stress import Room
from sidecar.model.surroundings import Question, Surroundings


class LocalHost:
    """The machine that this runs on."""

    def __init__(
        self,
        transcripts: Transcripts,
        stopped: StoppedDoor,
        extensions: Guests,
        healer: HealDoor,
        state: Path,
    ) -> None:
        self._state = state
        self._transcripts = transcripts
        self._boot_id = process.boot_id()
        self._folders = Folders()
        self._stopped = stopped
        self._extensions = extensions
        self._healer = healer

    @property
    def stopped(self) -> StoppedDoor:
        return self._stopped

    @property
    def extensions(self) -> Guests:
        return self._extensions

    @property
    def healer(self) -> HealDoor:
        return self._healer

    @property
    def boot_id(self) -> str:
        return self._boot_id

    def missing_folders(self, paths: Iterable[str]) -> tuple[str, ...]:
        wanted = set(paths)
        return tuple(sorted(wanted - self._folders.real(wanted).keys()))

    async def pressure(self, server: int = 0) -> Pressure:
        return await asyncio.to_thread(pressure.read, server=server)

    async def room(self) -> Room | None:
        return await asyncio.to_thread(pressure.room, self._state)

    async def transcripts(self, image: SessionImage) -> Mapping[str, frozenset[str]]:
        return await asyncio.to_thread(self._transcripts.known, image)

    async def surroundings(self, question: Question) -> Surroundings:
        return await asyncio.to_thread(surroundings.read, question)

    def real_folders(self, paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
        wanted = sorted(paths)
        found = self._folders.real(wanted)
        return tuple((path, found.get(path, path)) for path in wanted)

    async def run_script(self, arguments: Sequence[str], cwd: str, mark: str = "") -> None:
        await script.run_script(arguments, cwd, birth_environment((), os.environ), mark=mark)

    async def end_script(self, mark: str) -> None:
        await asyncio.to_thread(script.end_script, mark)

    async def command_lines(
        self, roots: Mapping[str, tuple[int, ...]]
    ) -> Mapping[str, tuple[tuple[str, ...], ...]]:
        return await asyncio.to_thread(process.command_lines, roots)

    async def usage(self, roots: Mapping[str, tuple[int, ...]]) -> Mapping[str, Usage]:
        return await asyncio.to_thread(process.usage, roots)
