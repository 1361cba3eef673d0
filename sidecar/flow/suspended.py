"""The examiner of programs that were stopped from outside while their terminal is theirs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sidecar.clock import Clock
from sidecar.decide import frozen
from sidecar.decide.detect import Expected
from sidecar.flow.ports import LookAgain, Stopped
from sidecar.model.incident import Broken, Cause, Finding
from sidecar.model.running import ProcessState
from sidecar.model.session import Look, Pane, Presence

_EVERY = 2.0
"""Seconds between two goes through all processes of the machine, which take some milliseconds."""
_LASTING = 1.0
"""Seconds that a program has to be seen stopped; some tools stop others for a moment at a time."""


class ProgramExaminer:
    """A job that a shell has stopped gives its terminal back; whoever is stopped in front was not asked."""

    causes = frozenset({Cause.PROCESS_SUSPENDED})

    def __init__(self, stopped: Stopped, clock: Clock, notice: LookAgain) -> None:
        self._stopped = stopped
        self._clock = clock
        self._notice = notice
        self._looked = float("-inf")
        self._found: Sequence[ProcessState] = ()
        self._seen: dict[tuple[int, int, int], float] = {}
        """By pid, start and processor time: when it was first seen stopped, in monotonic seconds."""

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        if look.presence is not Presence.PRESENT:
            return ()
        await self._go_through()
        suspects = [state for state in self._found if self._is_so(state)]
        if not suspects:
            return ()
        lasting: dict[str, dict[ProcessState, str]] = {}
        for name, pane in _panes(look, free):
            for state in suspects:
                if state.session == pane.pid and self._lasts(state):
                    lasting.setdefault(name, {})[state] = pane.id
        return [frozen.program_finding(name, found, self._first(found)) for name, found in lasting.items()]

    async def still(self, finding: Finding, look: Look) -> bool:
        panes = {} if look.presence is not Presence.PRESENT else {p.id: p for _, p in _panes(look)}
        return any(
            _is_stopped(part, self._stopped.state(part.pid), panes.get(part.pane))
            for part in finding.failure.broken
        )

    async def _go_through(self) -> None:
        """Who is stopped on this machine; as known from a moment ago, unless something is to be confirmed."""
        now = self._clock.monotonic()
        due = self._looked + (_LASTING if self._seen else _EVERY)
        if now < due:
            return
        self._looked, self._found = now, await self._stopped.all_stopped()
        seen = {_mark(state): now for state in self._found}
        self._seen = {mark: self._seen.get(mark, now) for mark in seen}

    def _is_so(self, state: ProcessState) -> bool:
        """Whether it is still as it was found: what was known of it may be from before it was let go on."""
        if not frozen.stopped_in_front(state):
            return False
        now = self._stopped.state(state.pid)
        return now is not None and _mark(now) == _mark(state) and frozen.stopped_in_front(now)

    def _lasts(self, state: ProcessState) -> bool:
        if self._looked - self._seen[_mark(state)] >= _LASTING:
            return True
        self._notice(_LASTING)
        return False

    def _first(self, found: Mapping[ProcessState, str]) -> float:
        return min(self._seen[_mark(state)] for state in found)


def _is_stopped(part: Broken, state: ProcessState | None, pane: Pane | None) -> bool:
    if state is None or pane is None or state.started != part.started:
        return False
    return state.session == pane.pid and frozen.stopped_in_front(state)


def _mark(state: ProcessState) -> tuple[int, int, int]:
    """Another one as soon as it has run in between."""
    return state.pid, state.started, state.ticks


def _panes(look: Look, free: Mapping[str, Expected] | None = None) -> Iterator[tuple[str, Pane]]:
    """Each living pane once, with the first session that shows it."""
    seen: set[str] = set()
    for session in look.sessions:
        if free is not None and session.name not in free:
            continue
        for pane in session.panes():
            if not pane.dead and pane.id not in seen:
                seen.add(pane.id)
                yield session.name, pane
