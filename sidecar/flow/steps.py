"""What each kind of step does to the world, and how it is taken back. A table; nothing is decided here.

Every step can be begun again after it was cut off at any point: it is idempotent, or finds out what an
earlier attempt has done.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from sidecar.errors import Permanent, SidecarError
from sidecar.flow import mend, steps_firm, steps_gentle, steps_heal, steps_own
from sidecar.flow.build_steps import (
    bring_back,
    build_workspace,
    rebuild_pane,
    rebuild_session,
    rebuild_window,
    remove_built,
    replace_session,
)
from sidecar.flow.surgery import Surgery
from sidecar.flow.type_steps import furnish_workspace, report, start_program, start_programs
from sidecar.model.plan import Step, StepKind
from sidecar.model.session import Operation

Work = Callable[[Surgery, Step], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Deed:
    """One kind of step."""

    do: Work
    undo: Work | None = None
    """How it is taken back."""
    nothing_to_undo: str = ""
    """Why there is no way back, and none is needed; given where ``undo`` is not."""
    seconds: float = 60.0
    """How long one attempt may take, or one at taking it back, before it is cut off as hung."""
    pivot: bool = False
    """Once it is done there is no way back: what follows completes it, or falls short of it."""

    def __post_init__(self) -> None:
        assert (self.undo is None) is bool(self.nothing_to_undo)


async def save(surgery: Surgery, step: Step) -> None:
    """The state before the action, so that the action can itself be undone."""
    assert surgery.case.before is not None
    # A program that a rule has started runs, whether or not its state can be stored just now.
    excused = (SidecarError,) if surgery.plan.finding.program else ()
    with contextlib.suppress(*excused):
        await surgery.checkpointer.save(surgery.case.before, Operation.BEFORE_RECOVERY)


async def respawn_pane(surgery: Surgery, step: Step) -> None:
    """Start the dead pane's own command again, where it was."""
    if steps_firm.runs_on(surgery, step):
        return
    own = step.resumption
    if own is not None and own.heavy:
        await surgery.pace.wait()
    instead = own.command if own else ()
    if not await surgery.tmux.respawn(step.pane, step.pid, step.cwd, instead, surgery.mark):
        raise Permanent(
            f"pane {step.pane} is not the dead pane of process {step.pid} any more",
            hint="Somebody acted meanwhile; nothing was done to it.",
        )
    await report(surgery, {step.pane: own} if own else {})


async def signal_server(surgery: Surgery, step: Step) -> None:
    """Have the live server make its socket again."""
    await surgery.tmux.recreate_socket()


async def run_script(surgery: Surgery, step: Step) -> None:
    """What has to be done once before a declared session is created."""
    workspace = surgery.plan.workspace
    assert workspace is not None
    if surgery.progress.again:
        await surgery.host.end_script(surgery.mark)
    await surgery.host.run_script(workspace.before_script, workspace.cwd, surgery.mark)


_TYPED = "what was typed cannot be taken back, and what it has started is the session's own"
_DECLARED = "a declared part that stands takes nothing away"
_AS_MEANT = "what goes on again is as it was meant to be"
_ENDED = "a program that was ended does not come back; it is started again"
_MINUTES = 60.0

STEPS: Mapping[StepKind, Deed] = {
    StepKind.SAVE: Deed(save, nothing_to_undo="one more checkpoint does no harm"),
    StepKind.RESPAWN_PANE: Deed(
        respawn_pane,
        nothing_to_undo="the process that died before it does not come back",
        seconds=5 * _MINUTES,
    ),
    StepKind.START_PROGRAM: Deed(start_program, nothing_to_undo=_TYPED, seconds=5 * _MINUTES),
    StepKind.REBUILD_SESSION: Deed(rebuild_session, remove_built, seconds=5 * _MINUTES, pivot=True),
    StepKind.REBUILD_WINDOW: Deed(rebuild_window, remove_built, seconds=5 * _MINUTES, pivot=True),
    StepKind.REBUILD_PANE: Deed(rebuild_pane, remove_built, seconds=5 * _MINUTES, pivot=True),
    StepKind.REPLACE_SESSION: Deed(replace_session, bring_back, seconds=10 * _MINUTES, pivot=True),
    # Heavy programs start in turns, and there may be fifty of them.
    StepKind.START_PROGRAMS: Deed(start_programs, nothing_to_undo=_TYPED, seconds=15 * _MINUTES),
    StepKind.SIGNAL_SERVER: Deed(
        signal_server, nothing_to_undo="a socket that is there again takes nothing away", seconds=15.0
    ),
    StepKind.RUN_SCRIPT: Deed(
        run_script,
        nothing_to_undo="only its author knows what a script has made; it has to bear being run again",
        seconds=11 * _MINUTES,
    ),
    StepKind.BUILD_WINDOW: Deed(mend.build_window, nothing_to_undo=_DECLARED, seconds=2 * _MINUTES),
    StepKind.FURNISH_WINDOW: Deed(mend.furnish_window, nothing_to_undo=_TYPED, seconds=60 * _MINUTES),
    StepKind.BUILD_PANE: Deed(mend.build_pane, nothing_to_undo=_DECLARED, seconds=2 * _MINUTES),
    StepKind.FURNISH_PANE: Deed(mend.furnish_pane, nothing_to_undo=_TYPED, seconds=60 * _MINUTES),
    StepKind.ARRANGE_WINDOW: Deed(
        mend.arrange_window, nothing_to_undo="a layout takes nothing away, and a person can change it"
    ),
    StepKind.CONTINUE: Deed(steps_gentle.go_on, nothing_to_undo=_AS_MEANT),
    StepKind.UNBLOCK: Deed(steps_gentle.unblock, nothing_to_undo=_AS_MEANT),
    StepKind.INTERRUPT: Deed(steps_firm.interrupt, nothing_to_undo=_ENDED),
    StepKind.END: Deed(steps_firm.end, nothing_to_undo=_ENDED),
    # Each of these steps has a limit of its own, and this is more than the longest.
    StepKind.CUSTOM_STEP: Deed(steps_own.do, steps_own.undo, seconds=61 * _MINUTES),
    StepKind.CUSTOM_FINAL: Deed(
        steps_own.do, nothing_to_undo="its author says why, in the strategy", seconds=61 * _MINUTES
    ),
    StepKind.CUSTOM_CHECK: Deed(steps_own.verify, nothing_to_undo="it only looks", seconds=61 * _MINUTES),
    StepKind.HEAL: Deed(
        steps_heal.heal,
        nothing_to_undo="what a heal has done stays done; one that can be taken back is a trial",
        seconds=61 * _MINUTES,
    ),
    StepKind.PROVE: Deed(steps_heal.prove, nothing_to_undo="it only asks", seconds=2 * _MINUTES),
    StepKind.HEAL_TRIAL: Deed(steps_heal.heal, steps_heal.take_back, seconds=61 * _MINUTES),
    StepKind.BUILD_WORKSPACE: Deed(build_workspace, remove_built, seconds=5 * _MINUTES, pivot=True),
    # The file says how long it waits between its lines.
    StepKind.FURNISH_WORKSPACE: Deed(furnish_workspace, nothing_to_undo=_TYPED, seconds=60 * _MINUTES),
}

UNDOABLE = frozenset(kind for kind, deed in STEPS.items() if deed.undo is not None)
PIVOTS = frozenset(kind for kind, deed in STEPS.items() if deed.pivot)
