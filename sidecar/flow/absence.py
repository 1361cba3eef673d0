"""Programs that went from the front of their shells while no sidecar watched.

Asked once for each session that an earlier run has known. The program stays wanted, so that the next
checkpoint does not lose it, until something runs there again or a recovery has dealt with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sidecar.clock import Clock
from sidecar.decide.absence import gone_programs, idle, unseen
from sidecar.decide.detect import Expected, instance_of
from sidecar.decide.remember import await_entry
from sidecar.flow.ports import Book
from sidecar.flow.ward import Ward
from sidecar.model.incident import Cause, Finding
from sidecar.model.session import Look, Presence, Session


@dataclass(frozen=True, slots=True)
class _Gone:
    """What was found of one session."""

    panes: tuple[str, ...]
    first_sign: float
    """Monotonic seconds."""
    since: float
    """Wall seconds."""


class AbsenceExaminer:
    """Names no cause of its own: whether a program is still gone, a look shows."""

    causes: frozenset[Cause] = frozenset()

    def __init__(self, ward: Ward, book: Book, clock: Clock) -> None:
        self._ward = ward
        self._book = book
        self._clock = clock
        self._asked: set[str] = set()
        self._gone: dict[str, _Gone] = {}

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        if look.presence is not Presence.PRESENT:
            return ()
        self._asked &= self._ward.expected.keys() | self._ward.released.keys()
        for name, entry in free.items():
            live = look.find(name)
            if name not in self._asked and live is not None:
                await self._remember(entry, live, look)
                self._asked.add(name)
        findings = []
        for name in self._gone.keys() & free.keys():
            if await self._lasts(name, look.find(name)):
                gone = self._gone[name]
                findings.append(unseen(name, gone.panes, gone.first_sign))
            else:
                del self._gone[name]
        return findings

    async def still(self, finding: Finding, look: Look) -> bool:
        """As a look shows it."""
        live = look.find(finding.failure.session)
        return all(idle(live, part.pane) for part in finding.failure.broken)

    async def _remember(self, entry: Expected, live: Session, look: Look) -> None:
        """Compare what an earlier run has stored of this life of the session with what is there."""
        assert look.server is not None
        if entry.session is not None or entry.instance != instance_of(look.server, live):
            return
        newest = await self._book.newest_checkpoint(entry.name)
        if newest is None or newest.instance != entry.instance:
            return
        gone = gone_programs(live, newest.image)
        if gone:
            self._gone[entry.name] = _Gone(tuple(gone.values()), look.taken, self._clock.wall())
            wanted = await_entry(live, newest.image, gone.keys())
            self._ward.expected[entry.name] = replace(entry, server=look.server, session=wanted)

    async def _lasts(self, name: str, live: Session | None) -> bool:
        gone = self._gone[name]
        gone = replace(gone, panes=tuple(pane for pane in gone.panes if idle(live, pane)))
        self._gone[name] = gone
        if not gone.panes:
            return False
        if name in self._ward.standstills:
            return True
        return not await self._book.recoveries_since(name, gone.since)
