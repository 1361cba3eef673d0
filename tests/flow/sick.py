"""Something that a look does not show: whoever finds it, and the machine on which it is put right."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sidecar.decide.detect import Expected
from sidecar.model.heartbeat import May, StackSignal
from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent
from sidecar.model.running import ProcessState, Running, Sending
from sidecar.model.session import Look
from tests.flow.corridor import ValueTmux


@dataclass
class Sickness:
    """An examiner of the session ``web``, and what :class:`sidecar.flow.ports.Stopped` does to it."""

    tmux: ValueTmux
    kind: FailureKind
    cause: Cause
    part: Broken
    lasts: Callable[[ValueTmux], bool] = lambda tmux: True
    """Whether it is still so, by what was done; beside that, it is over once a process was helped."""
    may: tuple[May, ...] = ()
    stack_signal: StackSignal | None = None
    bears: frozenset[Sending] = frozenset()
    """Signals that do not end the program."""
    broken: bool = False
    gone: set[int] = field(default_factory=set)

    @property
    def causes(self) -> frozenset[Cause]:
        return frozenset({self.cause})

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        if "web" not in free or not await self._is_so():
            return ()
        failure = Failure("web", self.kind, (self.part,), look.taken)
        told = (Evidence("test", "it is sick"),)
        finding = Finding(failure, self.cause, Intent.FAILURE, told, "sickness", may=self.may)
        return (replace(finding, stack_signal=self.stack_signal),)

    async def still(self, finding: Finding, look: Look) -> bool:
        return await self._is_so()

    async def _is_so(self) -> bool:
        return self.broken and self.lasts(self.tmux)

    def _helped(self, *effect: object) -> None:
        self.tmux.effects.append(effect)
        self.broken = False

    def state(self, pid: int) -> ProcessState | None:
        if pid in self.gone:
            return None
        return ProcessState(pid, self.part.started, Running.SLEEPING, pid, 1, pid, 0)

    async def let_go_on(self, pid: int, started: int) -> bool:
        self._helped("continue", pid)
        return True

    async def unblock(self, terminal: str, pid: int) -> bool:
        self._helped("unblock", terminal)
        return True

    async def send_to_group(self, state: ProcessState, what: Sending) -> bool:
        self._helped(what.value, state.pid)
        if what not in self.bears:
            self.gone.add(state.pid)
            self.tmux.change(self.part.pane, program=None)
        return True
