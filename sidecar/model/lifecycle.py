"""The incident's states as one table. An illegal move raises and changes nothing.

``docs/recovery.md`` draws it from this table.

A refusal may repeat ``open``, ``held`` and ``given_up`` or turn one into another, and from each of
them a recovery may begin. ``recovering`` cannot be entered twice, which is what makes it a claim.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from sidecar.model.incident import IncidentState as State

_WAITING = frozenset({State.OPEN, State.HELD, State.GIVEN_UP})

MOVES: Mapping[State, frozenset[State]] = MappingProxyType(
    {
        State.OPEN: _WAITING | {State.RECOVERING, State.DISMISSED, State.FAILED},
        State.RECOVERING: _WAITING | {State.RECOVERED, State.FAILED, State.DISMISSED},
        State.HELD: _WAITING | {State.RECOVERING, State.RECOVERED, State.DISMISSED},
        State.GIVEN_UP: _WAITING | {State.RECOVERING, State.RECOVERED, State.DISMISSED},
        State.RECOVERED: frozenset(),
        State.FAILED: frozenset(),
        State.DISMISSED: frozenset(),
    }
)
"""From each state, the states that may follow."""

CLOSED = frozenset(state for state, following in MOVES.items() if not following)
"""States that nothing follows."""


class IllegalMove(ValueError):
    """The incident cannot go from ``old`` to ``new``; a fault of the program, not of the session."""

    def __init__(self, old: State, new: State) -> None:
        super().__init__(f"an incident that is {old} cannot become {new}")
        self.old = old
        self.new = new


def move(old: State, new: State) -> State:
    """``new``, if it may follow ``old``.

    Raises :class:`IllegalMove` if it may not.
    """
    if new not in MOVES[old]:
        raise IllegalMove(old, new)
    return new
