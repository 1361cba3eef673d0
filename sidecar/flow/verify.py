"""The verdict: looking until what was expected is there, or the time for it is over."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, replace

from sidecar.clock import Clock
from sidecar.decide.judge import judge
from sidecar.decide.judge_facts import Gap, told
from sidecar.errors import SidecarError
from sidecar.flow.examine import Examination
from sidecar.flow.ports import Book, Tmux
from sidecar.flow.ward import Case
from sidecar.model.incident import Finding, Unit
from sidecar.model.plan import Difference, Expectation, Plan, Strategy, Verdict
from sidecar.model.session import Look

_SECONDS = 10.0
_PROGRAM = 3.0
"""Seconds for a program that a rule restarts: what comes later is for its next decision."""
_FINAL = 1.0
"""Seconds in which the rest may still appear, once it is plain that the whole will not."""
_FIRST_PAUSE = 0.005
_LAST_PAUSE = 0.1


@dataclass(frozen=True, slots=True)
class Verifier:
    """Judges what a plan has come to."""

    tmux: Tmux
    clock: Clock
    examination: Examination

    async def verify(self, case: Case, plan: Plan, *, whole: bool) -> tuple[Verdict, Look]:
        """Look until the expectation holds or the time is over; programs take a moment to appear.

        Where the plan was not carried out as a ``whole``, nothing is waited for.
        """
        patience = plan.expectation.seconds or (_PROGRAM if case.finding.program else _SECONDS)
        deadline = self.clock.monotonic() + (patience if whole else 0.0)
        pause = _FIRST_PAUSE
        while True:
            after = await self.tmux.look()
            verdict = judge(plan.expectation, case.look, after)
            if verdict.holds and plan.strategy is Strategy.RESTORE_CHECKPOINT and whole:
                verdict = await self._inspect(case, plan.expectation, after)
            if verdict.holds and self.examination.owns(case.finding):
                verdict = await self._reexamine(case.finding, after, verdict)
            now = self.clock.monotonic()
            if verdict.holds or now >= deadline or _ended_again(case.finding, after):
                return verdict, after
            if verdict.final:
                deadline = min(deadline, now + _FINAL)
            await self.clock.sleep(pause)
            pause = min(pause * 2, _LAST_PAUSE)

    async def _reexamine(self, finding: Finding, after: Look, verdict: Verdict) -> Verdict:
        """Only whoever has found it can tell whether it is over."""
        if not await self.examination.still(finding, after):
            return verdict
        where = finding.failure.session or "tmux server"
        gap = Difference(where, finding.cause, wanted="over", found="still so", tolerated=False)
        return replace(verdict, holds=False, differences=(*verdict.differences, gap))

    async def _inspect(self, case: Case, expectation: Expectation, after: Look) -> Verdict:
        """What a look does not tell of a rebuilt session: options, environment, what it shares."""
        image = expectation.image
        session = after.find(image.name) if image else None
        if image is None or session is None:
            return judge(expectation, case.look, after)
        private = not image.origin.environment
        try:
            found = await self.tmux.capture(session, after, 0, self.clock.wall(), private)
        except SidecarError as error:
            gap = Gap("captured", str(error))
            return Verdict(False, (told(f"session {image.name}", gap, "details"),))
        return await asyncio.to_thread(judge, expectation, case.look, after, found.image)


def _ended_again(finding: Finding, after: Look) -> bool:
    """Whether a program that was started in its pane has ended already, which its rule has foreseen."""
    if not finding.program:
        return False
    (part,) = finding.failure.broken
    pane = after.pane(part.pane)
    return pane is None or (part.unit is Unit.PANE and pane.dead and pane.pid != part.pid)


async def passed_over(book: Book, case: Case, plan: Plan) -> tuple[Difference, ...]:
    """Newer generations that are damaged and were not used; none where a person chose the one to be used."""
    if plan.checkpoint is None or case.order is not None:
        return ()
    newer: tuple[int, ...] = ()
    # The verdict is as true without it.
    with contextlib.suppress(SidecarError):
        newer = await book.damaged_since(plan.session, plan.checkpoint.id)
    note = f"newer ones are damaged, and in quarantine: {', '.join(map(str, newer))}"
    gap = Gap("the newest", f"checkpoint {plan.checkpoint.id}")
    return (told(f"session {plan.session}", gap, "checkpoint", note),) if newer else ()
