"""What puts back single parts of a living declared session; each does nothing a second time."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace

from sidecar.errors import Permanent, Temporary
from sidecar.flow.furnish import furnish
from sidecar.flow.ports import Tmux
from sidecar.model.plan import Step
from sidecar.model.session import Presence, Session, Window
from sidecar.model.workspace import DeclaredWindow, Workspace

Built = MutableMapping[tuple[int, int], str]
"""The ids of the panes that were put back, by their places in the file."""


async def build_window(tmux: Tmux, before: Session, step: Step) -> None:
    """The declared window where it was, unless it is there by now."""
    window, index = _declared(step), _index(step)
    if _fresh(await _session(tmux, before), before, index) is None:
        await tmux.build_declared_window(before, index, window)


async def furnish_window(tmux: Tmux, before: Session, step: Step, done: set[str]) -> None:
    """Type what its panes are to run, and set the options that come last."""
    window = _declared(step)
    session = await _session(tmux, before)
    found = _fresh(session, before, _index(step))
    if found is None:
        raise Temporary("the window that was built has gone again", hint="Something closed it at once.")
    alone = replace(session, windows=(replace(found, index=0),))
    await furnish(tmux, Workspace(session.name, (replace(window, index=None),)), alone, done)


async def build_pane(tmux: Tmux, before: Session, step: Step, built: Built) -> None:
    """The declared pane beside its neighbour."""
    assert step.beside is not None
    assert step.place is not None
    if step.place not in built:
        pane = _declared(step).panes[step.place[1]]
        built[step.place] = await tmux.build_declared_pane(step.beside, pane)


async def furnish_pane(tmux: Tmux, before: Session, step: Step, built: Built, done: set[str]) -> None:
    """Type what a pane is to run that was put back, or started again where it was."""
    assert step.place is not None
    pane_id = step.pane or built.get(step.place, "")
    if pane_id in done:
        return
    session = await _session(tmux, before)
    found = next((pane for pane in session.panes() if pane.id == pane_id), None)
    if found is None or found.dead:
        raise Permanent(
            f"pane {pane_id or step.place[1]} that was put back has gone again",
            hint="Its command ends at once; look at its workspace file.",
        )
    await tmux.type_lines(found.id, found.pid, _declared(step).panes[step.place[1]].commands)
    done.add(pane_id)


async def arrange_window(tmux: Tmux, before: Session, step: Step) -> None:
    """The declared layout, while the window has exactly the declared panes."""
    window = _declared(step)
    await tmux.arrange(step.pane, window.layout, len(window.panes))


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
