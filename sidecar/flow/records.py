"""What is on record: the audit trail, incidents, circuits; and putting a circuit back by hand."""

from __future__ import annotations

from sidecar.clock import Clock
from sidecar.flow.circuits import Circuits
from sidecar.flow.ports import Book
from sidecar.flow.ward import Ward
from sidecar.flow.watch import Watch
from sidecar.model.audit import AuditFilter
from sidecar.model.diagnostics import Diagnostics
from sidecar.model.incident import SignalKind
from sidecar.model.plan import RefusalReason, Strategy
from sidecar.model.record import Action, AuditRow, CircuitRow, IncidentRow, RecoveryRow


class Records:
    """Implements :class:`sidecar.web.ports.Records`."""

    def __init__(self, ward: Ward, book: Book, circuits: Circuits, clock: Clock, watch: Watch) -> None:
        self._ward = ward
        self._book = book
        self._circuits = circuits
        self._clock = clock
        self._watch = watch

    async def audit(
        self, limit: int, before: int | None, session: str | None, action: Action | None
    ) -> tuple[AuditRow, ...]:
        """Newest first."""
        return await self._book.audit_rows(limit, before, session, action)

    async def audit_page(self, after: int, limit: int, wanted: AuditFilter) -> tuple[AuditRow, ...]:
        """So many behind this one, oldest first."""
        return await self._book.audit_page(after, limit, wanted)

    async def incidents(
        self, limit: int, before: int | None, session: str | None, waiting: bool
    ) -> tuple[IncidentRow, ...]:
        """Newest first; ``waiting`` only those that are not closed."""
        return await self._book.incidents(limit, before, session, waiting)

    async def incident(self, number: int) -> tuple[IncidentRow, tuple[RecoveryRow, ...]] | None:
        """One with its recoveries, oldest first."""
        return await self._book.incident(number)

    async def diagnostics(self, number: int) -> Diagnostics | None:
        """What was seen at an incident before anything was done."""
        return await self._book.diagnostics(number)

    def circuits(self) -> tuple[CircuitRow, ...]:
        """Every strategy's circuit, also of those that never failed, and the others that were used lately."""
        return tuple(self._row(name) for name in dict.fromkeys([*Strategy, *sorted(self._circuits.states)]))

    async def reset(self, name: str) -> CircuitRow:
        """Close the circuit, and ask again about what stood still because of it."""
        await self._circuits.reset(name)
        self._ward.ask_again(RefusalReason.CIRCUIT_OPEN)
        self._watch.signal(SignalKind.REQUEST)
        return self._row(name)

    async def force_open(self, name: str) -> CircuitRow:
        """Let nothing through this circuit until it is reset."""
        await self._circuits.force_open(name)
        # Who waits for a dependency has to be known before the next failure.
        self._watch.signal(SignalKind.REQUEST)
        return self._row(name)

    def _row(self, name: str) -> CircuitRow:
        state, wait = self._circuits.state(name), self._circuits.retry_after(name)
        return CircuitRow(name, state.circuit, state.failures, wait, state.forced)
