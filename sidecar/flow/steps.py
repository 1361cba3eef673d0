"""What each kind of step does to the world. A table; nothing is decided here."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NoReturn

from sidecar.clock import Clock
from sidecar.decide.conversation import agent_name
from sidecar.errors import DiskFull, Permanent, SidecarError, Temporary, Undone
from sidecar.flow import mend, steps_gentle
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.furnish import furnish
from sidecar.flow.pace import Pace
from sidecar.flow.ports import Book, Host, Tmux
from sidecar.flow.ward import Case
from sidecar.model.plan import Difference, Entry, Plan, Resumption, Start, Step, StepKind, Undo
from sidecar.model.session import Checkpoint, Look, Operation, Pane, Presence, Session, SessionImage

_AT_ONCE = 32
"""Shells of one session that are typed into at the same time; each waits for its own to be ready."""


@dataclass(slots=True)
class Progress:
    """How far a surgery came, so that a step which is tried again does nothing twice."""

    session: str = ""
    """The id of the session that was built."""
    entered: set[tuple[int, int]] = field(default_factory=set)
    """(window index, pane index) whose command line was typed."""
    furnished: set[str] = field(default_factory=set)
    """Panes of a declared session that have got all their command lines."""
    built: dict[tuple[int, int], str] = field(default_factory=dict)
    """Panes of a declared session that were put back, by their places in its file."""
    all_started: float = 0.0
    """Monotonic seconds at which the last of the panes' own commands has had its turn."""


@dataclass(frozen=True, slots=True)
class Surgery:
    """What a step works with."""

    tmux: Tmux
    book: Book
    host: Host
    checkpointer: Checkpointer
    pace: Pace
    clock: Clock
    case: Case
    plan: Plan
    progress: Progress = field(default_factory=Progress)
    losses: list[Difference] = field(default_factory=list)
    """What the steps could not bring back."""

    @property
    def living(self) -> Session:
        """The session before anything was done, for steps that work on a part of it."""
        assert self.case.before is not None
        return self.case.before


async def save(surgery: Surgery, step: Step) -> None:
    """The state before the action, so that the action can itself be undone."""
    assert surgery.case.before is not None
    await surgery.checkpointer.save(surgery.case.before, Operation.BEFORE_RECOVERY)


async def respawn_pane(surgery: Surgery, step: Step) -> None:
    """Start the dead pane's own command again, where it was."""
    own = step.resumption
    if own is not None and own.heavy:
        await surgery.pace.wait()
    if not await surgery.tmux.respawn(step.pane, step.pid, step.cwd, own.command if own else ()):
        raise Permanent(
            f"pane {step.pane} is not the dead pane of process {step.pid} any more",
            hint="Somebody acted meanwhile; nothing was done to it.",
        )
    await _report(surgery, {step.pane: own} if own else {})


async def start_program(surgery: Surgery, step: Step) -> None:
    """Type a program's command line into the shell of a pane."""
    assert step.resumption is not None
    if step.resumption.entry is Entry.SKIPPED:
        return
    if _runs_heavy(step.resumption):
        await surgery.pace.wait()
    pid = step.pid or await _pid_of(surgery, step.pane)
    await surgery.tmux.enter(step.pane, pid, step.resumption)
    await _report(surgery, {step.pane: step.resumption})


async def rebuild_session(surgery: Surgery, step: Step) -> None:
    """Build the session from its checkpoint; panes that are commands start with it, or in their turn."""
    checkpoint = surgery.plan.checkpoint
    assert checkpoint is not None
    await _build(surgery, checkpoint, surgery.plan.expectation.resumptions)


async def rebuild_window(surgery: Surgery, step: Step) -> None:
    """Build one window of the checkpoint into the living session."""
    checkpoint, session = surgery.plan.checkpoint, surgery.case.before
    assert checkpoint is not None
    assert session is not None
    windows = tuple(window for window in checkpoint.image.windows if window.index == step.window)
    image = replace(checkpoint.image, windows=windows)
    texts = await _texts(surgery, image)
    starts = _starts(surgery, surgery.plan.expectation.resumptions)
    try:
        await surgery.tmux.rebuild_window(session, image, texts, starts)
    except DiskFull as error:
        _do_without(surgery, image, texts, error)
        await surgery.tmux.rebuild_window(session, image, {}, starts)
    surgery.progress.session = session.id
    _await_turns(surgery, starts)


async def replace_session(surgery: Surgery, step: Step) -> None:
    """Close the living session and build the wanted one; should that fail, build the former again."""
    checkpoint, session, undo = surgery.plan.checkpoint, surgery.case.before, surgery.plan.undo
    assert checkpoint is not None
    assert session is not None
    assert undo is not None
    keeper = await surgery.tmux.close_session(session)
    try:
        await _build(surgery, checkpoint, surgery.plan.expectation.resumptions)
    except SidecarError as error:
        await _bring_back(surgery, undo, error)
    finally:
        await surgery.tmux.let_go(keeper)


async def start_programs(surgery: Surgery, step: Step) -> None:
    """Type the command lines of the rebuilt session's programs, each as soon as its shell is ready."""
    await _start(surgery, surgery.plan.expectation.resumptions)


async def signal_server(surgery: Surgery, step: Step) -> None:
    """Have the live server make its socket again."""
    await surgery.tmux.recreate_socket()


async def run_script(surgery: Surgery, step: Step) -> None:
    """What has to be done once before a declared session is created."""
    workspace = surgery.plan.workspace
    assert workspace is not None
    await surgery.host.run_script(workspace.before_script, workspace.cwd)


async def build_workspace(surgery: Surgery, step: Step) -> None:
    """Build the session as it is declared."""
    workspace = surgery.plan.workspace
    assert workspace is not None
    surgery.progress.session = await surgery.tmux.build_workspace(workspace)


async def furnish_workspace(surgery: Surgery, step: Step) -> None:
    """Type what the panes of the declared session are to run, and set what comes last."""
    workspace = surgery.plan.workspace
    assert workspace is not None
    _, session = await _built(surgery)
    await furnish(surgery.tmux, workspace, session, surgery.progress.furnished)


Work = Callable[[Surgery, Step], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Deed:
    """What is done for one kind of step."""

    do: Work


async def _build_window(surgery: Surgery, step: Step) -> None:
    await mend.build_window(surgery.tmux, surgery.living, step)


async def _furnish_window(surgery: Surgery, step: Step) -> None:
    await mend.furnish_window(surgery.tmux, surgery.living, step, surgery.progress.furnished)


async def _build_pane(surgery: Surgery, step: Step) -> None:
    await mend.build_pane(surgery.tmux, surgery.living, step, surgery.progress.built)


async def _furnish_pane(surgery: Surgery, step: Step) -> None:
    progress = surgery.progress
    await mend.furnish_pane(surgery.tmux, surgery.living, step, progress.built, progress.furnished)


async def _arrange_window(surgery: Surgery, step: Step) -> None:
    await mend.arrange_window(surgery.tmux, surgery.living, step)


STEPS: Mapping[StepKind, Deed] = {
    StepKind.BUILD_WINDOW: Deed(_build_window),
    StepKind.FURNISH_WINDOW: Deed(_furnish_window),
    StepKind.BUILD_PANE: Deed(_build_pane),
    StepKind.FURNISH_PANE: Deed(_furnish_pane),
    StepKind.ARRANGE_WINDOW: Deed(_arrange_window),
    StepKind.SAVE: Deed(save),
    StepKind.RESPAWN_PANE: Deed(respawn_pane),
    StepKind.START_PROGRAM: Deed(start_program),
    StepKind.REBUILD_SESSION: Deed(rebuild_session),
    StepKind.REBUILD_WINDOW: Deed(rebuild_window),
    StepKind.REPLACE_SESSION: Deed(replace_session),
    StepKind.START_PROGRAMS: Deed(start_programs),
    StepKind.SIGNAL_SERVER: Deed(signal_server),
    StepKind.RUN_SCRIPT: Deed(run_script),
    StepKind.BUILD_WORKSPACE: Deed(build_workspace),
    StepKind.FURNISH_WORKSPACE: Deed(furnish_workspace),
    StepKind.CONTINUE: Deed(steps_gentle.go_on),
    StepKind.UNBLOCK: Deed(steps_gentle.unblock),
}


async def _built(surgery: Surgery) -> tuple[Look, Session]:
    """A look, and in it the session that an earlier step has built."""
    look = await surgery.tmux.look()
    session = look.by_id(surgery.progress.session)
    if session is None:
        raise Temporary("the rebuilt session has gone again", hint="Something closed it at once.")
    return look, session


def _lost(
    window: int, pane: int, lost: str, note: str = "what was stored is damaged; the text says so in its place"
) -> Difference:
    return Difference(
        where=f"pane {window}.{pane}",
        field="scrollback",
        wanted="all that was stored",
        found=f"without {lost}",
        tolerated=True,
        note=note,
    )


def _do_without(surgery: Surgery, image: SessionImage, texts: Mapping[str, bytes], error: DiskFull) -> None:
    """The session comes back without its old text, which stays stored, and the record says so."""
    surgery.losses.extend(
        _lost(window.index, pane.index, "its old text", f"{error}; it stays in the checkpoint")
        for window in image.windows
        for pane in window.panes
        if texts.get(pane.scrollback)
    )


async def _bring_back(surgery: Surgery, undo: Undo, error: SidecarError) -> NoReturn:
    """The compensation of :func:`replace_session`."""
    name, number = surgery.plan.session, undo.checkpoint.id
    try:
        await _build(surgery, undo.checkpoint, undo.resumptions)
        await _start(surgery, undo.resumptions)
    except SidecarError as second:
        raise Permanent(
            f"{error}; and the former state of {name} did not come back whole either: {second}",
            hint=f"It is kept: `sidecar checkpoint restore {name} --id {number}`.",
        ) from error
    raise Undone(f"{error}; the former state of {name} is back", hint=error.hint) from error


async def _build(surgery: Surgery, checkpoint: Checkpoint, resumptions: Sequence[Resumption]) -> None:
    texts = await _texts(surgery, checkpoint.image)
    starts = _starts(surgery, resumptions)
    try:
        surgery.progress.session = await surgery.tmux.rebuild(checkpoint.image, texts, starts)
    except DiskFull as error:
        _do_without(surgery, checkpoint.image, texts, error)
        surgery.progress.session = await surgery.tmux.rebuild(checkpoint.image, {}, starts)
    _await_turns(surgery, starts)


async def _texts(surgery: Surgery, image: SessionImage) -> dict[str, bytes]:
    """The scrollback of an image by digest; what of it is damaged is named in the verdict."""
    texts: dict[str, bytes] = {}
    for window in image.windows:
        for pane in window.panes:
            if pane.scrollback and pane.scrollback not in texts:
                stored = await surgery.book.scrollback(pane.scrollback)
                texts[pane.scrollback] = stored.text
                if stored.lost:
                    surgery.losses.append(_lost(window.index, pane.index, stored.lost))
    return texts


def _starts(surgery: Surgery, resumptions: Sequence[Resumption]) -> list[Start]:
    """The panes' own commands, each in its turn."""
    own = _with_entry(resumptions, Entry.STARTED)
    delays = surgery.pace.turns(len(own))
    return [Start(r.window, r.pane, r.command, delay) for r, delay in zip(own, delays, strict=True)]


def _await_turns(surgery: Surgery, starts: Sequence[Start]) -> None:
    last = max((start.delay for start in starts), default=0.0)
    surgery.progress.all_started = surgery.clock.monotonic() + last


async def _start(surgery: Surgery, resumptions: Sequence[Resumption]) -> None:
    look, session = await _built(surgery)
    panes = _new_panes(session, look)
    own = _at_places(panes, _with_entry(resumptions, Entry.STARTED))
    await _report(surgery, {pane.id: each for pane, each in own})
    waiting = [
        each
        for each in _with_entry(resumptions, Entry.TYPED, Entry.HELD)
        if (each.window, each.pane) not in surgery.progress.entered
    ]
    places = asyncio.Semaphore(_AT_ONCE)
    outcomes = await asyncio.gather(
        *(_enter(surgery, pane, resumption, places) for pane, resumption in _at_places(panes, waiting)),
        return_exceptions=True,
    )
    for outcome in outcomes:
        if outcome is not None:
            raise outcome
    await surgery.clock.sleep(max(surgery.progress.all_started - surgery.clock.monotonic(), 0.0))


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


async def _report(surgery: Surgery, resumed: Mapping[str, Resumption]) -> None:
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


async def _enter(surgery: Surgery, pane: Pane, resumption: Resumption, places: asyncio.Semaphore) -> None:
    if _runs_heavy(resumption):
        await surgery.pace.wait()
    async with places:
        await surgery.tmux.enter(pane.id, pane.pid, resumption)
    surgery.progress.entered.add((resumption.window, resumption.pane))
    await _report(surgery, {pane.id: resumption})


def _runs_heavy(resumption: Resumption) -> bool:
    """A line that is only held starts nothing."""
    return resumption.heavy and resumption.entry is Entry.TYPED


async def _pid_of(surgery: Surgery, pane_id: str) -> int:
    look = await surgery.tmux.look()
    pane = look.pane(pane_id) if look.presence is Presence.PRESENT else None
    if pane is None or pane.dead:
        raise Temporary(f"pane {pane_id} has no live process", hint="Its command ends at once.")
    return pane.pid
