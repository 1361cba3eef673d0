"""Running a plan by its journal: every step is written down before and after its effect.

Retry lives here. A temporary error repeats the step after a backoff; a permanent one ends the plan
at once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sidecar.clock import Clock, Dice
from sidecar.decide import backoff
from sidecar.errors import Permanent, SidecarError, Temporary
from sidecar.flow.ports import Book, Logbook, Meter
from sidecar.flow.steps import STEPS, Surgery
from sidecar.model.plan import Plan, Step, StepKind
from sidecar.model.policy import RetryPolicy
from sidecar.model.record import Action, RecoveryRow

_BOOK_PAUSE = 1.0


async def insist(write: Callable[[], Awaitable[None]], clock: Clock, log: Logbook) -> None:
    """Write down what has been done, as soon as the book can take it: it cannot be done over."""
    while True:
        try:
            return await write()
        except Temporary as error:
            log.say(Action.TASK_FAILED, level="error", task="record", error=str(error), hint=error.hint)
            await clock.sleep(_BOOK_PAUSE)


@dataclass(frozen=True, slots=True)
class Executor:
    """Carries plans out."""

    book: Book
    clock: Clock
    dice: Dice
    meter: Meter
    log: Logbook
    retry: Callable[[Plan, StepKind], RetryPolicy]

    async def run(self, surgery: Surgery, recovery: RecoveryRow) -> SidecarError | None:
        """Every step in order. Returns the error that ended it, if one did."""
        for seq, step in enumerate(surgery.plan.steps):
            error = await self._step(surgery, recovery, seq, step)
            if error is not None:
                return error
        return None

    async def _step(
        self, surgery: Surgery, recovery: RecoveryRow, seq: int, step: Step
    ) -> SidecarError | None:
        try:
            await self.book.step_begun(recovery.id, seq, step, self.clock.wall())
        except Temporary as problem:
            return problem
        error: SidecarError | None = None
        policy = self.retry(surgery.plan, step.kind)
        began = self.clock.monotonic()
        for attempt in range(1, policy.max_attempts + 1):
            error = await self._attempt(surgery, step)
            if not isinstance(error, Temporary) or attempt == policy.max_attempts:
                break
            wait = max(backoff.delay(policy, attempt, self.dice.roll()), error.delay or 0.0)
            if self.clock.monotonic() + wait - began > policy.max_total:
                break
            self.meter.retry(step.kind)
            await self.clock.sleep(wait)
        words = str(error) if error else ""
        await insist(
            lambda: self.book.step_ended(recovery.id, seq, self.clock.wall(), words), self.clock, self.log
        )
        return error

    async def _attempt(self, surgery: Surgery, step: Step) -> SidecarError | None:
        try:
            await STEPS[step.kind].do(surgery, step)
        except (Temporary, Permanent) as error:
            self.log.say(
                Action.STEP_ENDED,
                level="warning",
                session=surgery.plan.session,
                step=step.describe(),
                error=str(error),
                hint=error.hint,
            )
            return error
        return None
