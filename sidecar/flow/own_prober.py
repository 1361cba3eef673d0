"""What the sidecar asks itself, beside what the doors ask: its store, its loop, the programs of sessions."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.clock import Clock, settled
from sidecar.errors import SidecarError
from sidecar.flow.picture import health_of
from sidecar.flow.ports import Book, Prober
from sidecar.flow.ward import Ward
from sidecar.model.probe import Probe, ProbeFault, ProbeResult
from sidecar.model.probe_own import Own, OwnProbe
from sidecar.model.session import Health

_DEEP_EVERY = 3_600.0
"""Seconds between two looks at every page of the database."""
_BROKEN = frozenset({Health.CRASHED, Health.CORRUPTED, Health.FROZEN, Health.RECOVERING, Health.GIVEN_UP})


@dataclass(slots=True)
class OwnProber:
    """Implements :class:`sidecar.flow.ports.Prober` for our own questions; the others go to the ``doors``."""

    doors: Prober
    ward: Ward
    book: Book
    clock: Clock
    _deep: float = float("-inf")
    """Monotonic seconds at which all of the database was looked at last."""

    async def probe(self, what: Probe, seconds: float, about: Mapping[str, str]) -> ProbeResult:
        if not isinstance(what, OwnProbe):
            return await self.doors.probe(what, seconds, about)
        match what.about:
            case Own.STORE:
                return await self._store(seconds)
            case Own.LOOP:
                return self._loop(what.above)
            case Own.PROGRAMS:
                return self._programs(what.session)

    async def _store(self, seconds: float) -> ProbeResult:
        began = self.clock.monotonic()
        work = asyncio.ensure_future(self._use_the_book())
        try:
            done = await settled(self.clock, work, seconds)
            fault, fact = await work if done else (ProbeFault.NO_ANSWER, f"no answer within {seconds:g} s")
        finally:
            work.cancel()
        return ProbeResult(fault, self.clock.monotonic() - began, fact)

    async def _use_the_book(self) -> tuple[ProbeFault | None, str]:
        try:
            await self.book.ready_to_write()
            now = self.clock.monotonic()
            deep = now - self._deep >= _DEEP_EVERY
            broken = await self.book.damage(deep=deep)
            self._deep = now if deep else self._deep
        except SidecarError as error:
            return ProbeFault.NO_ANSWER, str(error)
        if broken:
            return ProbeFault.BAD_ANSWER, broken
        return None, "it can be written and read"

    def _loop(self, above: float) -> ProbeResult:
        late = max(self.ward.lags, default=0.0)
        fault = ProbeFault.ABOVE_LIMIT if late >= above else None
        return ProbeResult(fault, 0.0, f"the event loop was up to {late:.3f} s late", value=late)

    def _programs(self, name: str) -> ProbeResult:
        health = health_of(self.ward, name, self.ward.look.find(name))
        fault = ProbeFault.NOT_RUNNING if health in _BROKEN else None
        if health in (Health.UNKNOWN, Health.DISCONNECTED):
            fault = ProbeFault.NOT_MEASURED
        return ProbeResult(fault, 0.0, f"the session is {health}")
