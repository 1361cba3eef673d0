"""A session that was built from its workspace file, against that file.

The file says how it has to begin. What was typed into a pane may lead it anywhere, so such a pane has to
be there, and where it went is only told.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.decide import layout
from sidecar.decide.judge_facts import Fields, Gap, Note, compared, told
from sidecar.decide.shells import SHELLS, is_shell, shell_name
from sidecar.decide.workspace import pair
from sidecar.model.plan import DEAD, Difference, Expectation, Verdict
from sidecar.model.session import Look, Pane, Presence, Session, Window
from sidecar.model.workspace import DeclaredPane, DeclaredWindow


def judge_workspace(expectation: Expectation, after: Look) -> Verdict:
    """Compare the session of ``expectation.workspace`` with the live one."""
    counts: Counter[str] = Counter()
    differences = tuple(_differences(expectation, after, counts))
    return Verdict(all(difference.tolerated for difference in differences), differences, dict(counts))


def _differences(expectation: Expectation, after: Look, counts: Counter[str]) -> Iterator[Difference]:
    workspace = expectation.workspace
    assert workspace is not None
    if after.presence is Presence.UNKNOWN:
        yield told("server", Gap("present", f"{after.presence}: {after.reason}"))
        return
    session = after.find(workspace.name)
    if session is None:
        yield told(f"session {workspace.name}", Gap("present", "absent"))
        return
    shown = workspace.active_window
    matched = set()
    for position, (wanted, found) in enumerate(pair(workspace, session)):
        if found is None:
            note = _TYPED_AWAY if all(pane.commands for pane in wanted.panes) else ""
            yield told(_window_words(wanted, position), Gap("present", "absent"), note=note)
        else:
            matched.add(found.id)
            windows = _Windows(wanted, found, session, wanted is shown)
            yield from _window(windows, position, expectation, counts)
    for window in session.windows:
        if window.id not in matched:
            yield told(f"window {window.index}", Gap("absent", "present"))


_TYPED_AWAY = "what was typed into it may have ended it"


@dataclass(frozen=True, slots=True)
class _Windows:
    """A window as it is declared, and as it is."""

    wanted: DeclaredWindow
    found: Window
    session: Session
    shown: bool


@dataclass(frozen=True, slots=True)
class _Panes:
    """A pane as it is declared, and as it is."""

    wanted: DeclaredPane
    found: Pane
    expectation: Expectation
    session: Session
    active: bool


def _window_words(window: DeclaredWindow, position: int) -> str:
    return f"window {window.name!r}" if window.name else f"window number {position + 1}"


def _window(
    windows: _Windows, position: int, expectation: Expectation, counts: Counter[str]
) -> Iterator[Difference]:
    where = _window_words(windows.wanted, position)
    counts.update(f"window {field}" for field in WINDOW_FIELDS)
    yield from compared(where, windows, WINDOW_FIELDS)
    panes, live = windows.wanted.panes, windows.found.panes
    if len(panes) != len(live):
        # With one gone, nothing tells which of the others is which.
        return
    active = windows.wanted.active_pane
    for number, (wanted, found) in enumerate(zip(panes, live, strict=True)):
        both = _Panes(wanted, found, expectation, windows.session, number == active)
        if found.dead:
            yield told(f"{where} pane {number}", Gap("alive", "dead"), DEAD)
        else:
            counts.update(f"pane {field}" for field in PANE_FIELDS)
            yield from compared(f"{where} pane {number}", both, PANE_FIELDS)


def _name(windows: _Windows) -> Gap | None:
    return Gap.between(windows.wanted.name, windows.found.name) if windows.wanted.name else None


def _pane_count(windows: _Windows) -> Gap | None:
    return Gap.between(f"{len(windows.wanted.panes)} panes", f"{len(windows.found.panes)} panes")


def _layout(windows: _Windows) -> Gap | None:
    """Sizes follow the clients and the options; the tree is what was asked for."""
    wanted, panes = windows.wanted, len(windows.wanted.panes)
    tree = (
        layout.skeleton(wanted.layout)
        if "," in wanted.layout
        else layout.named_skeleton(wanted.layout, panes)
    )
    return (
        Gap.between(tree, layout.skeleton(windows.found.layout))
        if panes == len(windows.found.panes)
        else None
    )


def _shown(windows: _Windows) -> Gap | None:
    return Gap.between(str(windows.shown), str(windows.found.active))


def _pane_active(panes: _Panes) -> Gap | None:
    return Gap.between(str(panes.active), str(panes.found.active))


def _title(panes: _Panes) -> Gap | None:
    return Gap.between(panes.wanted.title, panes.found.title) if panes.wanted.title else None


def _cwd(panes: _Panes) -> Gap | None:
    real = dict(panes.expectation.folders).get(panes.wanted.cwd, panes.wanted.cwd)
    return Gap.between(real, panes.found.cwd)


def _command(panes: _Panes) -> Gap | None:
    """Without a command of its own the pane is a shell, where the session's is one that is known here."""
    own = panes.wanted.shell or panes.session.default_command
    if own or shell_name(panes.session.default_shell) not in SHELLS or is_shell(panes.found.argv):
        return None
    return Gap("a shell", " ".join(panes.found.argv[:1]) or "nothing that could be read")


def _drifting(both: _Windows | _Panes) -> Note:
    return "somebody is attached and may have changed it" if both.session.attached else ""


def _typed_into(panes: _Panes) -> Note:
    return "what was typed into it may have changed it" if panes.wanted.commands else ""


def _own_command(panes: _Panes) -> Note:
    return "the pane's own command may have changed it" if panes.wanted.shell else ""


def _sets_its_title(_: _Panes) -> Note:
    return "programs set their own titles"


def _some_ended(windows: _Windows) -> Note:
    fewer = len(windows.found.panes) < len(windows.wanted.panes)
    return _TYPED_AWAY if fewer and any(pane.commands for pane in windows.wanted.panes) else ""


def _folder_gone(panes: _Panes) -> Note:
    return "the folder does not exist" if panes.wanted.cwd in panes.expectation.tolerated_cwd else ""


WINDOW_FIELDS: Fields[_Windows] = {
    "name": (_name, ()),
    "panes": (_pane_count, (_some_ended,)),
    "layout": (_layout, (_drifting,)),
    "active": (_shown, (_drifting,)),
}
"""Each field of a window: how it is compared, and what excuses a difference."""

PANE_FIELDS: Fields[_Panes] = {
    "active": (_pane_active, (_drifting,)),
    "title": (_title, (_sets_its_title,)),
    "cwd": (_cwd, (_folder_gone, _typed_into, _own_command)),
    "command": (_command, (_typed_into,)),
}
"""Each field of a living pane: how it is compared, and what excuses a difference."""
