"""Steps that type command lines. What is typed cannot be taken back, so it is never typed twice.

tmux itself counts, in the same command that types: a later attempt, also one of the next run of the
sidecar, asks it how far it came.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence

from sidecar.decide.conversation import agent_name
from sidecar.errors import Permanent, SidecarError, Temporary
from sidecar.flow.furnish import furnish
from sidecar.flow.steps_firm import runs_on
from sidecar.flow.surgery import Surgery
from sidecar.model.plan import Entry, Resumption, Step, Strategy
from sidecar.model.session import Look, Pane, Presence, Session

_AT_ONCE = 32
"""Shells of one session that are typed into at the same time; each waits for its own to be ready."""


async def start_program(surgery: Surgery, step: Step) -> None:
    """Type a program's command line into the shell of a pane."""
    assert step.resumption is not None
    if step.resumption.entry is Entry.SKIPPED or runs_on(surgery, step):
        return
    pane = step.pane or await _rebuilt(surgery, step)
    if pane not in await typed_before(surgery, surgery.mark):
        if _runs_heavy(step.resumption):
            await surgery.pace.wait()
        pid = step.pid or await _pid_of(surgery, pane)
        await surgery.tmux.enter(pane, pid, step.resumption, surgery.mark)
    await report(surgery, {pane: step.resumption})


async def start_programs(surgery: Surgery, step: Step) -> None:
    """Type the command lines of the rebuilt session's programs, each as soon as its shell is ready."""
    await start(surgery, surgery.plan.expectation.resumptions, surgery.mark)


async def furnish_workspace(surgery: Surgery, step: Step) -> None:
    """Type what the panes of the declared session are to run, and set what comes last."""
    workspace = surgery.plan.workspace
    assert workspace is not None
    _, session = await _built(surgery, surgery.mark)
    typed = await typed_before(surgery, surgery.mark)
    await furnish(surgery.tmux, workspace, session, typed, surgery.mark)


async def start(surgery: Surgery, resumptions: Sequence[Resumption], mark: str) -> None:
    """Type all lines that have not been typed, and wait until the panes' own commands have had their turn."""
    look, session = await _built(surgery, mark)
    panes = _new_panes(session, look)
    own = _at_places(panes, _with_entry(resumptions, Entry.STARTED))
    await report(surgery, {pane.id: each for pane, each in own})
    typed = await typed_before(surgery, mark)
    waiting = [
        (pane, each)
        for pane, each in _at_places(panes, _with_entry(resumptions, Entry.TYPED, Entry.HELD))
        if pane.id not in typed
    ]
    places = asyncio.Semaphore(_AT_ONCE)
    outcomes = await asyncio.gather(
        *(_enter(surgery, pane, resumption, places, mark) for pane, resumption in waiting),
        return_exceptions=True,
    )
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
    await surgery.clock.sleep(max(surgery.progress.all_started - surgery.clock.monotonic(), 0.0))


async def report(surgery: Surgery, resumed: Mapping[str, Resumption]) -> None:
    """Note which conversation a pane has got: an agent may write a title over the arguments that say it."""
    reports = {
        pane: f"{agent_name(each.argv)}:{each.conversation}"
        for pane, each in resumed.items()
        if each.conversation and agent_name(each.argv)
    }
    if reports:
        # Without it a later recovery may have to leave the agent to a person; this one goes on.
        with contextlib.suppress(SidecarError):
            await surgery.tmux.report(reports)


async def typed_before(surgery: Surgery, mark: str) -> Mapping[str, int]:
    """How many lines this recovery has typed already, by pane."""
    return (await surgery.tmux.marks(mark)).typed if surgery.progress.again else {}


async def _built(surgery: Surgery, mark: str) -> tuple[Look, Session]:
    """A look, and in it the session that an earlier step has built."""
    progress = surgery.progress
    if not progress.session:
        progress.session = await _built_by_another_run(surgery, mark)
    look = await surgery.tmux.look()
    session = look.by_id(progress.session)
    if session is None:
        raise Temporary("the rebuilt session has gone again", hint="Something closed it at once.")
    return look, session


async def _built_by_another_run(surgery: Surgery, mark: str) -> str:
    if surgery.plan.strategy is Strategy.REBUILD_WINDOW and surgery.case.before is not None:
        return surgery.case.before.id
    return (await surgery.tmux.marks(mark)).session


def _with_entry(resumptions: Sequence[Resumption], *entries: Entry) -> list[Resumption]:
    return [each for each in resumptions if each.entry in entries]


def _new_panes(session: Session, look: Look) -> Mapping[tuple[int, int], Pane]:
    """By place, the panes that this session was the first to show; others came with a linked window."""
    older = {
        pane.id
        for other in look.sessions
        if int(other.id.removeprefix("$")) < int(session.id.removeprefix("$"))
        for pane in other.panes()
    }
    return {
        (window.index, pane.index): pane
        for window in session.windows
        for pane in window.panes
        if pane.id not in older
    }


def _at_places(
    panes: Mapping[tuple[int, int], Pane], resumptions: Iterable[Resumption]
) -> Iterable[tuple[Pane, Resumption]]:
    for each in resumptions:
        if (each.window, each.pane) in panes:
            yield panes[each.window, each.pane], each


async def _enter(
    surgery: Surgery, pane: Pane, resumption: Resumption, places: asyncio.Semaphore, mark: str
) -> None:
    if _runs_heavy(resumption):
        await surgery.pace.wait()
    async with places:
        await surgery.tmux.enter(pane.id, pane.pid, resumption, mark)
    await report(surgery, {pane.id: resumption})


def _runs_heavy(resumption: Resumption) -> bool:
    """A line that is only held starts nothing."""
    return resumption.heavy and resumption.entry is Entry.TYPED


async def _rebuilt(surgery: Surgery, step: Step) -> str:
    """The pane that an earlier step has put back at this place."""
    assert step.place is not None
    built = surgery.progress.built
    if step.place not in built:
        built.update((await surgery.tmux.marks(surgery.mark)).panes)
    if step.place not in built:
        raise Permanent("the pane that was put back has gone again", hint="Its command ends at once.")
    return built[step.place]


async def _pid_of(surgery: Surgery, pane_id: str) -> int:
    look = await surgery.tmux.look()
    pane = look.pane(pane_id) if look.presence is Presence.PRESENT else None
    if pane is None or pane.dead:
        raise Temporary(f"pane {pane_id} has no live process", hint="Its command ends at once.")
    return pane.pid
