"""Steps of users' own strategies. What they do happens in another process, and so does what goes wrong."""

from __future__ import annotations

from sidecar.flow.surgery import Surgery
from sidecar.model.extension import OwnCall
from sidecar.model.plan import Step
from sidecar.model.saga import Phase

_VERIFY = "verify"


async def do(surgery: Surgery, step: Step) -> None:
    """Carry one step of theirs out."""
    await _call(surgery, step, Phase.DO)


async def undo(surgery: Surgery, step: Step) -> None:
    """Have it taken back."""
    await _call(surgery, step, Phase.UNDO)


async def verify(surgery: Surgery, step: Step) -> None:
    """Ask whether it has worked."""
    await _call(surgery, step, _VERIFY)


async def _call(surgery: Surgery, step: Step, want: str) -> None:
    own, plan, checkpoint = step.own, surgery.plan, surgery.plan.checkpoint
    assert own is not None
    if surgery.progress.again or surgery.case.unfinished is not None:
        # What an earlier run has left running must not act beside this one.
        await surgery.host.extensions.end(surgery.mark)
    call = OwnCall(
        strategy=plan.strategy.own_name,
        want=want,
        step="" if want == _VERIFY else own.name,
        seconds=own.seconds,
        again=surgery.progress.again,
        mark=surgery.mark,
        session=plan.session,
        session_id=surgery.living.id,
        finding=plan.finding,
        ran={pane.id: pane.program.argv if pane.program else pane.argv for pane in surgery.living.panes()},
        checkpoint=(checkpoint.id, checkpoint.taken) if checkpoint else None,
    )
    await surgery.host.extensions.call(call, surgery.say)
