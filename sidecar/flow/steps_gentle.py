"""Steps that end nothing: what was stopped goes on."""

from __future__ import annotations

from sidecar.errors import Permanent
from sidecar.flow.surgery import Surgery
from sidecar.model.plan import Step


async def go_on(surgery: Surgery, step: Step) -> None:
    """SIGCONT to what was stopped; to a process that goes on already, it means nothing."""
    if not await surgery.host.stopped.let_go_on(step.pid, step.started):
        raise Permanent(
            f"process {step.pid} is not the one that was stopped any more",
            hint="Nothing was done; the next look tells what is there now.",
        )


async def unblock(surgery: Surgery, step: Step) -> None:
    """Ctrl-Q without typing it; a terminal that is not stopped stays as it is."""
    if not await surgery.host.stopped.unblock(step.what, step.pid):
        raise Permanent(
            f"{step.what} is not the terminal of process {step.pid} any more",
            hint="Nothing was done; the next look tells what is there now.",
        )
