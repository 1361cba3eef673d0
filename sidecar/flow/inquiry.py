"""What the machine tells about what has broken: asked only then, beside the loop, and never waited for long.

What comes in time bears on the diagnosis. What comes late is added to the incident, with what the
diagnosis would have been; a recovery that has begun goes on as it was decided.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice

from sidecar.clock import Clock, settled
from sidecar.decide.detect import Expected, server_of
from sidecar.errors import SidecarError
from sidecar.flow.ports import Book, Host, Logbook
from sidecar.flow.ward import Case
from sidecar.model.incident import Evidence, Failure, Finding
from sidecar.model.record import Action
from sidecar.model.surroundings import Question, Surroundings

_SOON = 0.005
"""Seconds that a recovery waits for it at the most."""
_PATIENT = 1.0
"""The same for a person who asks for an explanation."""
_FOLDERS = 4
"""Folders of panes whose disks are asked about."""
_BEFORE = 10.0
"""Seconds before the first sign from which the kernel's log bears on it."""


class Inquiry:
    """One question at a time: a disk that does not answer is not asked again meanwhile."""

    def __init__(
        self, host: Host, book: Book, clock: Clock, log: Logbook, folders: Mapping[str, str]
    ) -> None:
        """``folders`` are those that we need ourselves, by what they are for."""
        self._host = host
        self._book = book
        self._clock = clock
        self._log = log
        self._folders = folders
        self._running: asyncio.Task[Surroundings] | None = None

    @property
    def pending(self) -> bool:
        """Whether an answer is still to come."""
        return self._running is not None and not self._running.done()

    async def about(
        self, failures: Sequence[Failure], expected: Mapping[str, Expected], *, patient: bool = False
    ) -> Surroundings | None:
        """What surrounds these failures; None where it does not come in time."""
        if self.pending:
            return None
        question = _question(failures, expected, self._folders)
        # Once it is done, somebody else may ask before we are woken.
        running = self._running = asyncio.create_task(self._host.surroundings(question))
        in_time = await settled(self._clock, running, _PATIENT if patient else _SOON)
        return _answer(running) if in_time else None

    async def afterwards(self, case: Case, diagnose: Callable[[Surroundings], Iterable[Finding]]) -> None:
        """Wait for the answer that did not come in time, and add to the incident what is new in it."""
        running = self._running
        if running is None:
            return
        # The incident is there once its case is decided.
        await asyncio.wait({running})
        await asyncio.wait({case.answer})
        around = _answer(running)
        if around is None:
            return
        facts = _news(case.finding, diagnose(around))
        if not facts:
            return
        try:
            await self._book.add_evidence(case.session, facts, self._clock.wall())
        except SidecarError as error:
            self._log.say(
                Action.TASK_FAILED, level="error", session=case.session, error=str(error), hint=error.hint
            )


def _answer(running: asyncio.Task[Surroundings]) -> Surroundings | None:
    if running.cancelled() or running.exception() is not None:
        return None
    return running.result()


def _question(
    failures: Sequence[Failure], expected: Mapping[str, Expected], folders: Mapping[str, str]
) -> Question:
    pids: set[int] = set()
    places: dict[str, str] = dict(folders)
    watched = True
    for failure in failures:
        pids |= {part.pid for part in failure.broken}
        entry = expected.get(failure.session)
        if entry is None:
            continue
        pids.add(server_of(entry.instance))
        watched = watched and entry.session is not None
        panes = list(entry.session.panes()) if entry.session else []
        pids |= {pane.pid for pane in panes}
        lost = {part.pane for part in failure.broken} - {""}
        cwds = dict.fromkeys(pane.cwd for pane in panes if pane.cwd and (not lost or pane.id in lost))
        places |= {f"pane folder {cwd}": cwd for cwd in islice(cwds, _FOLDERS)}
    since = min((failure.first_sign for failure in failures), default=0.0) - _BEFORE if watched else 0.0
    return Question(frozenset(pids - {0}), places, since)


def _news(told: Finding, found: Iterable[Finding]) -> tuple[Evidence, ...]:
    """What was not known when it was decided."""
    facts: list[Evidence] = []
    for finding in found:
        if not set(finding.failure.broken) & set(told.failure.broken):
            continue
        facts += [fact for fact in finding.evidence if fact not in told.evidence]
        if finding.cause is not told.cause:
            facts.append(
                Evidence("diagnosis", f"with what came late, the likeliest cause is {finding.cause}")
            )
    return tuple(dict.fromkeys(facts))
