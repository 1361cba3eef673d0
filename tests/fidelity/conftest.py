"""A real server that is lost, and what came back of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace

import pytest

from sidecar.decide.compare import Comparison, compare
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.text import script
from sidecar.model.record import Capture
from sidecar.model.session import Look, Pane, SavedPane, SessionImage
from tests.box import TmuxBox
from tests.edges.conftest import door, no_unit, runner
from tests.edges.texts import texts_of

__all__ = ["door", "no_unit", "runner"]


@dataclass(repr=False)
class Patient:
    """A server, the door to it, and how it is lost and found."""

    tmux: TmuxBox
    runner: TmuxRunner
    door: TmuxDoor

    async def do(self, *lines: str, strict: bool = True) -> None:
        """Commands in tmux's own language, as a person would have typed them; the first starts the server."""
        file = self.tmux.folder / "commands"
        file.write_bytes(script(*lines))
        await asyncio.to_thread(self.tmux.run, "start-server", ";", "source-file", str(file), check=strict)

    async def settled(self) -> Look:
        """A look in which every pane has become what it was started as."""
        while True:
            look = await self.door.look()
            panes = [pane for session in look.sessions for pane in session.panes()]
            if all(pane.cwd and _has_started(pane) for pane in panes):
                return look
            await asyncio.sleep(0.01)

    async def take(self, lines: int = 0) -> dict[str, Capture]:
        """A capture of every session."""
        look = await self.settled()
        return {
            session.name: await self.door.capture(session, look, lines, 1.0, private=False)
            for session in look.sessions
        }

    async def lose(self) -> None:
        """kill -9 of the server, if there is one."""
        await asyncio.to_thread(self.tmux.lose)

    async def restore(self, captures: Iterable[Capture]) -> None:
        """One after the other, as recoveries do."""
        for capture in captures:
            await self.door.rebuild(capture.image, texts_of(capture))

    async def differences(self, before: dict[str, Capture]) -> list[str]:
        """What is not as it was, once everything has started; empty for a perfect copy."""
        found: list[str] = []
        for _ in range(100):
            after = await self.take()
            found = [
                f"{each.where}: {each.field}: {each.wanted!r} became {each.found!r}"
                for name, old in before.items()
                for each in compared(old.image, after[name].image if name in after else None).differences
            ] + [f"session {name} is new" for name in after.keys() - before.keys()]
            if not found:
                break
            await asyncio.sleep(0.02)
        return found

    async def round_trip(self, *, backwards: bool = False) -> list[str]:
        """Capture everything, lose the server, restore everything; what differs afterwards."""
        before = await self.take()
        await self.lose()
        captures = list(before.values())
        await self.restore(reversed(captures) if backwards else captures)
        return await self.differences(before)


def _has_started(pane: Pane) -> bool:
    """Whether the pane's process is the one that it is going to be."""
    argv = pane.argv
    on_its_way = argv[1:2] == ("-c",) and argv[2].startswith(("sleep", "exec", "cd", "printf"))
    return bool(argv) and not argv[0].startswith("tmux") and not on_its_way


def compared(wanted: SessionImage, found: SessionImage | None) -> Comparison:
    """But for text, which a shell prints anew, and for the names that windows give to themselves."""
    nothing = replace(wanted, windows=(), environment=(), options=None)
    return compare(_steady(wanted), _steady(found or nothing))


def _steady(image: SessionImage) -> SessionImage:
    def bare(pane: SavedPane) -> SavedPane:
        return replace(pane, scrollback="")

    windows = tuple(
        replace(w, panes=tuple(map(bare, w.panes)), name="" if w.automatic_rename else w.name)
        for w in image.windows
    )
    return replace(image, windows=windows)


@pytest.fixture
def patient(tmux: TmuxBox, runner: TmuxRunner, door: TmuxDoor) -> Patient:
    return Patient(tmux, runner, door)
