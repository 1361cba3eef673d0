"""Building again after an attempt that was cut off: finished, or removed and begun anew, never doubled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.flow.steps import STEPS
from sidecar.flow.surgery import Surgery
from sidecar.model.plan import Expectation, Step, StepKind
from sidecar.model.saga import Marks
from sidecar.model.session import Look, Session, image_of
from sidecar.model.workspace import DeclaredPane, DeclaredWindow, Workspace
from tests.decide.builders import look, pane, session

LIVE = session(pane(1))
WORKSPACE = Workspace("web", (DeclaredWindow((DeclaredPane("/srv"),)),))
FRESH, WHOLE = Marks(), Marks(session="$1", window="@1")
HALF = Marks(unfinished=True)


@dataclass
class MarkedTmux:
    """Says what carries the mark, and writes down what it is asked to do."""

    found: Marks
    live: Sequence[Session] = (LIVE,)
    done: list[str] = field(default_factory=list)

    async def marks(self, mark: str) -> Marks:
        return self.found

    async def look(self) -> Look:
        return look(*self.live)

    async def remove_marked(self, mark: str) -> None:
        self.done.append("remove")

    async def rebuild(self, *_: Any) -> str:
        self.done.append("build")
        return "$5"

    async def build_workspace(self, *_: Any) -> str:
        self.done.append("build")
        return "$5"

    async def rebuild_window(self, *_: Any) -> None:
        self.done.append("build")


def surgery(tmux: MarkedTmux, *, again: bool) -> Surgery:
    image = image_of(LIVE, width=80, height=24)
    plan = SimpleNamespace(
        expectation=Expectation(image), checkpoint=SimpleNamespace(image=image), workspace=WORKSPACE
    )
    pace = SimpleNamespace(turns=lambda count: ())
    clock, case = SimpleNamespace(monotonic=lambda: 0.0), SimpleNamespace(before=LIVE, look=look(LIVE))
    parts: Any = (tmux, None, None, None, pace, clock, case, plan, "mark")
    work = Surgery(*parts)
    work.progress.again = again
    return work


KINDS = (StepKind.REBUILD_SESSION, StepKind.BUILD_WORKSPACE, StepKind.REBUILD_WINDOW)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("found", "again", "done"),
    [
        (WHOLE, False, ["build"]),
        (FRESH, True, ["build"]),
        (WHOLE, True, []),
        (HALF, True, ["remove", "build"]),
    ],
)
async def test_what_is_whole_stays_and_what_is_half_done_is_begun_anew(
    kind: StepKind, found: Marks, again: bool, done: list[str]
) -> None:
    tmux = MarkedTmux(found)
    await STEPS[kind].do(surgery(tmux, again=again), Step(kind, window=0))
    assert tmux.done == done


async def test_what_has_not_got_its_name_yet_is_not_whole() -> None:
    tmux = MarkedTmux(WHOLE, [replace(LIVE, name="sidecar-0123")])
    kind = StepKind.REBUILD_SESSION
    await STEPS[kind].do(surgery(tmux, again=True), Step(kind))
    assert tmux.done == ["remove", "build"]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_way_back_takes_what_is_marked(kind: StepKind) -> None:
    tmux, undo = MarkedTmux(WHOLE), STEPS[kind].undo
    assert undo is not None
    await undo(surgery(tmux, again=False), Step(kind))
    assert tmux.done == ["remove"]
