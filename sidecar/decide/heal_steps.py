"""The step of a plan that carries a heal out. Pure."""

from __future__ import annotations

from sidecar.model.heal import CommandHeal, Heal
from sidecar.model.plan import Step, StepKind


def heal_step(heal: Heal, check: str) -> Step:
    """It is a trial where it can be taken back: whoever plans it has a step behind it that tells whether
    it has helped."""
    undoable = isinstance(heal, CommandHeal) and bool(heal.undo)
    return Step(StepKind.HEAL_TRIAL if undoable else StepKind.HEAL, what=check, heal=heal)
