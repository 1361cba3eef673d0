"""What the windows need from the rest, declared by the windows. Only ``app`` knows who fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sidecar.model.archive import (
    Compared,
    Created,
    Doomed,
    Exported,
    GenerationFilter,
    GenerationRow,
    Missing,
    RestoreRequest,
)
from sidecar.model.audit import AuditFilter
from sidecar.model.care import Care, Explanation
from sidecar.model.check import CheckStatus
from sidecar.model.diagnostics import Diagnostics
from sidecar.model.notice import Trial, UnknownChannel
from sidecar.model.plan import Refusal
from sidecar.model.quiet import Hush, Silence, SilenceRequest, UnknownTarget
from sidecar.model.record import (
    Action,
    AlertIntake,
    AuditRow,
    CircuitRow,
    IncidentRow,
    Receipt,
    RecoveryRow,
)
from sidecar.model.session import Checkpoint
from sidecar.model.status import Answer, RecoverRequest, UnknownSession


class Desk(Protocol):
    """Where requests and alerts are handed in.

    Every method may raise :class:`~sidecar.errors.Temporary` or :class:`~sidecar.errors.Permanent`,
    and has a time limit of its own.
    """

    async def request(self, request: RecoverRequest) -> Answer:
        """Decide; a plan has begun when this returns, and goes on by itself."""

    async def accept_alerts(self, alerts: Sequence[AlertIntake]) -> Sequence[Receipt]:
        """Commit all or nothing; one receipt for each alert, in the same order.

        Raises:
            Temporary: nothing was accepted, send them again.
        """

    async def recall(self, key: str) -> Mapping[str, Any] | None:
        """The answer kept under an idempotency key."""

    async def keep_answer(self, key: str, answer: Mapping[str, Any]) -> None: ...

    async def recovery(self, recovery: int) -> RecoveryRow | None: ...

    async def recoveries(
        self, limit: int, before: int | None = None, session: str | None = None
    ) -> Sequence[RecoveryRow]:
        """Newest first, those with an id below ``before``, without their steps."""


class Archive(Protocol):
    """The stored generations. What the docstring of :class:`Desk` says of errors holds here too."""

    async def page(self, wanted: GenerationFilter) -> Sequence[GenerationRow]:
        """Newest first."""

    async def find(self, number: int) -> Checkpoint | GenerationRow | None:
        """One by its id; the bare row if it is in quarantine."""

    async def create(self, name: str) -> Created | Refusal | UnknownSession:
        """Store the session as it is now, unless the newest generation already says so."""

    async def compare(self, number: int, other: int | None) -> Compared | Refusal | Missing | UnknownSession:
        """The differences of ``other``, or of the living session, from this generation."""

    async def export(self, number: int) -> Exported | Refusal | Missing:
        """The generation as a tmuxp workspace."""

    async def restore(self, request: RestoreRequest) -> Answer | Missing:
        """Build one generation. The recovery has begun when this returns, and goes on by itself."""

    async def doomed(self) -> Sequence[Doomed]:
        """What :meth:`prune` would remove."""

    async def prune(self) -> Sequence[Doomed]:
        """Remove what retention does not keep."""


class Custody(Protocol):
    """Whether a session is looked after, and what is made of it now."""

    async def release(self, name: str) -> Care | Refusal | UnknownSession:
        """Look after the session no longer: nothing is recovered or stored until it is adopted."""

    async def adopt(self, name: str) -> Care | Refusal | UnknownSession:
        """Look after the session again."""

    async def explain(self, name: str) -> Explanation | UnknownSession:
        """What is wrong, why, and what would be done: by itself, and on request. Changes nothing."""


class Checks(Protocol):
    """Health checks."""

    def statuses(self) -> Sequence[CheckStatus]:
        """How all of them stand now."""
        ...

    async def run_now(self, name: str) -> CheckStatus | None:
        """Ask one now, and how it stands after that. None: there is none of this name."""


class Quiet(Protocol):
    """Silences. What the docstring of :class:`Desk` says of errors holds here too."""

    async def silence(self, asked: SilenceRequest) -> Silence | Refusal | UnknownTarget:
        """Begin one."""

    async def end(self, number: int) -> Silence | None:
        """End one before its time. None: there is none of this number."""

    def listed(self) -> Sequence[Hush]:
        """What keeps quiet now, what lasts longest first."""
        ...


class People(Protocol):
    """The ways to people."""

    async def test(self, name: str | None) -> Sequence[Trial] | UnknownChannel:
        """Send a message through every channel, or through this one."""


class Records(Protocol):
    """What is on record. Lists are newest first, those with an id below ``before``."""

    async def audit(
        self, limit: int, before: int | None, session: str | None, action: Action | None
    ) -> Sequence[AuditRow]: ...

    async def audit_page(self, after: int, limit: int, wanted: AuditFilter) -> Sequence[AuditRow]:
        """Oldest first, those with an id above ``after``."""

    async def incidents(
        self, limit: int, before: int | None, session: str | None, waiting: bool
    ) -> Sequence[IncidentRow]:
        """``waiting``: only those that are not closed."""

    async def incident(self, number: int) -> tuple[IncidentRow, Sequence[RecoveryRow]] | None:
        """One with its recoveries, oldest first."""

    async def diagnostics(self, number: int) -> Diagnostics | None:
        """What was seen at an incident before anything was done; None if nothing was."""

    def circuits(self) -> Sequence[CircuitRow]:
        """Every strategy's circuit, also of those that never failed, and the others that were used lately."""

    async def reset(self, name: str) -> CircuitRow:
        """Close the circuit, and ask again about what stood still because of it."""

    async def force_open(self, name: str) -> CircuitRow:
        """Let nothing through this circuit until it is reset."""


class Chronicle(Protocol):
    """The log and the audit trail, for what the windows have to tell themselves."""

    def say(self, action: Action, *, level: str = "info", **detail: object) -> None:
        """One line in the log; never waits."""

    async def audit(self, action: Action, now: float, *, detail: Mapping[str, Any]) -> None:
        """One row in the trail; ``now`` is wall seconds.

        Raises:
            Temporary: the trail cannot take it just now.
        """
