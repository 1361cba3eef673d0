"""Running a plan by its journal: every attempt is written down before and after its effect.

What comes next is never decided here: :func:`sidecar.decide.saga.next_move` says so by the journal, to
a fresh run as to one that takes up what a crash cut off.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from sidecar.clock import Clock, Dice, settled
from sidecar.decide import saga
from sidecar.errors import Permanent, SidecarError, StepTimedOut, Stopped, Temporary
from sidecar.flow.ports import Book, Logbook, Meter
from sidecar.flow.steps import PIVOTS, STEPS, UNDOABLE, Work
from sidecar.flow.surgery import Surgery
from sidecar.model.plan import Plan, Step, StepKind
from sidecar.model.policy import RetryPolicy
from sidecar.model.record import Action, RecoveryRow
from sidecar.model.saga import Attempt, AttemptState, Journal, Phase, SagaPolicy, TransactionOutcome

_BOOK_PAUSE = 1.0
_POLICY = SagaPolicy(UNDOABLE, PIVOTS)

T = TypeVar("T")


async def insist(write: Callable[[], Awaitable[T]], clock: Clock, log: Logbook) -> T:
    """Write down what has been done, as soon as the book can take it: it cannot be done over."""
    while True:
        try:
            return await write()
        except Temporary as error:
            log.say(Action.TASK_FAILED, level="error", task="record", error=str(error), hint=error.hint)
            await clock.sleep(_BOOK_PAUSE)


@dataclass(frozen=True, slots=True)
class Result:
    """What carrying a plan out has come to."""

    outcome: TransactionOutcome
    error: SidecarError | None = None
    """What kept the plan from being carried out as a whole."""
    undone: bool = False
    """Something was really taken back, not only left out."""
    commands: tuple[str, ...] = ()
    """What a person should run, where it is stuck."""


@dataclass(frozen=True, slots=True)
class Executor:
    """Carries plans out."""

    book: Book
    clock: Clock
    dice: Dice
    meter: Meter
    log: Logbook
    retry: Callable[[Plan, StepKind], RetryPolicy]
    tmux: str = "tmux"
    """See :attr:`~sidecar.model.saga.SagaPolicy.tmux`."""

    async def run(self, surgery: Surgery, recovery: RecoveryRow, journal: Journal | None = None) -> Result:
        """Move after move until none is left. ``journal`` is what an earlier run has written."""
        journal = journal or Journal()
        error: SidecarError | None = None
        policy = replace(_POLICY, tmux=self.tmux)
        while True:
            journal = replace(journal, stop=surgery.case.stop)
            move = saga.next_move(surgery.plan, journal, self.clock.wall(), policy)
            if isinstance(move, saga.Finished | saga.Stuck):
                return _result(move, journal, error)
            if await self._waited_in_vain(move, surgery):
                continue
            try:
                begun = await self._begin(surgery, recovery, journal, move)
            except Temporary as problem:
                return Result(TransactionOutcome.COMPENSATED, problem)
            journal, failure = await self._attempt(surgery, recovery, _with(journal, begun), begun)
            error = error or (failure if begun.phase is Phase.DO else None)

    async def _waited_in_vain(self, move: saga.Do | saga.Undo, surgery: Surgery) -> bool:
        """Wait until the move is due. Whether something has been said meanwhile that changes it."""
        stop = surgery.case.stop
        await self.clock.sleep(max(move.at - self.clock.wall(), 0.0))
        return surgery.case.stop != stop

    async def _begin(
        self, surgery: Surgery, recovery: RecoveryRow, journal: Journal, move: saga.Do | saga.Undo
    ) -> Attempt:
        """Write the attempt down.

        Raises:
            Temporary: the book does not take it, and nothing has been done yet that would have to be ended.
        """
        phase = Phase.DO if isinstance(move, saga.Do) else Phase.UNDO
        now = self.clock.wall()
        attempt = Attempt(move.seq, phase, move.attempt, AttemptState.BEGUN, move.at, now)
        step = surgery.plan.steps[move.seq]

        async def write() -> None:
            await self.book.step_begun(recovery.id, attempt, step)

        await (insist(write, self.clock, self.log) if journal.touched else write())
        if not journal.has(attempt) and attempt.number > 1:
            self.meter.retry(step.kind)
        return attempt

    async def _attempt(
        self, surgery: Surgery, recovery: RecoveryRow, journal: Journal, attempt: Attempt
    ) -> tuple[Journal, SidecarError | None]:
        step = surgery.plan.steps[attempt.seq]
        surgery.progress.again, surgery.progress.said = attempt.number > 1, ""
        began = self.clock.monotonic()
        error = await self._act(surgery, step, attempt.phase)
        # By the clock that cannot be set: a jump meanwhile is no part of how long it took.
        ended_at = (attempt.begun or attempt.due) + self.clock.monotonic() - began
        ended = replace(
            attempt,
            state=_state(error),
            ended=ended_at,
            error=str(error or ""),
            said=surgery.progress.said,
        )
        journal = _with(journal, ended)
        again = self._again(surgery.plan, journal, ended, error)
        await insist(lambda: self.book.step_ended(recovery.id, ended, step, again), self.clock, self.log)
        if again is not None:
            self.meter.retry(step.kind)
            journal = _with(journal, again)
        return journal, (error if again is None else None)

    def _again(
        self, plan: Plan, journal: Journal, ended: Attempt, error: SidecarError | None
    ) -> Attempt | None:
        """The attempt that follows one that has failed, if the policy grants it."""
        if not isinstance(error, Temporary):
            return None
        tried = journal.of(ended.seq, ended.phase)
        retry = self.retry(plan, plan.steps[ended.seq].kind)
        at = saga.retry_at(tried, ended.ended or ended.due, retry, self.dice.roll(), error.delay or 0.0)
        if at is None:
            return None
        return Attempt(ended.seq, ended.phase, ended.number + 1, AttemptState.DUE, at)

    async def _act(self, surgery: Surgery, step: Step, phase: Phase) -> SidecarError | None:
        deed = STEPS[step.kind]
        work = deed.do if phase is Phase.DO else deed.undo
        assert work is not None
        try:
            await self._in_time(work, surgery, step, deed.seconds)
        except (Temporary, Permanent) as error:
            self.log.say(
                Action.STEP_ENDED,
                level="warning",
                session=surgery.plan.session,
                phase=phase,
                step=step.describe(),
                error=str(error),
                hint=error.hint,
            )
            return error
        except Exception as fault:
            words = f"{step.describe()} ended by a fault of its own: {fault!r}"
            self.log.say(Action.TASK_FAILED, level="error", session=surgery.plan.session, error=words)
            return Permanent(words, hint="It is taken back as far as it can be.")
        return None

    async def _in_time(self, work: Work, surgery: Surgery, step: Step, seconds: float) -> None:
        """
        Raises:
            StepTimedOut: it hung, and was cut off.
        """
        doing = asyncio.ensure_future(work(surgery, step))
        try:
            if not await settled(self.clock, doing, seconds):
                raise StepTimedOut(
                    f"{step.describe()} did not end within {seconds:g} s and was cut off",
                    hint="Look whether tmux and the disk answer.",
                )
            await doing
        finally:
            doing.cancel()
            with contextlib.suppress(asyncio.CancelledError, SidecarError):
                await doing


def _result(move: saga.Finished | saga.Stuck, journal: Journal, error: SidecarError | None) -> Result:
    undone = any(each.phase is Phase.UNDO for each in journal.attempts)
    error = error or _failure_on_record(journal)
    if isinstance(move, saga.Stuck):
        return Result(TransactionOutcome.STUCK, error, undone, move.commands)
    if error is None and move.outcome is TransactionOutcome.COMPENSATED:
        error = Stopped(f"stopped: {journal.stop}")
    return Result(move.outcome, error, undone)


def _failure_on_record(journal: Journal) -> SidecarError | None:
    """What an earlier run has found to go wrong for good."""
    last = {each.seq: each for each in journal.attempts if each.phase is Phase.DO}
    for each in last.values():
        if each.state in (AttemptState.FAILED, AttemptState.REFUSED):
            return (Permanent if each.state is AttemptState.REFUSED else Temporary)(each.error)
    return None


def _with(journal: Journal, attempt: Attempt) -> Journal:
    """The journal with this attempt in it, in the place of what it said about it before."""
    key = (attempt.seq, attempt.phase, attempt.number)
    others = (each for each in journal.attempts if (each.seq, each.phase, each.number) != key)
    return replace(journal, attempts=(*others, attempt))


def _state(error: SidecarError | None) -> AttemptState:
    if error is None:
        return AttemptState.DONE
    return AttemptState.FAILED if isinstance(error, Temporary) else AttemptState.REFUSED
