"""Who gets a conversation when several panes could: exactly one of them.

What runs now comes first; among the panes that are to come back, the order of their places
decides, which is the same for every session that is healed at the same time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.model.conversation import Seat
from sidecar.model.session import Session, SessionImage

Place = tuple[str, int, int]
"""Session, window index, pane index."""


@dataclass(frozen=True, slots=True)
class Claims:
    """All panes that share folders and conversations with each other."""

    owners: Mapping[str, Place] = field(default_factory=dict)
    """By conversation id: the pane that gets it."""
    folders: Mapping[str, frozenset[Place]] = field(default_factory=dict)
    transcripts: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """By folder: the ids of the conversations that can be taken up there, where that is known."""

    def owner(self, conversation: str, place: Place) -> Place | None:
        """Another pane that gets this conversation; None if this one may have it."""
        found = self.owners.get(conversation)
        return None if found == place else found

    def shared(self, folder: str, place: Place) -> bool:
        """Whether another pane is in this folder."""
        return bool(self.folders.get(folder, frozenset()) - {place})

    def lost(self, conversation: str, folder: str) -> bool:
        """Whether this conversation is known to be no more; an empty one stands for any."""
        known = self.transcripts.get(folder)
        return known is not None and (conversation not in known if conversation else not known)


def claims(seats: Iterable[Seat], transcripts: Mapping[str, frozenset[str]]) -> Claims:
    """Settle who gets what."""
    owners: dict[str, Place] = {}
    folders: dict[str, set[Place]] = {}
    for seat in sorted(seats, key=lambda seat: (not seat.live, *_place(seat))):
        folders.setdefault(seat.folder, set()).add(_place(seat))
        if seat.conversation:
            owners.setdefault(seat.conversation, _place(seat))
    return Claims(owners, {folder: frozenset(there) for folder, there in folders.items()}, transcripts)


def seats_of(session: Session | SessionImage, away: Sequence[str] = ()) -> list[Seat]:
    """The seats of a session; of a live one all but the panes in ``away`` (ids) are there now."""
    if isinstance(session, SessionImage):
        return [
            Seat(session.name, window.index, saved.index, saved.cwd, saved.conversation, live=False)
            for window in session.windows
            for saved in window.panes
        ]
    return [
        Seat(session.name, window.index, pane.index, pane.cwd, pane.conversation, pane.id not in away)
        for window in session.windows
        for pane in window.panes
    ]


def _place(seat: Seat) -> Place:
    return seat.session, seat.window, seat.pane
