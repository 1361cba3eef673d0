"""The examiner of terminals that Ctrl-S has stopped, for sessions whose rule says how long that may last."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sidecar.clock import Clock
from sidecar.decide import frozen
from sidecar.decide.detect import Expected
from sidecar.flow.ports import LookAgain, Stopped
from sidecar.flow.ward import Ward
from sidecar.model.incident import Cause, Finding
from sidecar.model.running import Flow
from sidecar.model.session import Look, Pane, Presence

_SOON = 5.0
"""Seconds; a rule that allows so much or more is served by the looks that are taken anyway."""


@dataclass(frozen=True, slots=True)
class _Watched:
    """A pane whose session has a rule."""

    session: str
    pane: Pane
    activity: int
    """When its window last printed anything."""
    after: float
    """Seconds that its terminal may be stopped."""

    @property
    def key(self) -> tuple[str, int]:
        return self.pane.id, self.pane.pid


class TerminalExaminer:
    """A terminal that takes nothing may be stopped, or flooded; in one that is stopped nothing goes on."""

    causes = frozenset({Cause.TERMINAL_STOPPED})

    def __init__(self, ward: Ward, stopped: Stopped, clock: Clock, notice: LookAgain) -> None:
        self._ward = ward
        self._stopped = stopped
        self._clock = clock
        self._notice = notice
        self._flows: dict[tuple[str, int], Flow] = {}
        """By pane and process: what has been seen of those that take nothing."""

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        watched = list(self._watched(look, free))
        if not watched:
            return ()
        there = {(pane.id, pane.pid) for session in look.sessions for pane in session.panes()}
        self._flows = {key: flow for key, flow in self._flows.items() if key in there}
        await self._follow(watched)
        now = self._clock.monotonic()
        stopped: dict[str, list[frozen.Block]] = {}
        for one in watched:
            flow = self._flows.get(one.key)
            if flow is not None and now - flow.since >= one.after:
                stopped.setdefault(one.session, []).append(frozen.Block(one.pane, flow, one.after))
        return [frozen.terminal_finding(session, blocks, now) for session, blocks in stopped.items()]

    async def still(self, finding: Finding, look: Look) -> bool:
        name = finding.failure.session
        watched = [one for one in self._watched(look, (name,)) if one.key in self._flows]
        concerned = {(part.pane, part.pid) for part in finding.failure.broken}
        before = {key: flow for key, flow in self._flows.items() if key in concerned}
        await self._follow([one for one in watched if one.key in concerned])
        return any(before[key].since == self._flows[key].since for key in before if key in self._flows)

    def _watched(self, look: Look, names: Mapping[str, Expected] | Sequence[str]) -> Iterator[_Watched]:
        for session in look.sessions if look.presence is Presence.PRESENT else ():
            after = self._ward.unblock_after(session.name)
            if not after or session.name not in names:
                continue
            for window in session.windows:
                for pane in window.panes:
                    if not pane.dead:
                        yield _Watched(session.name, pane, window.activity, after)

    async def _follow(self, watched: Sequence[_Watched]) -> None:
        """Note which of these take nothing, and since when nothing has gone on in them."""
        full = await self._stopped.full_terminals([one.pane.tty for one in watched])
        now = self._clock.monotonic()
        for one in watched:
            ticks = full.get(one.pane.tty)
            before = self._flows.pop(one.key, None)
            if ticks is None:
                continue
            if before is None and one.after < _SOON:
                self._notice(one.after)
            self._flows[one.key] = frozen.follow(before, Flow(now, one.activity, ticks))
