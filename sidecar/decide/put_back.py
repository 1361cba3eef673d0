"""Panes that were killed out of windows which stand: each is split in again where it was.

The windows go on meanwhile, and so do their other panes: those keep their processes and their order. A
window gets its layout back only while it still has the one in which tmux has left it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sidecar.decide import layout
from sidecar.decide.lost import LostPane
from sidecar.decide.restore import Resume, window_of
from sidecar.decide.situation import Situation
from sidecar.model.plan import Entry, Expectation, Resumption, Step, StepKind
from sidecar.model.session import Pane, SavedPane, SavedWindow, Session, SessionImage, Window, image_of
from sidecar.model.workspace import Beside

_TYPED = (Entry.TYPED, Entry.HELD)


def missing(situation: Situation) -> tuple[LostPane, ...]:
    """The panes that the finding is about, as they are remembered; first those that were missed first."""
    wanted = {part.pane for part in situation.finding.failure.broken}
    return tuple(one for one in situation.gone if one.pane.id in wanted)


def put_back_plan(situation: Situation, resume: Resume) -> tuple[tuple[Step, ...], Expectation]:
    """The state stored, each pane at its place, and its program by the rules of resuming."""
    session = situation.session
    assert session is not None
    gaps = _gaps(session, missing(situation))
    image = _image(session, gaps, situation)
    steps = [Step(StepKind.SAVE)]
    resumptions: list[Resumption] = []
    for gap in gaps.values():
        for pane, beside in gap.in_order():
            place = (gap.stands.index, pane.index)
            steps.append(Step(StepKind.REBUILD_PANE, place=place, beside=beside))
            found = resume(_saved(image, place), place[0], image.default_shell)
            resumptions.extend([found] if found is not None else ())
            if found is not None and found.entry in _TYPED:
                steps.append(Step(StepKind.START_PROGRAM, place=place, resumption=found))
    return tuple(steps), Expectation(
        image=image,
        resumptions=tuple(resumptions),
        untouched=tuple((pane.id, pane.pid) for pane in session.panes() if not pane.dead),
        tolerated_cwd=situation.missing,
        places=tuple(
            (pane.id, (window.index, pane.index))
            for window in _whole(session, gaps).windows
            for pane in window.panes
            if window.id not in gaps or pane.id in gaps[window.id].here
        ),
    )


@dataclass(frozen=True, slots=True)
class _Gap:
    """A window that stands, and what was lost of it."""

    stands: Window
    lost: Sequence[LostPane]
    """Those that were missed first come first."""

    @property
    def here(self) -> frozenset[str]:
        """The ids of the panes that are there."""
        return frozenset(pane.id for pane in self.stands.panes)

    @property
    def whole(self) -> Window:
        """The window with the panes at their places, numbered as tmux will."""
        panes = list(self.stands.panes)
        # Who was missed last had the others beside it that were missed before.
        for one in reversed(self.lost):
            before = {pane.id for pane in one.window.panes[: _position(one)]}
            at = max((number for number, pane in enumerate(panes, 1) if pane.id in before), default=0)
            # It is not the active one any more: somebody may be at work in the one that is.
            panes.insert(at, replace(one.pane, active=False, last=False))
        base = self.stands.panes[0].index
        numbered = tuple(replace(pane, index=number) for number, pane in enumerate(panes, base))
        return replace(self.stands, panes=numbered, layout=self.layout or self.stands.layout)

    @property
    def layout(self) -> str:
        """The layout before the first of them was lost; empty if somebody has changed it since."""
        then = [*(one.window for one in self.lost[1:]), self.stands]
        same = all(
            one.window == next_one or one.left.layout == next_one.layout
            for one, next_one in zip(self.lost, then, strict=True)
        )
        former, count = self.lost[0].window.layout, len(self.stands.panes) + len(self.lost)
        return former if same and layout.valid(former, count) else ""

    def in_order(self) -> Iterator[tuple[Pane, Beside]]:
        """So that each comes to its place: first those at the front, from the first on; then those that
        come after a pane that stands, from the last back."""
        panes, here = self.whole.panes, self.here
        front = next(number for number, pane in enumerate(panes) if pane.id in here)
        for pane in panes[:front]:
            yield pane, self._beside(pane, panes[front], before=True)
        for number in range(len(panes) - 1, front, -1):
            if panes[number].id not in here:
                stands = next(one for one in reversed(panes[:number]) if one.id in here)
                yield panes[number], self._beside(panes[number], stands, before=False)

    def _beside(self, pane: Pane, neighbour: Pane, *, before: bool) -> Beside:
        one = next(each for each in self.lost if each.pane.id == pane.id)
        return Beside(
            self.stands.id,
            neighbour.id,
            before=before,
            layout=self.layout,
            panes=len(self.stands.panes) + len(self.lost),
            zoomed=self.stands.zoomed,
            sideways=layout.is_sideways(one.window.layout, _position(one)),
        )


def _gaps(session: Session, lost: Sequence[LostPane]) -> dict[str, _Gap]:
    """By window id, in the order of the windows."""
    found = {
        one.id: _Gap(one, [each for each in lost if each.window.id == one.id]) for one in session.windows
    }
    return {window: gap for window, gap in found.items() if gap.lost}


def _whole(session: Session, gaps: dict[str, _Gap]) -> Session:
    windows = (gaps[one.id].whole if one.id in gaps else one for one in session.windows)
    return replace(session, windows=tuple(windows))


def _image(session: Session, gaps: dict[str, _Gap], situation: Situation) -> SessionImage:
    """The whole session; a lost pane's text and its options, which only a checkpoint knows, from there."""
    image = image_of(_whole(session, gaps), width=0, height=0)
    if situation.checkpoint is None:
        return image
    stored, by_index = situation.checkpoint.image, {gap.stands.index: gap for gap in gaps.values()}
    windows = tuple(
        _with_texts(window, by_index[window.index], window_of(stored, window.index))
        if window.index in by_index
        else window
        for window in image.windows
    )
    return replace(image, windows=windows)


def _with_texts(window: SavedWindow, gap: _Gap, stored: SavedWindow | None) -> SavedWindow:
    """Of the stored window only what it has at the same place, and as the same command."""
    first = gap.lost[0].window
    if stored is None or len(stored.panes) != len(first.panes):
        return window
    of = {pane.id: saved for pane, saved in zip(first.panes, stored.panes, strict=True)}
    panes = (
        _with_text(saved, of.get(pane.id)) if pane.id not in gap.here else saved
        for pane, saved in zip(gap.whole.panes, window.panes, strict=True)
    )
    return replace(window, panes=tuple(panes))


def _with_text(saved: SavedPane, stored: SavedPane | None) -> SavedPane:
    if stored is None or stored.start_command != saved.start_command:
        return saved
    return replace(saved, scrollback=stored.scrollback, options=stored.options)


def _saved(image: SessionImage, place: tuple[int, int]) -> SavedPane:
    window = window_of(image, place[0])
    assert window is not None
    return next(pane for pane in window.panes if pane.index == place[1])


def _position(lost: LostPane) -> int:
    return next(number for number, pane in enumerate(lost.window.panes) if pane.id == lost.pane.id)
