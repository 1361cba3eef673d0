"""Gathers what decides which pane gets a conversation, where a recovery has one to give."""

from __future__ import annotations

from dataclasses import replace

from sidecar.decide.claims import Claims, claims, seats_of
from sidecar.decide.conversation import agent_name
from sidecar.flow.ports import Book, Host
from sidecar.flow.ward import Case, Ward
from sidecar.model.conversation import Seat
from sidecar.model.session import Presence, SavedPane, SessionImage


async def gather_claims(ward: Ward, book: Book, host: Host, case: Case, image: SessionImage | None) -> Claims:
    """The claims of all panes, there or to come back; of none where ``image`` holds no agent."""
    if image is None or not any(map(_holds_agent, _panes(image))):
        return Claims()
    seats = _own_seats(case, image)
    seats.extend(_live_seats(ward, case.session))
    there = {seat.session for seat in seats}
    for name, entry in tuple(ward.expected.items()):
        if name in there:
            continue
        if entry.session is not None:
            seats.extend(seats_of(entry.session, [pane.id for pane in entry.session.panes()]))
        elif (checkpoint := await book.newest_checkpoint(name)) is not None:
            seats.extend(seats_of(checkpoint.image))
    return claims(seats, await host.transcripts(image))


def _own_seats(case: Case, image: SessionImage) -> list[Seat]:
    """The case's session: as it is to come back, or as it is now with its broken panes away."""
    order = case.order
    if case.before is None or (order is not None and order.window is None):
        return seats_of(image)
    if order is not None:
        windows = tuple(window for window in image.windows if window.index == order.window)
        return [*seats_of(case.before), *seats_of(replace(image, windows=windows))]
    return seats_of(case.before, [part.pane for part in case.finding.failure.broken])


def _live_seats(ward: Ward, but: str) -> list[Seat]:
    look = ward.look
    if look.presence is not Presence.PRESENT:
        return []
    # A linked window shows the same panes in several sessions, and shares nothing with itself.
    seen = {pane.id for session in look.sessions if session.name == but for pane in session.panes()}
    seats: list[Seat] = []
    for session in look.sessions:
        # One that is being healed has a claim to what it held before, which is not there yet.
        if session.name == but or session.name in ward.cases:
            continue
        panes = [pane.id for pane in session.panes()]
        seats.extend(seat for seat, pane in zip(seats_of(session), panes, strict=True) if pane not in seen)
        seen.update(panes)
    return seats


def _holds_agent(pane: SavedPane) -> bool:
    return bool(pane.conversation or agent_name(pane.program) or agent_name(pane.argv))


def _panes(image: SessionImage) -> list[SavedPane]:
    return [pane for window in image.windows for pane in window.panes]
