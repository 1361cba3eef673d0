"""The last question before anything is done: is it still broken, and can what is taken away come back?"""

from __future__ import annotations

from dataclasses import dataclass, replace

from sidecar.decide.confirm import Scene, still_broken
from sidecar.decide.restore import server_unknown
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.examine import Examination
from sidecar.flow.ports import Tmux
from sidecar.flow.situation import Surveyor
from sidecar.flow.ward import Case
from sidecar.model.incident import Unit
from sidecar.model.plan import Plan, Refusal, RefusalReason, Undo
from sidecar.model.record import HoldBack
from sidecar.model.session import Operation, Presence


@dataclass(frozen=True, slots=True)
class Confirmer:
    """Looks again at the moment of action: what was broken must still be, and be the same break."""

    tmux: Tmux
    examination: Examination
    checkpointer: Checkpointer
    surveyor: Surveyor

    async def confirm(self, case: Case, plan: Plan) -> Plan | Refusal:
        """The plan, with the way back in it where it takes a living session away; or why not."""
        if _guarded(case):
            return plan
        refusal = await self.stale(case)
        return refusal if refusal is not None else await self._safeguard(case, plan)

    async def stale(self, case: Case) -> Refusal | None:
        """Why nothing may be done now; None if it is still broken as it was."""
        look = await self.tmux.look()
        examined = self.examination.owns(case.finding)
        if look.presence is Presence.UNKNOWN and not examined:
            return server_unknown(look)
        scene = Scene(case.finding.failure, case.before, case.order, look)
        if await self.examination.still(case.finding, look) if examined else still_broken(scene):
            return None
        return Refusal(RefusalReason.STALE, "it came back, or changed, before anything was done")

    async def _safeguard(self, case: Case, plan: Plan) -> Plan | Refusal:
        """Before a living session is taken away, what it is now is stored, so that it can come back."""
        if case.order is None or not case.order.replaces:
            return plan
        assert case.before is not None
        saved = await self.checkpointer.save(case.before, Operation.BEFORE_RECOVERY)
        if isinstance(saved, HoldBack):
            return Refusal(
                RefusalReason.NO_CHECKPOINT,
                f"the present state cannot be stored, so it is not replaced: {saved.sentence}",
                hint="Ask again in a minute.",
                retry_after=60.0,
            )
        image, resume = saved.image, await self.surveyor.resume(case, saved.image)
        resumptions = (
            resume(pane, window.index, image.default_shell)
            for window in image.windows
            for pane in window.panes
        )
        first, *others = plan.steps
        return replace(
            plan,
            steps=(replace(first, undo=saved.id), *others),
            undo=Undo(saved, tuple(one for one in resumptions if one is not None)),
        )


def _guarded(case: Case) -> bool:
    """Whether tmux itself makes sure, in the command that acts, that the pane is dead by this very end."""
    (part, *others) = case.finding.failure.broken
    return bool(case.finding.program) and part.unit is Unit.PANE and not others
