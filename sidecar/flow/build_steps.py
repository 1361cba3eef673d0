"""Steps that build sessions and windows, each with the way back.

What is built carries the mark of its recovery from its first moment, and another one once it is whole.
By that an attempt which follows one that was cut off finds what there is, and never doubles it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

from sidecar.errors import DiskFull, Permanent, SidecarError
from sidecar.flow.surgery import Surgery
from sidecar.flow.type_steps import report, start
from sidecar.model.plan import Difference, Entry, Resumption, Start, Step
from sidecar.model.saga import BACK
from sidecar.model.session import Checkpoint, Look, Presence, Session, SessionImage


async def rebuild_session(surgery: Surgery, step: Step) -> None:
    """Build the session from its checkpoint; panes that are commands start with it, or in their turn."""
    checkpoint = surgery.plan.checkpoint
    assert checkpoint is not None
    if not await _stands(surgery, surgery.mark, checkpoint.image.name):
        await _build(surgery, checkpoint, surgery.plan.expectation.resumptions, surgery.mark)


async def build_workspace(surgery: Surgery, step: Step) -> None:
    """Build the session as it is declared."""
    workspace = surgery.plan.workspace
    assert workspace is not None
    if not await _stands(surgery, surgery.mark, workspace.name):
        surgery.progress.session = await surgery.tmux.build_workspace(workspace, surgery.mark)


async def rebuild_window(surgery: Surgery, step: Step) -> None:
    """Build one window of the checkpoint into the living session."""
    checkpoint, session = surgery.plan.checkpoint, surgery.case.before
    assert checkpoint is not None
    assert session is not None
    surgery.progress.session = session.id
    if surgery.progress.again and await _window_stands(surgery):
        return
    windows = tuple(window for window in checkpoint.image.windows if window.index == step.window)
    image = replace(checkpoint.image, windows=windows)
    texts = await _texts(surgery, image)
    starts = _starts(surgery, surgery.plan.expectation.resumptions)
    try:
        await surgery.tmux.rebuild_window(session, image, texts, starts, surgery.mark)
    except DiskFull as error:
        _do_without(surgery, image, texts, error)
        await surgery.tmux.rebuild_window(session, image, {}, starts, surgery.mark)
    _await_turns(surgery, starts)


async def rebuild_pane(surgery: Surgery, step: Step) -> None:
    """Split one pane of the wanted image in beside its neighbour."""
    wanted, place, beside = surgery.plan.expectation.image, step.place, step.beside
    assert wanted is not None
    assert place is not None
    assert beside is not None
    if surgery.progress.again:
        surgery.progress.built.update((await surgery.tmux.marks(surgery.mark)).panes)
    if place in surgery.progress.built:
        return
    image = _alone(wanted, place)
    texts = await _texts(surgery, image)
    own = [each for each in surgery.plan.expectation.resumptions if (each.window, each.pane) == place]
    starts = _starts(surgery, own)
    try:
        built = await surgery.tmux.rebuild_pane(beside, image, texts, starts, surgery.mark)
    except DiskFull as error:
        _do_without(surgery, image, texts, error)
        built = await surgery.tmux.rebuild_pane(beside, image, {}, starts, surgery.mark)
    surgery.progress.built[place] = built
    for each in own:
        if each.entry is Entry.STARTED:
            await report(surgery, {built: each})


def _alone(image: SessionImage, place: tuple[int, int]) -> SessionImage:
    """The image of one pane."""
    windows = tuple(
        replace(window, panes=tuple(pane for pane in window.panes if pane.index == place[1]))
        for window in image.windows
        if window.index == place[0]
    )
    return replace(image, windows=windows)


async def replace_session(surgery: Surgery, step: Step) -> None:
    """Close the living session and build the wanted one in its place."""
    checkpoint, session = surgery.plan.checkpoint, surgery.case.before
    assert checkpoint is not None
    assert session is not None
    if await _stands(surgery, surgery.mark, checkpoint.image.name):
        return
    if not surgery.progress.again or _lives_on(surgery, session, await surgery.tmux.look()):
        surgery.progress.keeper = await surgery.tmux.close_session(session)
    await _build(surgery, checkpoint, surgery.plan.expectation.resumptions, surgery.mark)
    await _let_go(surgery)


async def remove_built(surgery: Surgery, step: Step) -> None:
    """The way back from a session or a window that was built: it, and nothing else, goes again."""
    await surgery.tmux.remove_marked(surgery.mark)


async def bring_back(surgery: Surgery, step: Step) -> None:
    """The way back from a replacement: what was built goes, and the former state is built again."""
    try:
        await surgery.tmux.remove_marked(surgery.mark)
        await _bring_back(surgery, step, f"{surgery.mark}{BACK}")
    finally:
        await _let_go(surgery)


async def _bring_back(surgery: Surgery, step: Step, mark: str) -> None:
    name = surgery.plan.session
    if not await _stands(surgery, mark, name):
        look = await surgery.tmux.look()
        if surgery.case.before is not None and _lives_on(surgery, surgery.case.before, look):
            return
        if look.presence is Presence.PRESENT and look.find(name) is not None:
            raise Permanent(
                f"somebody has made a session called {name} meanwhile, and it is left alone",
                hint=f"The former state is kept: `sidecar checkpoint restore {name} --id {step.undo}`.",
            )
        checkpoint, resumptions = await _former(surgery, step)
        await _build(surgery, checkpoint, resumptions, mark)
    _, resumptions = await _former(surgery, step)
    await start(surgery, resumptions, mark)


async def _former(surgery: Surgery, step: Step) -> tuple[Checkpoint, tuple[Resumption, ...]]:
    """How the state before the plan is built; without its programs where the plan does not tell."""
    if surgery.plan.undo is not None:
        return surgery.plan.undo.checkpoint, surgery.plan.undo.resumptions
    newest = await surgery.book.newest_checkpoint(surgery.plan.session)
    if newest is None or newest.id != step.undo:
        raise Permanent(
            f"the former state of {surgery.plan.session} cannot be found by itself any more",
            hint=f"`sidecar checkpoint list {surgery.plan.session}` shows what there is.",
        )
    return newest, ()


async def _stands(surgery: Surgery, mark: str, name: str) -> bool:
    """Whether an earlier attempt has built it whole. What one has left half done is removed."""
    if not surgery.progress.again:
        return False
    marks = await surgery.tmux.marks(mark)
    look = await surgery.tmux.look()
    built = look.by_id(marks.session) if marks.session else None
    if built is not None and built.name == name:
        surgery.progress.session = built.id
        return True
    if marks.session or marks.unfinished:
        await surgery.tmux.remove_marked(mark)
    return False


async def _window_stands(surgery: Surgery) -> bool:
    marks = await surgery.tmux.marks(surgery.mark)
    if marks.unfinished:
        await surgery.tmux.remove_marked(surgery.mark)
    return bool(marks.window)


def _lives_on(surgery: Surgery, session: Session, look: Look) -> bool:
    """Whether this very session is there: an id means something only within one life of a server."""
    found = surgery.case.look
    if look.presence is not Presence.PRESENT or found is None or look.server != found.server:
        return False
    return look.by_id(session.id) is not None


async def _let_go(surgery: Surgery) -> None:
    keeper, surgery.progress.keeper = surgery.progress.keeper, ""
    if keeper:
        # It ends by itself in a minute.
        with contextlib.suppress(SidecarError):
            await surgery.tmux.let_go(keeper)


async def _build(
    surgery: Surgery, checkpoint: Checkpoint, resumptions: Sequence[Resumption], mark: str
) -> None:
    texts = await _texts(surgery, checkpoint.image)
    starts = _starts(surgery, resumptions)
    try:
        built = await surgery.tmux.rebuild(checkpoint.image, texts, starts, mark)
    except DiskFull as error:
        _do_without(surgery, checkpoint.image, texts, error)
        built = await surgery.tmux.rebuild(checkpoint.image, {}, starts, mark)
    surgery.progress.session = built
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


def _starts(surgery: Surgery, resumptions: Sequence[Resumption]) -> list[Start]:
    """The panes' own commands, each in its turn."""
    own = [each for each in resumptions if each.entry is Entry.STARTED]
    delays = surgery.pace.turns(len(own))
    return [Start(r.window, r.pane, r.command, delay) for r, delay in zip(own, delays, strict=True)]


def _await_turns(surgery: Surgery, starts: Sequence[Start]) -> None:
    last = max((start.delay for start in starts), default=0.0)
    surgery.progress.all_started = surgery.clock.monotonic() + last
