"""What is remembered of a session beyond what a look shows: what a part was before it broke.

tmux forgets the folder of a dead pane and what ran in it. A recovery and the next checkpoint need both.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from sidecar.decide.detect import NOT_RUNNING
from sidecar.model.incident import Broken, Unit
from sidecar.model.session import Pane, Process, SavedPane, Session, SessionImage, Window


def carry(previous: Session | None, current: Session, broken: Iterable[Broken] = ()) -> Session:
    """The current session, with what a dead pane or a killed program was before it broke.

    tmux forgets the folder of a dead pane and what ran in it; a recovery and the next
    checkpoint need both.
    """
    if previous is None:
        return current
    programs = {part.pane for part in broken if part.unit is Unit.PROGRAM}
    before = {pane.id: pane for pane in previous.panes()}
    programs |= {pane.id for pane in current.panes() if _awaits_entry(pane, before.get(pane.id))}
    if not (programs or any(_has_ended(pane, before.get(pane.id)) for pane in current.panes())):
        return current
    return replace(
        current, windows=tuple(_carry_window(window, before, programs) for window in current.windows)
    )


def recall(live: Session, image: SessionImage) -> Session:
    """A session just rebuilt: panes that died at once are what they were in the checkpoint.

    Without it, the next checkpoint would have nothing of them.
    """
    return _with_saved(live, image, _recall_pane)


def await_entry(live: Session, image: SessionImage, held: Collection[tuple[int, int]]) -> Session:
    """A session just healed: where a line waits for a person, the program is still wanted.

    ``held`` names those panes by window and pane index. :func:`carry` keeps it so until something runs
    there; without it, a second loss before the person came would lose the program.
    """
    windows = tuple(
        replace(window, panes=tuple(pane for pane in window.panes if (window.index, pane.index) in held))
        for window in image.windows
    )
    return _with_saved(live, replace(image, windows=windows), _awaiting)


def _with_saved(live: Session, image: SessionImage, change: Callable[[Pane, SavedPane], Pane]) -> Session:
    """Each pane changed by what the image has at its place."""
    saved = {(w.index, p.index): p for w in image.windows for p in w.panes}

    def changed(window: Window, pane: Pane) -> Pane:
        known = saved.get((window.index, pane.index))
        return pane if known is None else change(pane, known)

    windows = tuple(
        replace(window, panes=tuple(changed(window, pane) for pane in window.panes))
        for window in live.windows
    )
    return replace(live, windows=windows)


def _recall_pane(pane: Pane, saved: SavedPane) -> Pane:
    if not pane.dead:
        return pane
    program = Process(NOT_RUNNING, saved.program) if saved.program else None
    return replace(pane, cwd=saved.cwd, argv=saved.argv, program=program, title=pane.title or saved.title)


def _awaiting(pane: Pane, saved: SavedPane) -> Pane:
    if pane.dead or pane.program is not None or not saved.program:
        return pane
    conversation = pane.conversation or saved.conversation
    return replace(pane, program=Process(NOT_RUNNING, saved.program), conversation=conversation)


def _has_ended(pane: Pane, before: Pane | None) -> bool:
    """Also in the moment in which tmux does not know it yet: what has ended has no argv any more."""
    return pane.dead or (
        before is not None and before.pid == pane.pid and bool(before.argv) and not pane.argv
    )


def _awaits_entry(pane: Pane, before: Pane | None) -> bool:
    if before is None or before.program is None or before.program.pid != NOT_RUNNING:
        return False
    return before.pid == pane.pid and pane.program is None and not pane.dead


def _carry_window(window: Window, before: Mapping[str, Pane], programs: set[str]) -> Window:
    return replace(
        window, panes=tuple(_carry_pane(pane, before.get(pane.id), programs) for pane in window.panes)
    )


def _carry_pane(pane: Pane, before: Pane | None, programs: set[str]) -> Pane:
    if before is None:
        return pane
    if _has_ended(pane, before):
        return replace(
            pane,
            cwd=pane.cwd or before.cwd,
            argv=before.argv,
            program=before.program,
            conversation=before.conversation,
            title=pane.title or before.title,
        )
    if pane.id in programs:
        return replace(pane, program=before.program, cwd=before.cwd, conversation=before.conversation)
    return pane
