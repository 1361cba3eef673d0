"""What a strategy needs before it can be used: a checkpoint, a declaration, a living session."""

from __future__ import annotations

from sidecar.decide.situation import Situation
from sidecar.model.plan import Refusal, RefusalReason, Strategy

_ON_A_LIVING_SESSION = frozenset({Strategy.RESPAWN_PANE, Strategy.RESUME_PROGRAM, Strategy.REBUILD_WINDOW})


def lacking(situation: Situation, strategy: Strategy) -> Refusal | None:
    """What is missing for this strategy; None when there is nothing."""
    if strategy is Strategy.RESTORE_CHECKPOINT and situation.checkpoint is None:
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
    if strategy in _ON_A_LIVING_SESSION and situation.session is None:
        return Refusal(RefusalReason.STALE, "the session is no longer there")
    return None
