"""What the windows need from the rest, declared by the windows. Only ``app`` knows who fits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sidecar.model.record import AlertIntake, Receipt, RecoveryRow
from sidecar.model.status import Answer, RecoverRequest


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
