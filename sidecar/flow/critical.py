"""The examiner of sessions that have processes which must run somewhere in them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sidecar.clock import Clock
from sidecar.decide.critical import absence, missing
from sidecar.decide.detect import Expected
from sidecar.flow.ports import Host, LookAgain
from sidecar.flow.ward import Ward
from sidecar.model.incident import Cause, Finding
from sidecar.model.session import Look, Presence, Session

_EVERY = 2.0
"""Seconds between two goes through all processes of the machine, which take some milliseconds."""
_LASTING = 5.0
"""Seconds that a process has to be missing: one that is restarted is not there for a moment."""


class CriticalExaminer:
    """It only reports: what brings the process back, a rule in ``programs`` or a person knows."""

    causes = frozenset({Cause.PROCESS_MISSING})

    def __init__(self, ward: Ward, host: Host, clock: Clock, notice: LookAgain) -> None:
        self._ward = ward
        self._host = host
        self._clock = clock
        self._notice = notice
        self._looked = float("-inf")
        self._since: dict[tuple[str, str], float] = {}
        """By session and pattern, when it was first found missing, in monotonic seconds."""

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        wanted = self._wanted(look)
        if not wanted:
            self._since.clear()
            return ()
        now = self._clock.monotonic()
        if now >= self._looked + _EVERY:
            await self._go_through(wanted)
        return [
            absence(name, patterns, min(self._since[name, one] for one in patterns))
            for name in wanted
            if name in free and (patterns := self._lasting(name, now))
        ]

    async def still(self, finding: Finding, look: Look) -> bool:
        name, wanted = finding.failure.session, self._wanted(look)
        if name not in wanted:
            return False
        await self._go_through(wanted)
        return any(session == name for session, _ in self._since)

    def _wanted(self, look: Look) -> dict[str, Session]:
        """The sessions that are there and have such processes."""
        if look.presence is not Presence.PRESENT:
            return {}
        live = {name: look.find(name) for name in self._ward.expected if self._patterns(name)}
        return {name: session for name, session in live.items() if session is not None}

    def _patterns(self, name: str) -> tuple[str, ...]:
        override = self._ward.settings.sessions.overrides.get(name)
        return override.critical_processes if override is not None else ()

    async def _go_through(self, wanted: Mapping[str, Session]) -> None:
        roots = {name: tuple(pane.pid for pane in session.panes()) for name, session in wanted.items()}
        running = await self._host.command_lines(roots)
        now = self._looked = self._clock.monotonic()
        gone = {
            (name, pattern): now
            for name in wanted
            for pattern in missing(self._patterns(name), running.get(name, ()))
        }
        if gone.keys() - self._since.keys():
            self._notice(_LASTING)
        self._since = {key: self._since.get(key, now) for key in gone}

    def _lasting(self, name: str, now: float) -> tuple[str, ...]:
        return tuple(
            pattern
            for (session, pattern), since in self._since.items()
            if session == name and now - since >= _LASTING
        )
