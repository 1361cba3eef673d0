"""What puts back single parts of a living declared session; each does nothing a second time."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from sidecar.errors import Permanent, Temporary
from sidecar.flow.furnish import furnish
from sidecar.flow.ports import Tmux
from sidecar.flow.surgery import Surgery
from sidecar.flow.type_steps import typed_before
from sidecar.model.plan import Step, StepKind
from sidecar.model.session import Presence, Session, Window
from sidecar.model.workspace import DeclaredWindow, Workspace


async def build_window(surgery: Surgery, step: Step) -> None:
    """The declared window where it was, unless it is there by now."""
    tmux, before = surgery.tmux, surgery.living
    window, index = _declared(step), _index(step)
    if _fresh(await _session(tmux, before), before, index) is None:
        await tmux.build_declared_window(before, index, window)


async def furnish_window(surgery: Surgery, step: Step) -> None:
    """Type what its panes are to run, and set the options that come last."""
    tmux, before = surgery.tmux, surgery.living
    window = _declared(step)
    session = await _session(tmux, before)
    found = _fresh(session, before, _index(step))
    if found is None:
        raise Temporary("the window that was built has gone again", hint="Something closed it at once.")
    alone = replace(session, windows=(replace(found, index=0),))
    wanted = Workspace(session.name, (replace(window, index=None),))
    await furnish(tmux, wanted, alone, await typed_before(surgery, surgery.mark), surgery.mark)


async def build_pane(surgery: Surgery, step: Step) -> None:
    """The declared pane beside its neighbour."""
    assert step.beside is not None
    assert step.place is not None
    built = surgery.progress.built
    if surgery.progress.again:
        await _find_built(surgery)
    if step.place not in built:
        pane = _declared(step).panes[step.place[1]]
        built[step.place] = await surgery.tmux.build_declared_pane(step.beside, pane)


async def furnish_pane(surgery: Surgery, step: Step) -> None:
    """Type what a pane is to run that was put back, or started again where it was."""
    assert step.place is not None
    if not step.pane and step.place not in surgery.progress.built:
        await _find_built(surgery)
    pane_id = step.pane or surgery.progress.built.get(step.place, "")
    session = await _session(surgery.tmux, surgery.living)
    found = next((pane for pane in session.panes() if pane.id == pane_id), None)
    if found is None or found.dead:
        raise Permanent(
            f"pane {pane_id or step.place[1]} that was put back has gone again",
            hint="Its command ends at once; look at its workspace file.",
        )
    lines = _declared(step).panes[step.place[1]].commands
    typed = (await typed_before(surgery, surgery.mark)).get(found.id, 0)
    if typed < len(lines):
        await surgery.tmux.type_lines(found.id, found.pid, lines, surgery.mark, typed)


async def arrange_window(surgery: Surgery, step: Step) -> None:
    """The declared layout, while the window has exactly the declared panes."""
    window = _declared(step)
    await surgery.tmux.arrange(step.pane, window.layout, len(window.panes))


async def _find_built(surgery: Surgery) -> None:
    """The panes that were not there before are those that this plan has put back, in its order."""
    before = surgery.living
    session = await _session(surgery.tmux, before)
    older = {pane.id for pane in before.panes()}
    fresh = {
        window.id: sorted(
            (pane.id for pane in window.panes if pane.id not in older),
            key=lambda pane: int(pane.removeprefix("%")),
        )
        for window in session.windows
    }
    steps: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for step in surgery.plan.steps:
        if step.kind is StepKind.BUILD_PANE and step.beside is not None and step.place is not None:
            steps[step.beside.window].append(step.place)
    for window_id, places in steps.items():
        surgery.progress.built.update(zip(places, fresh.get(window_id, ()), strict=False))


def _declared(step: Step) -> DeclaredWindow:
    assert step.declared is not None
    return step.declared


def _index(step: Step) -> int:
    assert step.window is not None
    return step.window


async def _session(tmux: Tmux, before: Session) -> Session:
    look = await tmux.look()
    session = look.by_id(before.id) if look.presence is Presence.PRESENT else None
    if session is None:
        raise Permanent(f"{before.name} is not there any more", hint="A lost session is another matter.")
    return session


def _fresh(session: Session, before: Session, index: int) -> Window | None:
    """The window at this index, if it was not there before."""
    older = {window.id for window in before.windows}
    return next((one for one in session.windows if one.index == index and one.id not in older), None)
