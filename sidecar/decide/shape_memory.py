"""Which live windows and panes are the declared ones: learnt from look to look, and kept by their ids.

An index or a name may change by a person's hand, an id does not. What was there beside the declared
ones is remembered too, so that a person's own pane never passes for a lost one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sidecar.model.incident import Broken, Unit
from sidecar.model.session import Pane, Session, Window
from sidecar.model.workspace import DeclaredPane, DeclaredWindow, Workspace

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,-][A-Za-z0-9_./:@%+,= -]*")

Running = Callable[[DeclaredPane, Pane], int]
"""(declared, live) -> the pid of the declared program that runs in it now; 0 if it does not."""


@dataclass(frozen=True, slots=True)
class KnownPane:
    """A declared pane as it was last seen."""

    id: str
    pid: int
    ran: int = 0
    """The pid that the program which the file starts had when it was last seen; 0 if it never was."""


@dataclass(frozen=True, slots=True)
class KnownWindow:
    """A declared window as it was last seen."""

    id: str
    index: int
    armed: bool
    """tmux keeps its panes when they fail."""
    panes: tuple[KnownPane, ...]
    """One for each declared pane."""
    others: frozenset[str] = frozenset()
    """Panes in it that are not declared."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is known of one life of a declared session."""

    instance: str
    workspace: Workspace
    windows: tuple[KnownWindow | None, ...]
    """One for each declared window; None while it has not been seen."""
    others: frozenset[str] = frozenset()
    """Windows that are not declared."""
    dropped: frozenset[tuple[Unit, tuple[int, int] | None]] = field(default_factory=frozenset)
    """What a person has closed: windows and panes, by their places in the file."""

    def closed(self, part: Broken) -> bool:
        """Whether a person was seen to close it."""
        return (part.unit, part.place) in self.dropped

    def close(self, parts: Iterable[Broken]) -> Memory:
        """A person has closed these: they are not missed any more."""
        return replace(self, dropped=self.dropped | {(part.unit, part.place) for part in parts})


def declared_line(pane: DeclaredPane) -> str | None:
    """The program that a file starts in a pane's shell: its last line, if that is plain words."""
    entered = [command.text.strip() for command in pane.commands if command.enter]
    if not entered or not pane.commands[-1].enter or not _PLAIN.fullmatch(entered[-1]):
        return None
    return " ".join(entered[-1].split())


def learn(
    before: Memory | None, workspace: Workspace, session: Session, instance: str, running: Running
) -> Memory:
    """What is known after this look. Another life, or another file, begins anew."""
    if before is None or before.instance != instance or before.workspace != workspace:
        before = Memory(instance, workspace, (None,) * len(workspace.windows))
    live = {window.id: window for window in session.windows}
    taken = {known.id for known in before.windows if known is not None and known.id in live}
    free = [one for one in session.windows if one.id not in taken and one.id not in before.others]
    windows: list[KnownWindow | None] = []
    back: set[int] = set()
    for position, (wanted, known) in enumerate(zip(workspace.windows, before.windows, strict=True)):
        found = live.get(known.id) if known is not None else None
        if found is None:
            found = _newcomer(wanted, known, free)
            if found is None:
                windows.append(known)
                continue
            free.remove(found)
            back.add(position)
            known = None
        windows.append(_known(wanted, known, found, running))
    mine = {known.id for known in windows if known is not None}
    others = frozenset(one.id for one in session.windows if one.id not in mine)
    # One that a person has made where a declared one is missing may still become that one.
    waiting = {one.id for one in free} if any(one is None or one.id not in live for one in windows) else set()
    dropped = frozenset(
        (unit, place) for unit, place in before.dropped if place is None or place[0] not in back
    )
    return replace(before, windows=tuple(windows), others=others - waiting, dropped=dropped)


def _newcomer(wanted: DeclaredWindow, known: KnownWindow | None, free: Sequence[Window]) -> Window | None:
    """A window that has come to be the declared one."""
    index = wanted.index if wanted.index is not None else known.index if known else None
    for one in free:
        named = not wanted.name or one.automatic_rename or one.name == wanted.name
        elsewhere = wanted.index is None and bool(wanted.name) and one.name == wanted.name
        at_its_place = index is None or one.index == index or elsewhere
        if named and at_its_place and len(one.panes) == len(wanted.panes):
            return one
    return None


def _known(wanted: DeclaredWindow, known: KnownWindow | None, found: Window, running: Running) -> KnownWindow:
    if known is None:
        panes = [_pane(declared, None, live, running) for declared, live in _zip(wanted, found)]
        return KnownWindow(found.id, found.index, found.armed, tuple(panes))
    live = {pane.id: pane for pane in found.panes}
    lost = [number for number, pane in enumerate(known.panes) if pane.id not in live]
    mine = {pane.id for pane in known.panes}
    fresh = [pane for pane in found.panes if pane.id not in mine and pane.id not in known.others]
    # As many as are missing, and in their order: they have come in their place.
    replaced = dict(zip(lost, fresh, strict=True)) if len(lost) == len(fresh) else {}
    panes = []
    for number, (declared, pane) in enumerate(zip(wanted.panes, known.panes, strict=True)):
        now = live.get(pane.id) or replaced.get(number)
        panes.append(pane if now is None else _pane(declared, pane, now, running))
    ids = {pane.id for pane in panes}
    others = frozenset(pane.id for pane in found.panes if pane.id not in ids)
    kept = others if not lost or replaced else known.others & others
    armed = found.armed if not lost or replaced else known.armed
    return KnownWindow(found.id, found.index, armed, tuple(panes), kept)


def _zip(wanted: DeclaredWindow, found: Window) -> Iterable[tuple[DeclaredPane, Pane]]:
    return zip(wanted.panes, found.panes, strict=True)


def _pane(declared: DeclaredPane, known: KnownPane | None, found: Pane, running: Running) -> KnownPane:
    same = known is not None and known.id == found.id and known.pid == found.pid
    ran = running(declared, found) or (known.ran if known is not None and same else 0)
    return KnownPane(found.id, found.pid, ran)
