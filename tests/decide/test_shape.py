"""What of a declared session is damage, and what is a person's work: by tables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from sidecar.decide.layout import checksum
from sidecar.decide.shape import Scene, deviations, runs
from sidecar.decide.shape_memory import Memory, declared_line, learn
from sidecar.model.incident import Cause, Exit, Intent, Unit
from sidecar.model.policy import Restore, Shape
from sidecar.model.session import Pane, Process, Session, Window
from sidecar.model.workspace import Command, DeclaredPane, DeclaredWindow, Workspace
from tests.decide.builders import ended, look, pane, session

DECLARED = Workspace(
    "web",
    (
        DeclaredWindow((DeclaredPane("/srv"), DeclaredPane("/srv")), name="code", layout="even-horizontal"),
        DeclaredWindow((DeclaredPane("/srv", shell="sleep 9"),), name="logs", index=7),
        DeclaredWindow((DeclaredPane("/srv", commands=(Command(" cd x"), Command(" npm run dev"))),)),
    ),
)
_ROW = "80x24,0,0{40x24,0,0,1,39x24,41,0,2}"
_COLUMN = "80x24,0,0[80x12,0,0,1,80x11,0,13,2]"
SIDE_BY_SIDE, STACKED = (f"{checksum(body)},{body}" for body in (_ROW, _COLUMN))


def window(number: int, *panes: Pane, **facts: object) -> Window:
    (plain,) = session(*panes).windows
    words = {"id": f"@{number}", "index": number, "name": f"w{number}", **facts}
    return replace(plain, **words)  # type: ignore[arg-type]


def whole() -> Session:
    windows = (
        window(0, pane(1), pane(2), name="code", layout=SIDE_BY_SIDE),
        window(1, pane(4), name="bash", automatic_rename=True),
        window(7, pane(3, command="sleep 9"), name="logs"),
    )
    return replace(session(), windows=windows)


def bare(live: Session) -> Session:
    """tmux keeps no pane of it."""
    return replace(live, windows=tuple(replace(one, armed=False) for one in live.windows))


def without_window(live: Session, index: int) -> Session:
    return replace(live, windows=tuple(one for one in live.windows if one.index != index))


def changed(live: Session, pane_id: str, **facts: object) -> Session:
    def one(each: Pane) -> Pane:
        return replace(each, **facts) if each.id == pane_id else each  # type: ignore[arg-type]

    return replace(live, windows=tuple(replace(w, panes=tuple(map(one, w.panes))) for w in live.windows))


def without_pane(live: Session, pane_id: str) -> Session:
    return replace(
        live,
        windows=tuple(replace(w, panes=tuple(p for p in w.panes if p.id != pane_id)) for w in live.windows),
    )


def with_window(live: Session, one: Window) -> Session:
    return replace(live, windows=(*live.windows, one))


def first(live: Session, *panes: Pane) -> Session:
    """With these panes in its first window."""
    return replace(live, windows=(replace(live.windows[0], panes=panes), *live.windows[1:]))


AGAIN = window(7, pane(9), id="@9", name="logs")
MINE = window(8, pane(9), name="logs")


@dataclass
class Story:
    """What was seen, one look after the other, and what of it counts in the end."""

    seen: tuple[Session, ...]
    exits: tuple[Exit, ...] = ()
    shape: Shape = Shape.CAREFUL
    restore: Restore = Restore.ALWAYS
    beside: tuple[Session, ...] = ()
    """Other sessions at the last look."""
    wanted: list[tuple[Cause, Unit, tuple[int, int], Intent]] = field(default_factory=list)
    workspace: Workspace = DECLARED

    def told(self) -> list[tuple[Cause, Unit, tuple[int, int] | None, Intent]]:
        memory: Memory | None = None
        for live in self.seen:
            memory = learn(memory, self.workspace, live, "i", runs)
        assert memory is not None
        live = self.seen[-1]
        scene = Scene(
            self.workspace, live, look(live, *self.beside), memory, {one.pid: one for one in self.exits},
            self.shape, self.restore, {"/srv": "/srv"},
        )  # fmt: skip
        return [(one.cause, one.part.unit, one.part.place, one.intent) for one in deviations(scene)]


def lost(place: tuple[int, int], intent: Intent, unit: Unit) -> tuple[Cause, Unit, tuple[int, int], Intent]:
    return Cause.SHAPE_DIFFERS, unit, place, intent


LOGS, SECOND = (1, 0), (0, 1)
_OK = whole()
_BARE = bare(whole())
_STRICT = Shape.STRICT


def attached(live: Session) -> Session:
    return replace(live, attached=1)


def running(live: Session, argv: tuple[str, ...] = ("npm", "run", "dev")) -> Session:
    return changed(live, "%4", program=Process(900, argv))


STORIES: dict[str, Callable[[], Story]] = {
    "as it is declared": lambda: Story((_OK,)),
    # Windows.
    "a window was killed": lambda: Story(
        (_BARE, without_window(_BARE, 7)), (ended(203, -9),), wanted=[lost(LOGS, Intent.FAILURE, Unit.WINDOW)]
    ),
    "a window ran out of memory": lambda: Story(
        (_BARE, without_window(_BARE, 7)),
        (ended(203, -9, oom=1),),
        wanted=[lost(LOGS, Intent.FAILURE, Unit.WINDOW)],
    ),
    "a window was killed after its keeping was switched off": lambda: Story(
        (_OK, without_window(_OK, 7)), (ended(203, -11),), wanted=[lost(LOGS, Intent.FAILURE, Unit.WINDOW)]
    ),
    "kill-window": lambda: Story(
        (_BARE, without_window(_BARE, 7)), (ended(203, -1),), wanted=[lost(LOGS, Intent.PERSON, Unit.WINDOW)]
    ),
    "exit": lambda: Story(
        (_BARE, without_window(_BARE, 7)), (ended(203, 0),), wanted=[lost(LOGS, Intent.PERSON, Unit.WINDOW)]
    ),
    "tmux would have kept it": lambda: Story(
        (_OK, without_window(_OK, 7)), wanted=[lost(LOGS, Intent.PERSON, Unit.WINDOW)]
    ),
    "nobody knows how a window ended": lambda: Story(
        (_BARE, without_window(_BARE, 7)),
        (ended(203, None),),
        wanted=[lost(LOGS, Intent.UNKNOWN, Unit.WINDOW)],
    ),
    "the file is law": lambda: Story(
        (_OK, without_window(_OK, 7)),
        (ended(203, -1),),
        _STRICT,
        wanted=[lost(LOGS, Intent.FAILURE, Unit.WINDOW)],
    ),
    "a window that never was": lambda: Story((without_window(_OK, 7),)),
    "a window that never was, and the file is law": lambda: Story(
        (without_window(_OK, 7),), shape=_STRICT, wanted=[lost(LOGS, Intent.FAILURE, Unit.WINDOW)]
    ),
    "something else stands there, and the file is law": lambda: Story(
        (replace(_OK, windows=(*_OK.windows[:2], window(7, pane(8), pane(9)))),), shape=_STRICT
    ),
    "a window was renamed, renumbered and grew": lambda: Story(
        (_OK, replace(_OK, windows=(*_OK.windows[:2], window(9, pane(3), pane(8), id="@7", name="x"))))
    ),
    "a window lives in another session": lambda: Story(
        (_BARE, without_window(_BARE, 7)),
        beside=(replace(session(pane(3)), id="$2", name="other"),),
    ),
    "a lost window is back": lambda: Story(
        (
            _BARE,
            without_window(_BARE, 7),
            replace(_BARE, windows=(*_BARE.windows[:2], window(7, pane(9), id="@9", name="logs"))),
        ),
        (ended(203, -9),),
    ),
    "a person's own window is no lost one": lambda: Story(
        (_BARE, with_window(_BARE, MINE), with_window(without_window(_BARE, 7), MINE)),
        (ended(203, -9),),
        wanted=[lost(LOGS, Intent.FAILURE, Unit.WINDOW)],
    ),
    # Panes.
    "a pane was killed": lambda: Story(
        (_BARE, without_pane(_BARE, "%2")),
        (ended(202, -9),),
        wanted=[lost(SECOND, Intent.FAILURE, Unit.PANE)],
    ),
    "kill-pane": lambda: Story(
        (_OK, without_pane(_OK, "%2")), (ended(202, -1),), wanted=[lost(SECOND, Intent.PERSON, Unit.PANE)]
    ),
    "a pane was moved": lambda: Story(
        (
            _BARE,
            replace(
                without_pane(_BARE, "%2"), windows=(*without_pane(_BARE, "%2").windows, window(9, pane(2)))
            ),
        ),
        (ended(202, -9),),
    ),
    "a person's own pane is no lost one": lambda: Story(
        (_BARE, first(_BARE, pane(1), pane(2), pane(8)), first(_BARE, pane(1), pane(8))),
        (ended(202, -9),),
        wanted=[lost(SECOND, Intent.FAILURE, Unit.PANE)],
    ),
    "a lost pane is back": lambda: Story(
        (_BARE, without_pane(_BARE, "%2"), first(_BARE, pane(1), pane(8))),
        (ended(202, -9),),
    ),
    # Dead panes.
    "a dead pane of ours is another matter": lambda: Story((changed(_OK, "%3", dead=True, dead_status=-9),)),
    "a pane was left dead": lambda: Story(
        (changed(_BARE, "%3", dead=True, dead_status=-9),),
        wanted=[(Cause.DEAD_PANE_LEFT, Unit.PANE, LOGS, Intent.FAILURE)],
    ),
    "a command was left failed": lambda: Story(
        (changed(_BARE, "%3", dead=True, dead_status=2),),
        wanted=[(Cause.DEAD_PANE_LEFT, Unit.PANE, LOGS, Intent.FAILURE)],
    ),
    "a pane was left done": lambda: Story((changed(_BARE, "%3", dead=True, dead_status=0),)),
    "a pane was left done, and the file is law": lambda: Story(
        (changed(_BARE, "%3", dead=True, dead_status=0),),
        shape=_STRICT,
        wanted=[(Cause.DEAD_PANE_LEFT, Unit.PANE, LOGS, Intent.FAILURE)],
    ),
    "a pane was left dead that need not come back": lambda: Story(
        (changed(_BARE, "%3", dead=True, dead_status=-9),), restore=Restore.ON_FAILURE
    ),
    # Folders.
    "cd": lambda: Story((changed(_OK, "%1", cwd="/tmp"),)),
    "a folder was swept away": lambda: Story(
        (changed(_OK, "%1", cwd="/srv (deleted)"),),
        wanted=[(Cause.FOLDER_DIFFERS, Unit.PROGRAM, (0, 0), Intent.FAILURE)],
    ),
    "a folder was swept away beneath a program": lambda: Story(
        (changed(_OK, "%1", cwd="/srv (deleted)", program=Process(9, ("vim",))),)
    ),
    "cd, and the file is law": lambda: Story(
        (changed(_OK, "%1", cwd="/tmp"),),
        shape=_STRICT,
        wanted=[(Cause.FOLDER_DIFFERS, Unit.PROGRAM, (0, 0), Intent.FAILURE)],
    ),
    "cd, and somebody is attached": lambda: Story((attached(changed(_OK, "%1", cwd="/tmp")),), shape=_STRICT),
    "cd where lines were typed": lambda: Story((changed(_OK, "%4", cwd="/srv/x"),), shape=_STRICT),
    # Layouts.
    "select-layout": lambda: Story(
        (_OK, replace(_OK, windows=(replace(_OK.windows[0], layout=STACKED), *_OK.windows[1:])))
    ),
    "select-layout, and the file is law": lambda: Story(
        (_OK, replace(_OK, windows=(replace(_OK.windows[0], layout=STACKED), *_OK.windows[1:]))),
        shape=_STRICT,
        wanted=[(Cause.LAYOUT_DIFFERS, Unit.WINDOW, (0, 0), Intent.FAILURE)],
    ),
    # Programs.
    "a program ends": lambda: Story((running(_OK), _OK)),
    "a program ends, and the file is law": lambda: Story(
        (running(_OK), _OK),
        (ended(900, 130),),
        _STRICT,
        wanted=[(Cause.PROGRAM_DIFFERS, Unit.PROGRAM, (2, 0), Intent.FAILURE)],
    ),
    "a program has done its work": lambda: Story((running(_OK), _OK), (ended(900, 0),), _STRICT),
    "a killed program is another matter": lambda: Story((running(_OK), _OK), (ended(900, -9),), _STRICT),
    "another program was never seen": lambda: Story((running(_OK, ("vim",)), _OK), (), _STRICT),
    "another program is in front": lambda: Story((running(_OK), running(_OK, ("vim",))), (), _STRICT),
}


@pytest.mark.parametrize("name", STORIES)
def test_what_counts(name: str) -> None:
    story = STORIES[name]()
    assert story.told() == story.wanted


def test_what_a_person_has_closed_is_not_missed_again() -> None:
    gone = without_window(_BARE, 7)
    memory = learn(learn(None, DECLARED, _BARE, "i", runs), DECLARED, gone, "i", runs)
    scene = Scene(
        DECLARED, gone, look(gone), memory, {203: ended(203, -1)}, Shape.CAREFUL, Restore.ALWAYS, {}
    )
    (one,) = deviations(scene)
    closed = memory.close([one.part])
    # How it ended is forgotten some day.
    assert deviations(replace(scene, memory=closed, exits={})) == ()
    back = learn(closed, DECLARED, with_window(gone, AGAIN), "i", runs)
    assert not back.closed(one.part)


def test_another_life_or_another_file_begins_anew() -> None:
    memory = learn(None, DECLARED, _OK, "i", runs)
    gone = without_window(_OK, 7)
    assert learn(memory, DECLARED, gone, "i", runs).windows[1] is not None
    assert learn(memory, DECLARED, gone, "j", runs).windows[1] is None
    other = replace(DECLARED, cwd="/x")
    assert learn(memory, other, gone, "i", runs).windows[1] is None


@pytest.mark.parametrize(
    ("commands", "line"),
    [
        ((), None),
        ((Command(" npm run dev"),), "npm run dev"),
        ((Command("cd x"), Command("npm  run dev")), "npm run dev"),
        ((Command("npm run dev"), Command("q", enter=False)), None),
        ((Command("a; b"),), None),
        ((Command("$EDITOR"),), None),
    ],
)
def test_only_a_last_line_of_plain_words_is_a_program(
    commands: tuple[Command, ...], line: str | None
) -> None:
    assert declared_line(DeclaredPane("/srv", commands=commands)) == line
