"""Everything the corridor has done to the machine for a check, in one place."""

from __future__ import annotations

from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.heals import caches, commands, delete, rotate, signals, units, webhook
from sidecar.edges.heals.notes import Notes
from sidecar.model.heal import (
    CommandHeal,
    DeleteHeal,
    DropCachesHeal,
    Heal,
    HealCall,
    RotateHeal,
    SignalHeal,
    UnitHeal,
    WebhookHeal,
)


class HealDoor:
    """Implements :class:`sidecar.flow.ports.Healer`."""

    def __init__(self, state: Path, clock: Clock) -> None:
        """``state`` is the state folder, where notes about unfinished heals are kept."""
        self._state = state
        self._clock = clock
        self._notes = Notes(state / "heals", clock)

    async def heal(self, call: HealCall) -> str:
        """Do it; one sentence about what was done.

        Raises:
            Temporary: it has not worked now.
            Permanent: it will not.
        """
        match call.heal:
            case CommandHeal() as heal:
                return await commands.run_heal(heal, call, self._clock)
            case SignalHeal() as heal:
                return await signals.send(heal, call, self._notes)
            case DeleteHeal() as heal:
                return await delete.delete(heal, self._state, self._clock)
            case RotateHeal() as heal:
                return await rotate.rotate(heal, self._state, self._clock)
            case UnitHeal() as heal:
                return await units.restart(heal, call, self._notes, self._clock)
            case WebhookHeal() as heal:
                return await webhook.ask(heal, call)
            case DropCachesHeal():
                return await caches.drop()
        raise AssertionError(f"{call.heal} is done elsewhere")

    async def foresee(self, heal: Heal) -> str:
        """Which files it would change now; empty for a heal that changes none. Raises as :meth:`heal`."""
        match heal:
            case DeleteHeal():
                return await delete.foresee(heal, self._state, self._clock)
            case RotateHeal():
                return await rotate.foresee(heal, self._state)
        return ""

    async def take_back(self, call: HealCall) -> str:
        """Undo it; one sentence about that. Raises as :meth:`heal`."""
        assert isinstance(call.heal, CommandHeal), "nothing else has a way back"
        return await commands.run_undo(call.heal, call, self._clock)
