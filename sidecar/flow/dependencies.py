"""What several sessions depend on: one circuit and one finding for each address, whoever asks for it.

While a circuit is open the address is left alone but for its probes, one at a time. Whoever waits for
the address is not healed meanwhile; when it answers again, everybody is asked anew. A circuit that a person
holds open means the same without a probe, for as long as the person says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.clock import Clock
from sidecar.decide.breaker import BreakerEvent
from sidecar.decide.dependency import Waiter, finding, is_down, keeps_waiting
from sidecar.decide.weather import Weather
from sidecar.flow.circuits import Circuits, Turn
from sidecar.flow.ports import Dismiss
from sidecar.flow.rounds import Question, Rounds
from sidecar.flow.ward import Ward
from sidecar.model.circuits import for_dependency
from sidecar.model.heartbeat import Heartbeat
from sidecar.model.incident import Finding
from sidecar.model.plan import RefusalReason
from sidecar.model.policy import BreakerPolicy, Circuit

_SEVERAL = 2
_REMEMBERED = 600.0
_FORCED = 5.0
"""Seconds between two looks at a circuit that a person holds open."""

Needs = Mapping[str, Sequence[tuple[Question[Heartbeat], tuple[str, ...]]]]
"""By address: the questions that are about it, each with the sessions that it is asked for."""


@dataclass(slots=True)
class Dependencies:
    """The addresses that heartbeat rules ask."""

    ward: Ward
    circuits: Circuits
    rounds: Rounds[Heartbeat]
    clock: Clock
    notice: Callable[[], None]
    dismiss: Dismiss
    _needs: Needs = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    """Circuits that something was said about."""
    _turns: dict[Question[Heartbeat], Turn] = field(default_factory=dict)

    def need(self, needs: Needs) -> None:
        """From now on these addresses count, and no others."""
        self._needs = needs

    async def wait(self, question: Question[Heartbeat]) -> float:
        """Seconds until this question may be asked; 0 if it may now, and then :meth:`heard` has to follow."""
        name = for_dependency(question.probe.address)
        if not question.probe.address or self.circuits.state(name).circuit is Circuit.CLOSED:
            return 0.0
        turn = Turn(question.probe.address, question.session, f"{question.label} {question.session}")
        if not await self.circuits.lend(turn, self._policy(question)):
            self._turns[question] = turn
            return 0.0
        wait = self.circuits.retry_after(name)
        return _FORCED if wait is None else max(wait, 0.1)

    async def heard(self, question: Question[Heartbeat]) -> None:
        """A try has ended: open or close the circuit by it."""
        address, good = question.probe.address, self.rounds.standing(question).since is None
        turn = self._turns.pop(question, None)
        if turn is not None:
            await self.circuits.settle(turn, BreakerEvent.SUCCESS if good else BreakerEvent.FAILURE)
            if good and self.circuits.state(for_dependency(address)).circuit is Circuit.CLOSED:
                self._ask_anew(address)
        elif address and not good and is_down(self._waiters(address)):
            await self._open(question)

    def doubtful(self, question: Question[Heartbeat]) -> bool:
        """Whether others need the same address, and have not been asked since this one began to fail."""
        since = self.rounds.standing(question).since
        others = [other for other, _ in self._needs.get(question.probe.address, ()) if other != question]
        late = [other for other in others if since is not None and self.rounds.asked(other) < since]
        for other in late:
            self.rounds.hurry(other)
        return bool(late)

    async def findings(self) -> list[Finding]:
        """One for each address that is down; what is not down any more is settled."""
        waiting: dict[str, set[str]] = {}
        found: list[Finding] = []
        for address in self._needs:
            name = for_dependency(address)
            state = self.circuits.state(name)
            if not address or state.circuit is Circuit.CLOSED:
                continue
            waiters = self._waiters(address)
            for session in keeps_waiting(waiters):
                waiting.setdefault(session, set()).add(address)
            found.append(finding(name, address, waiters, self.clock.monotonic(), forced=state.forced))
        self.ward.waiting = {session: frozenset(each) for session, each in waiting.items()}
        await self._settle({one.failure.session for one in found})
        return found

    async def _settle(self, names: set[str]) -> None:
        over, self._told = self._told - names, names
        for name in over:
            await self.dismiss(name, "it answers again, or nobody needs it any more")
        for address, questions in self._needs.items():
            # A person has closed it: what was found until now does not open it again.
            stale = any(self.rounds.standing(question).since is not None for question, _ in questions)
            if stale and for_dependency(address) in over:
                self._ask_anew(address)
        if over:
            self.ward.ask_again(RefusalReason.DEPENDENCY_DOWN)

    async def _open(self, question: Question[Heartbeat]) -> None:
        """Report the failure of every session that waits; the circuit opens with the second."""
        address = question.probe.address
        for waiter in self._waiters(address):
            turn = Turn(address, waiter.session, waiter.session)
            if waiter.failed and not await self.circuits.lend(turn, self._policy(question)):
                await self.circuits.settle(turn, BreakerEvent.FAILURE)
        self.notice()

    def _ask_anew(self, address: str) -> None:
        for question, _ in self._needs.get(address, ()):
            self.rounds.start_anew(question)
        self.notice()

    def _waiters(self, address: str) -> list[Waiter]:
        return [
            self._waiter(question, name) for question, names in self._needs.get(address, ()) for name in names
        ]

    def _waiter(self, question: Question[Heartbeat], session: str) -> Waiter:
        standing = self.rounds.standing(question)
        return Waiter(
            session,
            may=bool(question.rule.may),
            failed=standing.since is not None,
            settled=standing.weather in (Weather.FAILING, Weather.OUTAGE),
            since=standing.since,
            fact=f"{question.probe.describe()}: {standing.tries[-1].fact}" if standing.tries else "",
        )

    def _policy(self, question: Question[Heartbeat]) -> BreakerPolicy:
        """Down when it is so for two; asked again no later than it would be in good order."""
        common = self.ward.settings.recovery.circuit
        return BreakerPolicy(
            failure_threshold=_SEVERAL,
            window=_REMEMBERED,
            recovery_timeout=min(common.recovery_timeout, question.rule.interval),
        )
