"""What a broken session still shows, read before anything is done about it, and put on record.

Only what acting would take away is waited for, and not for long: the text of a dead pane, which a
respawn clears, and what a stuck program is at. All else is read beside the recovery. Whatever goes
wrong here is a sentence in the record, and never a reason to leave a session broken.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from sidecar.clock import Clock
from sidecar.decide.diagnostics import composed, scene_of
from sidecar.errors import SidecarError
from sidecar.flow.ports import Book, Instruments, Logbook
from sidecar.flow.ward import Case, Ward
from sidecar.model.diagnostics import Machine, ProcessFacts, PythonStack, Subject, Tail, Tree
from sidecar.model.heartbeat import StackSignal
from sidecar.model.incident import Asker, IncidentState
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.record import Action, IncidentRow

_SOON = 0.25
"""Seconds that a recovery waits at the most; as a rule it has all by the time it is decided."""
_PATIENT = 2.0
"""The same where a program is stuck, and may be ended: it has been so for longer than this."""
_FIRST = 0.25
"""Seconds for which a recovery has the machine to itself, unless it is over before."""
_BESIDE = 2.0
"""Seconds for what is read beside the recovery."""
_TO_PRINT = 0.1
"""Seconds that a program is given to print its stacks."""
_PASSED = frozenset({RefusalReason.STALE, RefusalReason.HEALTHY})
"""Refusals after which there is nothing to look into."""


@dataclass(frozen=True, slots=True)
class Diagnostician:
    """Looks at each case once, before its first attempt."""

    ward: Ward
    instruments: Instruments
    book: Book
    clock: Clock
    log: Logbook
    private: Callable[[str], bool]
    """Whether the text of a session stays out of the book."""

    @contextlib.asynccontextmanager
    async def looking(self, case: Case, incident: IncidentRow) -> AsyncIterator[Looking]:
        """Begin to look while it is decided what to do; what was found is on record at the end."""
        looking = Looking(self, case, incident)
        try:
            yield looking
            await looking.recorded()
        finally:
            looking.drop()


class Looking:
    """One look, from its begin to the record of it."""

    def __init__(self, by: Diagnostician, case: Case, incident: IncidentRow) -> None:
        self._by = by
        self._incident = incident
        self._session = case.session
        self._scene = scene_of(case.finding.failure, case.before, by.ward.expected, by.ward.exits)
        self._private = by.private(case.session)
        self._signal = case.finding.stack_signal
        # Once, or when a person asks: what is looked at again and again has its own work to do.
        self._asks = incident.state is IncidentState.OPEN or case.asker is Asker.OPERATOR
        self._taken = by.clock.wall()
        self._tails: dict[str, Tail] = {}
        self._trees: dict[str, Tree] = {}
        self._stacks: tuple[PythonStack, ...] = ()
        self._machine: Machine | None = None
        self._missing: list[str] = []
        self._waited = 0.0
        # What a first attempt has left is no sight of the failure any more.
        self._first = None if case.tried else asyncio.create_task(self._look())
        self._rest: asyncio.Task[None] | None = None
        self._acted = asyncio.Event()

    async def before_acting(self) -> None:
        """Wait for what acting would take away."""
        if self._first is None or self._rest is not None:
            return
        began = self._by.clock.monotonic()
        await self._come(self._first, _PATIENT if self._scene.firm else _SOON)
        self._waited = self._by.clock.monotonic() - began
        self._rest = asyncio.create_task(self._complete())

    async def before_refusing(self, refusal: Refusal) -> None:
        """Nothing is done about it: what is seen when it is first found goes on record all the same."""
        if self._incident.state is IncidentState.OPEN and refusal.reason not in _PASSED:
            await self.before_acting()
            await self.recorded()

    async def recorded(self) -> None:
        """Wait for the record, if one is made."""
        self._acted.set()
        if self._rest is not None:
            await asyncio.wait({self._rest})

    def drop(self) -> None:
        """Let go of what nobody waits for any more."""
        for task in (self._first, self._rest):
            if task is not None:
                task.cancel()

    async def _come(self, task: asyncio.Task[None], seconds: float) -> None:
        if task.done():
            return
        alarm = asyncio.ensure_future(self._by.clock.sleep(seconds))
        try:
            await asyncio.wait({task, alarm}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            alarm.cancel()
            task.cancel()
        await asyncio.wait({task})

    async def _look(self) -> None:
        """What acting would take away."""
        firm = self._scene.firm
        if firm:
            await self._part("the stuck process", self._read(firm))
            await self._ask_python()
        await self._read_text()

    async def _complete(self) -> None:
        """The rest, and the record of it all; most recoveries are over before it begins."""
        await self._come(asyncio.create_task(self._let_it_pass()), _FIRST)
        await self._come(asyncio.create_task(self._look_around()), _BESIDE)
        found = composed(
            self._scene, self._taken, self._waited, self._tails, self._trees, self._stacks, self._machine,
            self._missing,
        )  # fmt: skip
        try:
            await self._by.book.keep_diagnostics(self._incident.id, found, self._by.clock.wall())
        except SidecarError as error:
            self._say(str(error), error.hint)

    async def _let_it_pass(self) -> None:
        await self._acted.wait()

    async def _look_around(self) -> None:
        others = self._scene.others
        if others:
            await self._part("what is left of the processes", self._read(others))
        await self._part("the machine", self._read_machine())

    async def _part(self, what: str, work: Awaitable[None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            self._missing.append(f"{what}: it did not come in time")
            raise
        except SidecarError as error:
            self._missing.append(f"{what}: {error}" + (f" ({error.hint})" if error.hint else ""))
        except Exception as fault:
            self._missing.append(f"{what}: {fault!r}")
            self._say(f"{what}: {fault!r}", "Please report it; the recovery goes on without.")

    def _say(self, words: str, hint: str) -> None:
        self._by.log.say(
            Action.TASK_FAILED,
            level="error",
            session=self._session,
            trace=self._incident.trace,
            task="diagnostics",
            error=words,
            hint=hint,
        )

    async def _read(self, subjects: tuple[Subject, ...]) -> None:
        trees, trouble = await self._by.instruments.processes(subjects)
        self._trees |= trees
        if trouble:
            self._missing.append(trouble)

    async def _read_text(self) -> None:
        panes = self._scene.shown
        if panes and self._private:
            self._missing.append("the text of its panes: checkpoints.exclude keeps it out of the book")
        elif panes:
            await self._part("the text of its panes", self._read_tails(panes))

    async def _read_tails(self, panes: tuple[str, ...]) -> None:
        self._tails |= await self._by.instruments.tails(panes)

    async def _ask_python(self) -> None:
        """In both ways, if there are two: each may be closed to us."""
        found = [one for tree in self._trees.values() for one in tree.processes if one.python]
        if not found:
            return
        work = [self._part("Python stacks", self._read_stacks([one.pid for one in found]))]
        if self._signal is not None and self._asks:
            work.append(self._part("its own stacks", self._call_out(found, self._signal)))
        await asyncio.gather(*work)

    async def _read_stacks(self, pids: Sequence[int]) -> None:
        self._stacks = await self._by.instruments.stacks(pids)

    async def _call_out(self, processes: Sequence[ProcessFacts], signal: StackSignal) -> None:
        troubles = await self._by.instruments.call_out(processes, signal)
        self._missing += troubles
        if len(troubles) < len(processes):
            await self._by.clock.sleep(_TO_PRINT)

    async def _read_machine(self) -> None:
        self._machine, trouble = await self._by.instruments.machine(self._scene.folders, self._scene.groups)
        if trouble:
            self._missing.append(trouble)
