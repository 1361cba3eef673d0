"""What went while no sidecar watched, as far as the newest checkpoint tells of it."""

from __future__ import annotations

from collections.abc import Mapping

from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.session import Pane, SavedPane, Session, SessionImage


def gone_programs(live: Session, image: SessionImage) -> Mapping[tuple[int, int], str]:
    """Pane ids by place (window and pane index) where the same shell stands idle that had a program.

    ``image`` is of the same life of the session. A pane that has moved, or runs something, tells nothing.
    """
    saved = {(w.index, p.index): p for w in image.windows for p in w.panes if p.program}
    there = {(w.index, p.index): p for w in live.windows for p in w.panes}
    return {
        place: there[place].id
        for place, known in saved.items()
        if place in there and _stands_idle(there[place], known)
    }


def idle(live: Session | None, pane_id: str) -> bool:
    """Whether the pane is there, lives, and has nothing in front of its shell."""
    panes = live.panes() if live else ()
    return any(pane.id == pane_id and not pane.dead and pane.program is None for pane in panes)


def unseen(name: str, panes: tuple[str, ...], first_sign: float) -> Finding:
    """Nobody saw these programs go: a person may have ended them, so they are held and offered."""
    facts = tuple(
        Evidence("record", f"a program ran in {pane} when it was stored last, and went unseen")
        for pane in panes
    )
    parts = tuple(Broken(Unit.PROGRAM, pane) for pane in panes)
    failure = Failure(name, FailureKind.CRASHED, parts, first_sign)
    return Finding(failure, Cause.UNKNOWN, Intent.UNKNOWN, facts, f"absence {name}@{first_sign:.6f}")


def _stands_idle(pane: Pane, known: SavedPane) -> bool:
    same = (pane.argv, pane.start_command) == (known.argv, known.start_command)
    return same and not pane.dead and pane.program is None
