"""The door to panes: whether they are there, what they show, and since when they have been silent."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sidecar.clock import Clock
from sidecar.edges.probes import search
from sidecar.edges.probes.finding import Finding, Unmeasured, span
from sidecar.edges.probes.vitals import silent
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.errors import SidecarError, TmuxAbsent, TmuxRefused
from sidecar.model.heal import PaneTarget
from sidecar.model.probe import ProbeFault
from sidecar.model.probe_tended import PaneProbe

_FORMATS = (
    "#{session_name}", "#{window_index}", "#{pane_index}", "#{pane_active}", "#{pane_id}", "#{pane_dead}",
    "#{pane_tty}", "#{window_name}",
)  # fmt: skip
_LISTING = ("display-message", "-p", "#{S:#{W:#{P:" + "\t".join(_FORMATS) + "\n}}}")
"""Not ``list-panes -a``, which tmux refuses where no session is."""
_FRESH = 1.0
"""Seconds for which a list of the panes serves."""
_SHOWN = 64 * 1024
"""Characters of a screen that are looked at."""


@dataclass(frozen=True, slots=True)
class _Row:
    session: str
    window: str
    index: str
    active: bool
    pane: str
    dead: bool
    terminal: str
    name: str


class Panes:
    """Lists the panes once for all who ask at about the same time."""

    def __init__(self, runner: TmuxRunner, clock: Clock) -> None:
        self._runner = runner
        self._clock = clock
        self._listing = asyncio.Lock()
        self._rows: list[_Row] = []
        self._until = float("-inf")

    async def look(self, probe: PaneProbe, seconds: float) -> Finding:
        """One look within ``seconds``.

        Raises:
            Unmeasured: tmux does not answer as it should.
        """
        try:
            row = _row_of(await self._list(seconds), probe.target)
            if row is None:
                return Finding(ProbeFault.NO_PANE, f"there is no pane {probe.target}")
            if row.dead:
                return Finding(ProbeFault.BAD_STATE, f"the pane {probe.target} is dead")
            return await self._judged(probe, row, seconds)
        except TmuxAbsent as error:
            return Finding(
                ProbeFault.NO_PANE, f"there is no tmux server, and no pane {probe.target}: {error}"
            )
        except TmuxRefused as error:
            return Finding(ProbeFault.NO_PANE, f"the pane {probe.target} is there no more: {error}")
        except SidecarError as error:
            raise Unmeasured(str(error)) from error

    async def _list(self, seconds: float) -> list[_Row]:
        async with self._listing:
            began = self._clock.monotonic()
            if began >= self._until:
                self._rows = _rows(await self._runner.call(*_LISTING, seconds=seconds))
                self._until = began + _FRESH
            return self._rows

    async def _judged(self, probe: PaneProbe, row: _Row, seconds: float) -> Finding:
        quiet = silent(row.terminal, self._clock.wall())
        if probe.silent is not None and quiet is None:
            raise Unmeasured(f"{row.terminal} does not tell when it was printed to")
        fact = f"the pane {probe.target} has printed nothing for {span(quiet or 0.0)}"
        if probe.silent is not None and quiet is not None and quiet >= probe.silent:
            return Finding(ProbeFault.TOO_OLD, f"{fact}; the limit is {span(probe.silent)}", quiet)
        if not (probe.match or probe.no_match):
            return Finding(None, fact, quiet)
        shown = await self._runner.call("capture-pane", "-p", "-J", "-t", row.pane, seconds=seconds)
        screen = shown.decode("utf-8", "ignore").rstrip("\n")[-_SHOWN:]
        right, told = await search.judged(probe, screen, seconds, f"the screen of {probe.target}")
        return Finding(None if right else ProbeFault.TEXT_MISMATCH, told, quiet)


def _rows(answer: bytes) -> list[_Row]:
    found = []
    for line in answer.decode("utf-8", "replace").splitlines():
        parts = line.split("\t", len(_FORMATS) - 1)
        if len(parts) == len(_FORMATS):
            session, window, index, active, pane, dead, terminal, name = parts
            found.append(_Row(session, window, index, active == "1", pane, dead == "1", terminal, name))
    return found


def _row_of(rows: list[_Row], target: PaneTarget) -> _Row | None:
    """The window by its index before its name, as everywhere."""
    own = [row for row in rows if row.session == target.session]
    found = [row for row in own if row.window == target.window] or [
        row for row in own if row.name == target.window
    ]
    for row in found:
        # Of several windows of one name, the first.
        wanted = row.active if target.pane is None else row.index == str(target.pane)
        if wanted and row.window == found[0].window:
            return row
    return None
