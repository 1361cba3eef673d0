"""What a strategy needs before it can be used: a checkpoint, a declaration, a living session."""

from __future__ import annotations

from sidecar.decide.mend import declared_window, stored_window
from sidecar.decide.put_back import missing
from sidecar.decide.restart import untypeable
from sidecar.decide.situation import Situation
from sidecar.model.plan import Manner, Refusal, RefusalReason, Resort, Strategy

_FROM_A_CHECKPOINT = frozenset({Strategy.RESTORE_CHECKPOINT, Strategy.BARE_SESSION})
_ON_A_LIVING_SESSION = frozenset(
    {
        Strategy.UNBLOCK_TERMINAL,
        Strategy.INTERRUPT_PROGRAM,
        Strategy.RESPAWN_PANE,
        Strategy.RESUME_PROGRAM,
        Strategy.REBUILD_WINDOW,
        Strategy.REBUILD_PANE,
        Strategy.ARRANGE_WINDOW,
        Strategy.FURNISH_PANE,
    }
)


def lacking(situation: Situation, resort: Resort) -> Refusal | None:
    """What is missing for this; None when there is nothing."""
    strategy = resort.strategy
    source = situation.older if resort.manner is Manner.OLDER else situation.checkpoint
    if strategy in _FROM_A_CHECKPOINT and source is None:
        return Refusal(
            RefusalReason.NO_CHECKPOINT,
            f"there is no good checkpoint of {situation.finding.failure.session}",
            hint="It was never seen long enough to be stored; start it by hand.",
        )
    if strategy is Strategy.REBUILD_WORKSPACE and situation.workspace is None:
        return Refusal(
            RefusalReason.NOT_DECLARED,
            f"no workspace file declares {situation.finding.failure.session}",
            hint="Name its file in sessions.workspaces, or leave the strategy out.",
        )
    living = strategy in _ON_A_LIVING_SESSION or bool(strategy.own_name)
    if living and situation.session is None:
        return Refusal(RefusalReason.STALE, "the session is no longer there")
    if strategy is Strategy.REBUILD_WINDOW and situation.order is None:
        return _without_window(situation)
    if (refusal := untypeable(situation)) is not None:
        return refusal
    failure = situation.finding.failure
    if failure.gone and len(missing(situation)) < len(failure.broken):
        return Refusal(RefusalReason.STALE, "something else is in the place of a pane that was killed")
    return None


def _without_window(situation: Situation) -> Refusal | None:
    for part in situation.finding.failure.broken:
        if stored_window(situation, part) is None and declared_window(situation, part) is None:
            return Refusal(
                RefusalReason.NO_CHECKPOINT,
                f"no good checkpoint of this life of {situation.finding.failure.session} has window "
                f"{part.window}, and no workspace file declares it",
                hint="`sidecar checkpoint list` shows older ones; `checkpoint restore --window` takes one.",
            )
    return None
