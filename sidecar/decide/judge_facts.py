"""What a verdict has to know beside the two things compared: who is who, and who may differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from sidecar import redact
from sidecar.model.plan import Difference, Expectation, Resumption
from sidecar.model.session import Look, Pane, SavedWindow, Session, SessionImage, Window

Note = str
"""Why a difference is tolerated; empty when it is not."""

Place = tuple[int, int]
"""Window index and pane index."""


@dataclass(frozen=True, slots=True)
class Gap:
    """What was wanted and what was found instead."""

    wanted: str
    found: str

    @classmethod
    def between(cls, wanted: str, found: str) -> Gap | None:
        return None if wanted == found else cls(wanted, found)


def told(where: str, gap: Gap, field: str = "presence", note: Note = "") -> Difference:
    """The gap as a difference, fit to be shown and logged; tolerated if there is a note."""
    wanted, found = (redact.in_field(field, value) for value in (gap.wanted, gap.found))
    return Difference(where, field, wanted, found, tolerated=bool(note), note=note)


Pair = TypeVar("Pair")
"""A thing as it has to be, and as it is."""

Fields = Mapping[str, tuple[Callable[[Pair], Gap | None], tuple[Callable[[Pair], Note], ...]]]
"""Each field of a thing: how it is compared, and what excuses a difference."""


def compared(where: str, pair: Pair, fields: Fields[Pair]) -> Iterator[Difference]:
    """Every field that differs, with the first excuse that holds."""
    for name, (compare, excuses) in fields.items():
        gap = compare(pair)
        if gap is not None:
            notes = (excuse(pair) for excuse in excuses)
            yield told(where, gap, name, next(filter(None, notes), ""))


@dataclass(frozen=True, slots=True)
class Facts:
    """The circumstances of one verdict."""

    after: Look
    drifting: Note
    """Set when sizes and selections may change at any moment by other hands than ours."""
    another_server: bool
    """Panes were to be left alone, but their server is not there any more."""
    default_shell: str
    gone_folders: frozenset[str]
    resumptions: Mapping[Place, Resumption]
    ids: Mapping[Place, str]
    """Panes that are known by id: those of a session that was only partly broken."""
    untouched: frozenset[str]
    """Ids of panes whose own process has to live on."""
    leftover: frozenset[str]
    """Ids of panes that were dead before and are no part of the plan."""
    group: Note
    """Set when the session has joined a group that lives, whose windows may be other ones by now."""
    compared: Counter[str] = field(default_factory=Counter)
    """How many values were compared, by field; filled in on the way."""

    @classmethod
    def gather(cls, expectation: Expectation, before: Look | None, after: Look) -> Facts:
        image = expectation.image
        partial = bool(expectation.untouched or expectation.replaced)
        # A look without an answer knows no server; the processes tell all the same.
        same_server = before is None or before.server in (None, after.server)
        earlier = before.find(image.name) if before and image and partial and same_server else None
        session = after.find(image.name) if image else None
        replaced = {pane for pane, _ in expectation.replaced}
        return cls(
            after=after,
            drifting=_drifting(session, partial),
            another_server=partial and not same_server,
            default_shell=image.default_shell if image else "",
            gone_folders=frozenset(expectation.tolerated_cwd),
            resumptions={(each.window, each.pane): each for each in expectation.resumptions},
            ids={place: pane for pane, place in expectation.places} or (_places(earlier) if earlier else {}),
            untouched=frozenset(pane for pane, _ in expectation.untouched),
            leftover=frozenset(_dead(earlier) - replaced if earlier else ()),
            group=_joined(session, image, after),
        )

    def count(self, noun: str, fields: Iterable[str]) -> None:
        """Note that these fields of one thing are compared."""
        self.compared.update(f"{noun} {field}" for field in fields)

    def window(self, session: Session, wanted: SavedWindow) -> Window | None:
        """The live window: the one that holds a pane known by id, else the one with the index."""
        known = {self.ids.get((wanted.index, pane.index)) for pane in wanted.panes} - {None}
        if known:
            return next((w for w in session.windows if any(pane.id in known for pane in w.panes)), None)
        return next((window for window in session.windows if window.index == wanted.index), None)

    def pane(self, window: Window, place: Place) -> Pane | None:
        """The live pane: by its id where that is known, else by its index."""
        known = self.ids.get(place)
        if known is not None:
            return next((pane for pane in window.panes if pane.id == known), None)
        return next((pane for pane in window.panes if pane.index == place[1]), None)

    def excuse(self, window_index: int, pane_index: int) -> Note:
        """Why this pane may be gone; empty if it is not gone or may not."""
        place = (window_index, pane_index)
        pane = self.ids.get(place, "")
        if not pane or self.after.pane(pane) is not None:
            return ""
        if pane in self.leftover:
            return "was dead before, and was closed"
        return "ended by itself" if self.spares(pane, place) else ""

    def spares(self, pane_id: str, place: Place) -> bool:
        """Whether the plan leaves this pane as it is, with all that runs in it."""
        return pane_id in self.untouched and place not in self.resumptions

    def where(self, pane_id: str) -> str:
        """A pane as people write it."""
        for place, known in self.ids.items():
            if known == pane_id:
                return f"pane {place[0]}.{place[1]}"
        return f"pane {pane_id}"


def _drifting(session: Session | None, partial: bool) -> Note:
    if session is not None and session.attached:
        return "somebody is attached and may have changed it"
    return "no part of the plan, and free to change" if partial else ""


def _joined(session: Session | None, image: SessionImage | None, after: Look) -> Note:
    if session is None or image is None or not image.group or session.group != image.group:
        return ""
    others = any(each.group == session.group and each.id != session.id for each in after.sessions)
    return "the windows are its group's, which has gone on" if others else ""


def _places(session: Session) -> dict[Place, str]:
    return {(window.index, pane.index): pane.id for window in session.windows for pane in window.panes}


def _dead(session: Session) -> set[str]:
    return {pane.id for pane in session.panes() if pane.dead}
