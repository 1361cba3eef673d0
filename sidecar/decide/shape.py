"""A living declared session against its workspace file: what is damage, and what is a person's work.

Three rules. *Only what was seen standing in this life of the session can be missing*, so a session that
was adopted as it was stays so. *Only evidence makes it damage*: a process that was killed, a folder that
was swept away beneath its shell. *What still lives somewhere else was moved by a person.* Where the file
is to be law (``strict``), the evidence is not asked for; but nobody who is attached is worked against,
and what was moved stays moved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sidecar.decide import layout
from sidecar.decide.clues import describe_code
from sidecar.decide.judge_facts import Gap, told
from sidecar.decide.judge_pane import same_argv
from sidecar.decide.lost import FATAL_SIGNALS
from sidecar.decide.shape_memory import KnownPane, KnownWindow, Memory, declared_line
from sidecar.decide.shells import command_line, is_shell
from sidecar.model.incident import Broken, Cause, Evidence, Exit, Intent, Unit
from sidecar.model.plan import Difference
from sidecar.model.policy import Restore, Shape
from sidecar.model.session import Look, Pane, Session, Window
from sidecar.model.workspace import NAMED_LAYOUTS, DeclaredPane, DeclaredWindow, Workspace

DELETED = " (deleted)"
"""What the kernel adds to a working folder that is not there any more."""


@dataclass(frozen=True, slots=True)
class Deviation:
    """One thing that is not as it is declared, and why that counts."""

    cause: Cause
    part: Broken
    intent: Intent
    evidence: tuple[Evidence, ...]
    difference: Difference
    first_sign: float | None = None
    """Monotonic seconds of the end that made it so, where one did."""


@dataclass(frozen=True, slots=True)
class Scene:
    """All that bears on one declared session at one look."""

    workspace: Workspace
    session: Session
    look: Look
    memory: Memory
    exits: Mapping[int, Exit]
    strictness: Shape
    restore: Restore
    folders: Mapping[str, str]
    """Declared folders that exist, each with the one that it really is."""

    @property
    def strict(self) -> bool:
        return self.strictness is Shape.STRICT

    @property
    def unattended(self) -> bool:
        """The file is law, comes back always, and nobody sits in front of it."""
        return self.strict and self.restore is Restore.ALWAYS and not self.session.attached


def deviations(scene: Scene) -> tuple[Deviation, ...]:
    """Everything that is not as declared, largest unit first; with what a person has closed, told as such."""
    return tuple(sorted(_deviations(scene), key=lambda one: -list(Unit).index(one.part.unit)))


def _deviations(scene: Scene) -> Iterator[Deviation]:
    for position, wanted in enumerate(scene.workspace.windows):
        known = scene.memory.windows[position]
        found = _live(scene.session, known)
        if found is None or known is None:
            gone = _window_gone(scene, position, wanted, known)
            if gone is not None and not scene.memory.closed(gone.part):
                yield gone
            continue
        place = _Place(scene, position, wanted, known, found)
        yield from _panes_gone(place)
        yield from _panes_differ(place)
        yield from _layout_differs(place)


@dataclass(frozen=True, slots=True)
class _Place:
    """One declared window, as it is known and as it is."""

    scene: Scene
    position: int
    wanted: DeclaredWindow
    known: KnownWindow
    found: Window

    @property
    def where(self) -> str:
        return window_words(self.wanted, self.position)

    def panes(self) -> Iterator[tuple[int, DeclaredPane, KnownPane, Pane]]:
        """The declared panes that are there."""
        live = {pane.id: pane for pane in self.found.panes}
        for number, (wanted, known) in enumerate(zip(self.wanted.panes, self.known.panes, strict=True)):
            if known.id in live:
                yield number, wanted, known, live[known.id]


def window_words(window: DeclaredWindow, position: int) -> str:
    """A declared window as people write it."""
    return f"window {window.name!r}" if window.name else f"window number {position + 1}"


def _live(session: Session, known: KnownWindow | None) -> Window | None:
    return next((one for one in session.windows if known is not None and one.id == known.id), None)


def _window_gone(
    scene: Scene, position: int, wanted: DeclaredWindow, known: KnownWindow | None
) -> Deviation | None:
    if known is None:
        if not scene.strict or _has_its_like(scene.session, wanted):
            return None
        why = (Evidence("shape", "it is declared, was not seen in this life, and the file is law"),)
        opinion = _Opinion(Intent.FAILURE, why)
    else:
        if any(scene.look.pane(pane.id) is not None for pane in known.panes):
            return None
        opinion = _opinion(scene, known.panes, known.armed)
    index = _free_index(scene.session, wanted, known)
    part = Broken(Unit.WINDOW, window=index, place=(position, 0))
    difference = told(window_words(wanted, position), Gap("present", "absent"))
    return Deviation(
        Cause.SHAPE_DIFFERS, part, opinion.intent, opinion.evidence, difference, opinion.first_sign
    )


def _has_its_like(session: Session, wanted: DeclaredWindow) -> bool:
    """Whether something else stands where the window would be, or is called so."""
    return any(
        one.index == wanted.index or (wanted.name and one.name == wanted.name) for one in session.windows
    )


def _free_index(session: Session, wanted: DeclaredWindow, known: KnownWindow | None) -> int:
    """Where the window goes: where it stood, else as declared, else after the last one."""
    used = {window.index for window in session.windows}
    asked = (known.index if known else None, wanted.index)
    free = (index for index in asked if index is not None and index not in used)
    return next(free, max(used, default=-1) + 1)


@dataclass(frozen=True, slots=True)
class _Opinion:
    """Whether a loss was meant, by what is known of the processes."""

    intent: Intent
    evidence: tuple[Evidence, ...]
    first_sign: float | None = None


def _opinion(scene: Scene, lost: tuple[KnownPane, ...], armed: bool) -> _Opinion:
    """A process that was killed did not end by anybody's closing it; where tmux keeps what fails, a pane
    that it has not kept was closed."""
    ends = [scene.exits[pane.pid] for pane in lost if pane.pid in scene.exits]
    killed = [end for end in ends if end.code in FATAL_SIGNALS]
    if killed:
        facts = tuple(_exit_fact(end) for end in killed)
        order = Evidence("order", "it was killed, and tmux removed its pane afterwards")
        return _Opinion(Intent.FAILURE, (*facts, order), min(end.seen for end in killed))
    if scene.strict:
        facts = tuple(_exit_fact(end) for end in ends)
        return _Opinion(Intent.FAILURE, (*facts, Evidence("shape", "the file is law, whoever closed it")))
    if armed or len([end for end in ends if end.code is not None]) == len(lost):
        return _Opinion(Intent.PERSON, ())
    return _Opinion(Intent.UNKNOWN, (Evidence("record", "how its processes ended could not be learnt"),))


def _exit_fact(end: Exit) -> Evidence:
    memory = f"; the kernel killed {end.oom_kills} for memory" if end.oom_kills else ""
    return Evidence(end.source, f"process {end.pid} of {end.pane} {describe_code(end.code)}{memory}")


def _panes_gone(place: _Place) -> Iterator[Deviation]:
    there = {pane.id for pane in place.found.panes}
    for number, known in enumerate(place.known.panes):
        if known.id in there or place.scene.look.pane(known.id) is not None:
            continue
        opinion = _opinion(place.scene, (known,), place.known.armed)
        part = Broken(
            Unit.PANE, known.id, known.pid, window=place.found.index, place=(place.position, number)
        )
        if place.scene.memory.closed(part):
            continue
        difference = told(f"{place.where} pane {number}", Gap("present", "absent"))
        yield Deviation(
            Cause.SHAPE_DIFFERS, part, opinion.intent, opinion.evidence, difference, opinion.first_sign
        )


def _panes_differ(place: _Place) -> Iterator[Deviation]:
    for number, wanted, known, found in place.panes():
        if found.dead:
            one = _left_dead(place, number, wanted, found)
        else:
            one = _elsewhere(place, number, wanted, found) or _idle(place, number, wanted, known, found)
        if one is not None:
            yield one


def _left_dead(place: _Place, number: int, wanted: DeclaredPane, found: Pane) -> Deviation | None:
    """A pane that nobody saw alive, kept by its user's own setting. One of ours, the comparison of two
    looks finds."""
    scene = place.scene
    if place.found.armed or found.pid in scene.exits or scene.restore is not Restore.ALWAYS:
        return None
    status = found.dead_status
    failed = status is not None and (status in FATAL_SIGNALS or (status > 0 and bool(wanted.shell)))
    if not failed and not scene.strict:
        return None
    fact = Evidence("tmux", f"pane {found.id} is dead since before it was looked after, status {status}")
    part = Broken(
        Unit.PANE, found.id, found.pid, status, window=place.found.index, place=(place.position, number)
    )
    difference = told(f"{place.where} pane {number}", Gap("alive", "dead"), "dead")
    return Deviation(Cause.DEAD_PANE_LEFT, part, Intent.FAILURE, (fact,), difference)


def _elsewhere(place: _Place, number: int, wanted: DeclaredPane, found: Pane) -> Deviation | None:
    """A shell that waits in another folder than its own. ``cd`` is a person's right, unless the file is law;
    that a folder is swept away beneath a shell and made anew is nobody's wish."""
    scene, real = place.scene, place.scene.folders.get(wanted.cwd, "")
    if not real or found.cwd in ("", real) or not _waits(found):
        return None
    swept = found.cwd == real + DELETED
    if not swept and (not scene.unattended or wanted.commands or wanted.shell):
        return None
    if change_folder(wanted.cwd, found) is None:
        return None
    fact = (
        Evidence("proc", f"{found.cwd}: the folder was removed beneath the shell {found.pid}, and is back")
        if swept
        else Evidence("proc", f"the shell {found.pid} waits in {found.cwd}, and the file is law")
    )
    difference = told(f"{place.where} pane {number}", Gap(wanted.cwd, found.cwd), "cwd")
    return _typed(Cause.FOLDER_DIFFERS, place, number, found, fact, difference)


def _idle(
    place: _Place, number: int, wanted: DeclaredPane, known: KnownPane, found: Pane
) -> Deviation | None:
    """A program that the file starts, that was seen running, and whose shell now waits."""
    scene, line = place.scene, declared_line(wanted)
    if line is None or not known.ran or not scene.unattended or not _waits(found):
        return None
    ended = scene.exits.get(known.ran)
    if ended is not None and (ended.code == 0 or ended.code in FATAL_SIGNALS):
        # It has done its work; or it was killed, which is a matter of its own.
        return None
    facts = (_exit_fact(ended),) if ended else ()
    fact = Evidence("proc", f"nothing runs in front of the shell {found.pid}, and the file is law")
    difference = told(f"{place.where} pane {number}", Gap(line, "nothing"), "program")
    return _typed(Cause.PROGRAM_DIFFERS, place, number, found, fact, difference, facts)


def _typed(
    cause: Cause,
    place: _Place,
    number: int,
    found: Pane,
    fact: Evidence,
    difference: Difference,
    more: tuple[Evidence, ...] = (),
) -> Deviation:
    part = Broken(Unit.PROGRAM, found.id, found.pid, window=place.found.index, place=(place.position, number))
    return Deviation(cause, part, Intent.FAILURE, (*more, fact), difference)


def _waits(pane: Pane) -> bool:
    return pane.program is None and is_shell(pane.argv)


def change_folder(folder: str, pane: Pane) -> str | None:
    """The line that takes a pane's shell into a folder; None if it cannot be typed safely."""
    return command_line(("cd", folder), pane.argv[0]) if pane.argv else None


def _layout_differs(place: _Place) -> Iterator[Deviation]:
    """A layout does not tell who has changed it, so only a file that is law puts it back."""
    wanted, found = place.wanted, place.found
    same = {pane.id for pane in found.panes} == {pane.id for pane in place.known.panes}
    if not place.scene.unattended or not same or not wanted.layout or len(found.panes) < 2:
        return
    tree, shown = wanted_tree(wanted), layout.skeleton(found.layout)
    if not tree or tree == shown:
        return
    fact = Evidence("tmux", f"the layout of {found.id} is {found.layout}, and the file is law")
    part = Broken(Unit.WINDOW, found.id, window=found.index, place=(place.position, 0))
    difference = told(place.where, Gap(tree, shown), "layout")
    yield Deviation(Cause.LAYOUT_DIFFERS, part, Intent.FAILURE, (fact,), difference)


def wanted_tree(window: DeclaredWindow) -> str:
    """The tree that a declared layout makes; empty if the text cannot be given to tmux."""
    panes = len(window.panes)
    if window.layout in NAMED_LAYOUTS:
        return layout.named_skeleton(window.layout, panes)
    return layout.skeleton(window.layout) if layout.valid(window.layout, panes) else ""


def runs(pane: DeclaredPane, found: Pane) -> int:
    """The pid of the program that the file starts in this pane, where it is in front now; 0 if not."""
    line = declared_line(pane)
    if line is None or found.program is None:
        return 0
    return found.program.pid if same_argv(tuple(line.split()), found.program.argv) else 0
