"""The circuits as the corridor uses them: lent, settled, and kept in the book.

The states in memory are what counts, and nothing awaits between a question and its answer, so that no two
recoveries get the same permit. The book follows, for the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sidecar.clock import Clock
from sidecar.decide import breaker
from sidecar.decide.breaker import BreakerEvent, Ended
from sidecar.flow.ports import Book, Meter
from sidecar.model import circuits
from sidecar.model.incident import Asker
from sidecar.model.plan import Plan, Strategy
from sidecar.model.policy import BreakerPolicy, BreakerState
from sidecar.model.record import IncidentRow


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to use a strategy for a session."""

    strategy: Strategy
    session: str
    holder: str
    """Who has it; whoever takes up what a crash cut off may make the same permit again."""

    @property
    def names(self) -> tuple[str, ...]:
        """The circuits that it goes through."""
        return self.strategy.value, circuits.for_session(self.strategy, self.session)

    def target(self, name: str) -> str:
        """A strategy as a whole rests when it fails for several sessions, not when one is past help."""
        return self.session if name == self.strategy else ""


@dataclass(frozen=True, slots=True)
class Turn:
    """Leave to ask something that several sessions depend on."""

    address: str
    session: str
    """For whom it is asked."""
    holder: str

    @property
    def names(self) -> tuple[str, ...]:
        """The circuit that it goes through."""
        return (circuits.for_dependency(self.address),)

    def target(self, name: str) -> str:
        """It is down when it is so for several sessions."""
        return self.session


def permit_for(plan: Plan, incident: IncidentRow) -> Permit:
    """The permit that this plan needs: an incident never has two of one kind."""
    return Permit(plan.strategy, plan.session, incident.trace)


class Circuits:
    """The breakers by name, as the book keeps them."""

    def __init__(self, book: Book, clock: Clock, meter: Meter, policy: Callable[[], BreakerPolicy]) -> None:
        self._book = book
        self._clock = clock
        self._meter = meter
        self._policy = policy
        self._policies: dict[str, BreakerPolicy] = {}
        """Where a rung has one of its own."""
        self.states: dict[str, BreakerState] = {}
        self._behind: set[str] = set()
        """Those that the book does not have as they are."""

    async def load(self) -> None:
        self.states = dict(await self._book.circuits())

    def policy(self, name: str) -> BreakerPolicy:
        """What holds for this circuit."""
        return self._policies.get(name) or self._policy()

    def retry_after(self, name: str) -> float | None:
        """Seconds until a call may go through; 0 if it may now, None if a person holds it open."""
        return breaker.retry_after(self.state(name), self.policy(name), self._clock.wall())

    def state(self, name: str) -> BreakerState:
        """As it is; a circuit that was never used is closed."""
        return self.states.get(name, BreakerState())

    async def lend(self, permit: Permit | Turn, own: BreakerPolicy | None = None) -> str:
        """Take the permit, of all its circuits or of none. Returns the one that refuses it, or nothing.

        ``own`` is the policy for this session's circuit, if it is not the common one.
        """
        if own is not None:
            self._policies[permit.names[-1]] = own
        lent: dict[str, BreakerState] = {}
        for name in permit.names:
            state = breaker.lend(self.state(name), self.policy(name), self._clock.wall(), permit.holder)
            if state is None:
                return name
            lent[name] = state
        try:
            await self._keep(lent)
        except BaseException:
            self.give_back(permit)
            raise
        return ""

    def give_back(self, permit: Permit | Turn) -> None:
        """Nothing was done with it. The book learns of it at the next change."""
        for name in permit.names:
            self.states[name] = self._settled(name, permit, BreakerEvent.CANCELLED)
            self._behind.add(name)

    async def settle(self, permit: Permit | Turn, event: BreakerEvent, took: float = 0.0) -> None:
        """Tell the circuits how it ended; ``took`` in seconds. It counts whether or not it is written."""
        for name in permit.names:
            self._meter.circuit_call(name, event)
        await self._keep({name: self._settled(name, permit, event, took) for name in permit.names})

    async def catch_up(self) -> None:
        """Write down what the book could not take before."""
        await self._keep({})

    def _settled(
        self, name: str, permit: Permit | Turn, event: BreakerEvent, took: float = 0.0
    ) -> BreakerState:
        ended, policy = Ended(event, took, permit.target(name)), self.policy(name)
        return breaker.settle(self.state(name), policy, self._clock.wall(), permit.holder, ended)

    async def force_open(self, name: str) -> None:
        """Let nothing through until a person closes it."""
        await self._keep({name: breaker.force_open(self._clock.wall())}, Asker.OPERATOR)

    async def reset(self, name: str) -> None:
        """Close a circuit because a person says so."""
        await self._keep({name: BreakerState()}, Asker.OPERATOR)

    async def _keep(self, states: Mapping[str, BreakerState], actor: str = "sidecar") -> None:
        changed = {name: state for name, state in states.items() if state != self.state(name)}
        self.states.update(changed)
        forgotten = self._forget(except_for=states)
        self._behind = (self._behind | changed.keys()) - {*forgotten}
        told = {name: self.states[name] for name in self._behind}
        if told or forgotten:
            moved = await self._book.save_circuits(told, forgotten, self._clock.wall(), actor)
            self._behind -= {name for name, state in told.items() if self.states.get(name) == state}
            for name in moved:
                self._meter.circuit_moved(name, told[name].circuit)

    def _forget(self, except_for: Iterable[str]) -> tuple[str, ...]:
        """Drop the circuits of single sessions and dependencies that nobody has used for long."""
        now = self._clock.wall()
        gone = tuple(
            name
            for name, state in self.states.items()
            if circuits.passes(name)
            and name not in except_for
            and breaker.forgettable(state, self.policy(name), now)
        )
        for name in gone:
            del self.states[name]
            self._policies.pop(name, None)
        return gone
