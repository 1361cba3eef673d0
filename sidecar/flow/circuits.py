"""The circuits as the corridor uses them: lent, settled, and kept in the book."""

from __future__ import annotations

from collections.abc import Callable

from sidecar.clock import Clock
from sidecar.decide import breaker
from sidecar.flow.ports import Book, Meter
from sidecar.model.incident import Asker
from sidecar.model.policy import BreakerPolicy, BreakerState


class Circuits:
    """The breakers, by strategy, as the book keeps them."""

    def __init__(self, book: Book, clock: Clock, meter: Meter, policy: Callable[[], BreakerPolicy]) -> None:
        self._book = book
        self._clock = clock
        self._meter = meter
        self._policy = policy
        self.states: dict[str, BreakerState] = {}

    async def load(self) -> None:
        self.states = dict(await self._book.circuits())

    async def lend(self, name: str) -> None:
        """Take the permit that the decision has counted on."""
        old = self.states.get(name, BreakerState())
        _, new = breaker.ask(old, self._policy(), self._clock.wall())
        await self._keep(name, old, new)

    async def settle(self, name: str, event: breaker.BreakerEvent) -> None:
        old = self.states.get(name, BreakerState())
        new = breaker.advance(old, event, self._policy(), self._clock.wall())
        self._meter.circuit_call(name, event)
        await self._keep(name, old, new)

    async def reset(self, name: str) -> None:
        """Close a circuit because a person says so."""
        await self._keep(name, self.states.get(name, BreakerState()), BreakerState(), Asker.OPERATOR)

    async def _keep(self, name: str, old: BreakerState, new: BreakerState, actor: str = "sidecar") -> None:
        if new == old:
            return
        self.states[name] = new
        if new.circuit is not old.circuit:
            self._meter.circuit_moved(name, new.circuit)
        await self._book.save_circuit(name, new, self._clock.wall(), actor)
