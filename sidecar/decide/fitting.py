"""Which strategies fit what is broken: one table of (unit, failure, cause), read from the top.

A strategy that fits is only possible. Whether it is allowed says the ladder, and whether it can be
done just now says ``material``.
"""

from __future__ import annotations

from dataclasses import dataclass

from sidecar.model.incident import Cause, Failure, FailureKind, Unit
from sidecar.model.plan import Strategy

_ANY_BREAK = frozenset(FailureKind) - {FailureKind.DISCONNECTED}
_FROZEN = frozenset({FailureKind.FROZEN})
_CORRUPTED = frozenset({FailureKind.CORRUPTED})
_STOPPED = frozenset({Cause.SERVER_SUSPENDED, Cause.CLIENT_WEDGED, Cause.PROCESS_SUSPENDED})


@dataclass(frozen=True, slots=True)
class Fit:
    """One row: what fits this unit, for these failures and causes."""

    unit: Unit
    strategies: tuple[Strategy, ...]
    kinds: frozenset[FailureKind] = _ANY_BREAK
    causes: frozenset[Cause] = frozenset()
    """Empty: whatever the cause."""
    gone: bool = False
    """Only where nothing of the unit is left."""

    def suits(self, failure: Failure, cause: Cause) -> bool:
        if failure.unit is not self.unit or failure.kind not in self.kinds:
            return False
        return (not self.causes or cause in self.causes) and (failure.gone or not self.gone)

    def concerns(self, word: FailureKind | Cause) -> bool:
        """Whether it can be about this failure, or this cause."""
        return word in self.kinds if isinstance(word, FailureKind) else not self.causes or word in self.causes


TABLE: tuple[Fit, ...] = (
    Fit(
        Unit.CHECK,
        (Strategy.HEAL_CHECK,),
        frozenset({FailureKind.UNHEALTHY}),
        frozenset({Cause.CHECK_FAILED}),
    ),
    Fit(Unit.SOCKET, (Strategy.RECREATE_SOCKET,), frozenset({FailureKind.DISCONNECTED})),
    Fit(Unit.TERMINAL, (Strategy.UNBLOCK_TERMINAL,), _FROZEN),
    Fit(
        Unit.PROGRAM,
        (Strategy.FURNISH_PANE,),
        _CORRUPTED,
        frozenset({Cause.FOLDER_DIFFERS, Cause.PROGRAM_DIFFERS}),
    ),
    Fit(Unit.PANE, (Strategy.REBUILD_PANE,), _CORRUPTED, frozenset({Cause.SHAPE_DIFFERS})),
    Fit(Unit.WINDOW, (Strategy.ARRANGE_WINDOW,), _CORRUPTED, frozenset({Cause.LAYOUT_DIFFERS})),
    Fit(Unit.PROGRAM, (Strategy.CONTINUE_PROCESS,), _FROZEN, _STOPPED),
    Fit(Unit.PROGRAM, (Strategy.INTERRUPT_PROGRAM, Strategy.RESPAWN_PANE), _FROZEN),
    Fit(Unit.PROGRAM, (Strategy.RESUME_PROGRAM,)),
    Fit(Unit.PANE, (Strategy.REBUILD_PANE,), gone=True),
    Fit(Unit.PANE, (Strategy.RESPAWN_PANE,)),
    Fit(Unit.WINDOW, (Strategy.REBUILD_WINDOW,)),
    Fit(Unit.SESSION, (Strategy.RESTORE_CHECKPOINT, Strategy.REBUILD_WORKSPACE)),
    Fit(Unit.SERVER, (Strategy.CONTINUE_PROCESS,), _FROZEN, _STOPPED),
    Fit(Unit.SERVER, (), _FROZEN),
    Fit(Unit.SERVER, (Strategy.RESTORE_CHECKPOINT, Strategy.REBUILD_WORKSPACE)),
)
"""The first row that suits is used, so one with causes stands above one without."""


def possible(word: FailureKind | Cause) -> frozenset[Strategy]:
    """All strategies that can mend something of this failure, or of this cause."""
    return frozenset(strategy for row in TABLE if row.concerns(word) for strategy in row.strategies)


def fitting(failure: Failure, cause: Cause) -> tuple[Strategy, ...]:
    """The strategies that can mend this, gentlest first; none when nothing can."""
    rows = (row for row in TABLE if row.suits(failure, cause))
    return next((row.strategies for row in rows), ())
