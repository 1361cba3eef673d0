"""The plans that put back single parts of a living session, each the smallest that does.

Everything else in the session goes on by itself: what is expected is that its processes are the same ones
afterwards, and that whoever found the difference does not find it any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sidecar.decide import layout, restore
from sidecar.decide.restore import Resume
from sidecar.decide.shape import change_folder
from sidecar.decide.shape_memory import declared_line
from sidecar.decide.situation import Situation
from sidecar.model.incident import Broken, Cause
from sidecar.model.plan import Entry, Expectation, Resumption, Step, StepKind
from sidecar.model.session import Checkpoint, Pane, SavedWindow, Session, Window
from sidecar.model.workspace import NAMED_LAYOUTS, Beside, DeclaredPane, DeclaredWindow

Planned = tuple[tuple[Step, ...], Expectation]


def window_plan(situation: Situation, resume: Resume) -> Planned:
    """Lost windows: from the checkpoint that still has them, which knows their text, or from the file."""
    session = situation.session
    assert session is not None
    steps: list[Step] = [Step(StepKind.SAVE)]
    resumptions: list[Resumption] = []
    for part in situation.finding.failure.broken:
        saved, declared = stored_window(situation, part), declared_window(situation, part)
        if saved is not None:
            image = situation.checkpoint.image if situation.checkpoint else None
            shell = image.default_shell if image else session.default_shell
            found = [resume(pane, saved.index, shell) for pane in saved.panes]
            resumptions.extend(one for one in found if one is not None)
            steps.append(Step(StepKind.REBUILD_WINDOW, window=saved.index))
        elif declared is not None:
            steps.append(Step(StepKind.BUILD_WINDOW, window=part.window, declared=declared))
            if _furnishes(declared):
                steps.append(Step(StepKind.FURNISH_WINDOW, window=part.window, declared=declared))
    expectation = _expectation(situation, resumptions)
    return restore.with_programs(tuple(steps), resumptions), expectation


def stored_window(situation: Situation, part: Broken) -> SavedWindow | None:
    """The lost window as the checkpoint has it; None if what the checkpoint has there is another one."""
    if situation.checkpoint is None or part.window is None:
        return None
    saved, declared = (
        restore.window_of(situation.checkpoint.image, part.window),
        declared_window(situation, part),
    )
    if saved is None or declared is None:
        return saved
    named = not declared.name or saved.automatic_rename or saved.name == declared.name
    return saved if named and len(saved.panes) == len(declared.panes) else None


def declared_window(situation: Situation, part: Broken) -> DeclaredWindow | None:
    """The broken part's window as its file declares it."""
    if situation.workspace is None or part.place is None:
        return None
    windows = situation.workspace.windows
    return windows[part.place[0]] if part.place[0] < len(windows) else None


def by_itself(checkpoint: Checkpoint) -> Checkpoint:
    """Of which single windows may be built: they share none with other sessions, whatever they once did."""
    image = checkpoint.image
    windows = tuple(replace(window, link="") for window in image.windows)
    return replace(checkpoint, image=replace(image, group="", windows=windows))


def pane_plan(situation: Situation, resume: Resume) -> Planned:
    """Lost panes of windows that stand: split in beside a neighbour, and what they are to run typed."""
    steps = [Step(StepKind.SAVE)]
    for part, declared, window in _in_order(situation):
        beside, place = _beside(situation, part, declared, window), part.place
        steps.append(Step(StepKind.BUILD_PANE, declared=declared, place=place, beside=beside))
        if _pane(declared, part).commands:
            steps.append(Step(StepKind.FURNISH_PANE, declared=declared, place=place))
    return tuple(steps), _expectation(situation)


def dead_plan(situation: Situation, resume: Resume) -> Planned:
    """Panes that were left dead: their own command again, where they are, and what the file has them type."""
    steps = [Step(StepKind.SAVE)]
    replaced = []
    for part, declared, _ in _windows(situation):
        wanted = _pane(declared, part)
        steps.append(Step(StepKind.RESPAWN_PANE, part.pane, part.pid, wanted.cwd))
        replaced.append((part.pane, part.pid))
        if wanted.commands:
            kind = StepKind.FURNISH_PANE
            steps.append(Step(kind, part.pane, declared=declared, place=part.place))
    return tuple(steps), replace(_expectation(situation), replaced=tuple(replaced))


def layout_plan(situation: Situation, resume: Resume) -> Planned:
    """The declared layout, for exactly the panes that are there."""
    steps = tuple(
        Step(StepKind.ARRANGE_WINDOW, window.id, window=window.index, declared=declared)
        for _, declared, window in _windows(situation)
    )
    return (Step(StepKind.SAVE), *steps), _expectation(situation)


def furnish_plan(situation: Situation, resume: Resume) -> Planned:
    """What the file says of a pane, typed into its shell, which waits: its folder, or its program."""
    steps = [Step(StepKind.SAVE)]
    for part, declared, window in _windows(situation):
        pane = next((one for one in window.panes if one.id == part.pane), None)
        line = _line(situation.finding.cause, _pane(declared, part), pane)
        if pane is not None and line is not None:
            reason = "its workspace file says so"
            typed = Resumption(window.index, pane.index, Entry.TYPED, line, tuple(line.split()), reason)
            steps.append(Step(StepKind.START_PROGRAM, pane.id, part.pid, resumption=typed))
    return tuple(steps), _expectation(situation)


def usable_layout(window: DeclaredWindow) -> str:
    """The declared layout, if tmux may be given it for the declared panes; else empty."""
    known = window.layout in NAMED_LAYOUTS or layout.valid(window.layout, len(window.panes))
    return window.layout if known else ""


def _line(cause: Cause, wanted: DeclaredPane, pane: Pane | None) -> str | None:
    if cause is Cause.PROGRAM_DIFFERS:
        return declared_line(wanted)
    return change_folder(wanted.cwd, pane) if pane is not None else None


def _windows(situation: Situation) -> Iterator[tuple[Broken, DeclaredWindow, Window]]:
    """The broken parts whose windows stand, each with its window as it is declared and as it is."""
    session = situation.session
    assert session is not None
    live = {window.index: window for window in session.windows}
    for part in situation.finding.failure.broken:
        declared = declared_window(situation, part)
        if declared is not None and part.window in live:
            yield part, declared, live[part.window]


def _pane(window: DeclaredWindow, part: Broken) -> DeclaredPane:
    assert part.place is not None
    return window.panes[part.place[1]]


def _in_order(situation: Situation) -> list[tuple[Broken, DeclaredWindow, Window]]:
    """So that each comes to its place: first those at the front of a window, from the first on; then those
    that come after a pane that stands, from the last back."""

    def turn(one: tuple[Broken, DeclaredWindow, Window]) -> tuple[bool, int]:
        stands = _standing_before(situation, one[0])
        number = one[0].place[1] if one[0].place else 0
        return stands > 0, -number if stands else number

    return sorted(_windows(situation), key=turn)


def _beside(situation: Situation, part: Broken, declared: DeclaredWindow, window: Window) -> Beside:
    stands = _standing_before(situation, part)
    return Beside(
        window.id,
        window.panes[min(max(stands - 1, 0), len(window.panes) - 1)].id,
        before=stands == 0,
        layout=usable_layout(declared),
        panes=len(declared.panes),
        zoomed=window.zoomed,
    )


def _standing_before(situation: Situation, part: Broken) -> int:
    """How many declared panes of its window stand before a lost one."""
    assert part.place is not None
    window, number = part.place
    places = (other.place for other in situation.finding.failure.broken if other.place is not None)
    return number - sum(1 for place in places if place[0] == window and place[1] < number)


def _furnishes(window: DeclaredWindow) -> bool:
    return bool(window.options_after) or any(pane.commands for pane in window.panes)


def _expectation(situation: Situation, resumptions: list[Resumption] | None = None) -> Expectation:
    session = situation.session
    assert session is not None
    broken = {part.pane for part in situation.finding.failure.broken}
    return Expectation(
        image=None,
        resumptions=tuple(resumptions or ()),
        untouched=_untouched(session, broken if situation.finding.cause is Cause.DEAD_PANE_LEFT else set()),
        tolerated_cwd=situation.missing,
    )


def _untouched(session: Session, but: set[str]) -> tuple[tuple[str, int], ...]:
    return tuple((pane.id, pane.pid) for pane in session.panes() if not pane.dead and pane.id not in but)
