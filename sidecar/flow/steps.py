"""What each kind of step does to the world. A table; nothing is decided here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from sidecar.errors import Permanent, Temporary
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.ports import Book, Tmux
from sidecar.flow.ward import Case
from sidecar.model.plan import Entry, Plan, Resumption, Step, StepKind
from sidecar.model.session import Operation, Presence, Session


@dataclass(frozen=True, slots=True)
class Surgery:
    """What a step works with."""

    tmux: Tmux
    book: Book
    checkpointer: Checkpointer
    case: Case
    plan: Plan


async def save(surgery: Surgery, step: Step) -> None:
    """The state before the action, so that the action can itself be undone."""
    assert surgery.case.before is not None
    await surgery.checkpointer.save(surgery.case.before, Operation.BEFORE_RECOVERY)


async def respawn_pane(surgery: Surgery, step: Step) -> None:
    """Start the dead pane's own command again, where it was."""
    if not await surgery.tmux.respawn(step.pane, step.pid, step.cwd):
        raise Permanent(
            f"pane {step.pane} is not the dead pane of process {step.pid} any more",
            hint="Somebody acted meanwhile; nothing was done to it.",
        )


async def start_program(surgery: Surgery, step: Step) -> None:
    """Type a program's command line into the shell of a pane."""
    assert step.resumption is not None
    if step.resumption.entry is Entry.SKIPPED:
        return
    pid = step.pid or await _pid_of(surgery, step.pane)
    await surgery.tmux.enter(step.pane, pid, step.resumption)


async def rebuild_session(surgery: Surgery, step: Step) -> None:
    """Build the session from its checkpoint, then bring its programs back."""
    checkpoint = surgery.plan.checkpoint
    assert checkpoint is not None
    texts: dict[str, bytes] = {}
    for window in checkpoint.image.windows:
        for pane in window.panes:
            text = await surgery.book.scrollback(pane.scrollback) if pane.scrollback else None
            if text is not None:
                texts[pane.scrollback] = text
    session_id = await surgery.tmux.rebuild(checkpoint.image, texts)
    resumptions = [r for r in surgery.plan.expectation.resumptions if r.entry is not Entry.SKIPPED]
    if not resumptions:
        return
    look = await surgery.tmux.look()
    session = look.by_id(session_id)
    if session is None:
        raise Temporary("the rebuilt session has gone again", hint="Something closed it at once.")
    for resumption in resumptions:
        await _enter(surgery.tmux, session, resumption)


async def signal_server(surgery: Surgery, step: Step) -> None:
    """Have the live server make its socket again."""
    await surgery.tmux.recreate_socket()


STEPS: Mapping[StepKind, Callable[[Surgery, Step], Awaitable[None]]] = {
    StepKind.SAVE: save,
    StepKind.RESPAWN_PANE: respawn_pane,
    StepKind.START_PROGRAM: start_program,
    StepKind.REBUILD_SESSION: rebuild_session,
    StepKind.SIGNAL_SERVER: signal_server,
}


async def _enter(tmux: Tmux, session: Session, resumption: Resumption) -> None:
    for window in session.windows:
        if window.index != resumption.window:
            continue
        for pane in window.panes:
            if pane.index == resumption.pane:
                await tmux.enter(pane.id, pane.pid, resumption)


async def _pid_of(surgery: Surgery, pane_id: str) -> int:
    look = await surgery.tmux.look()
    pane = look.pane(pane_id) if look.presence is Presence.PRESENT else None
    if pane is None or pane.dead:
        raise Temporary(f"pane {pane_id} has no live process", hint="Its command ends at once.")
    return pane.pid
