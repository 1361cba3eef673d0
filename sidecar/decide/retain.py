"""Which checkpoints a session keeps, and which captures may become one.

The worst that a tool of this kind can do is to store nothing over something. So the newest
generation is never removed, and a capture from a server that is still filling is held back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sidecar.model.policy import Retention
from sidecar.model.record import Generation, HoldBack, HoldBackReason
from sidecar.model.session import Checkpoint, SessionImage

_HOUR = 3_600.0
_DAY = 86_400.0


def keep(generations: Sequence[Generation], retention: Retention, now: float) -> frozenset[int]:
    """Ids of the generations to keep; the rest may go.

    Kept are the latest ``retention.latest``, the newest of each hour for ``hourly_for`` seconds and
    the newest of each day for ``max_age`` seconds. Where these are more than ``max_bytes``, the
    oldest go first; what several of them share counts once. Age is told by the wall clock, order by
    the id: a clock that was set back cannot make an old generation the newest.
    """
    newest_first = sorted(generations, key=lambda generation: generation.id, reverse=True)
    wanted = {generation.id for generation in newest_first[: max(retention.latest, 1)]}
    wanted.update(_newest_per(newest_first, _HOUR, retention.hourly_for, now))
    if retention.days:
        wanted.update(_newest_per(newest_first, _DAY, retention.max_age, now))
    return _within(
        [generation for generation in newest_first if generation.id in wanted], retention.max_bytes
    )


def admit(
    candidate: SessionImage,
    candidate_instance: str,
    newest: Checkpoint | None,
    session_age: float,
    settle: float = 60.0,
) -> HoldBack | None:
    """Whether a capture may become the newest good checkpoint: None if so, else why not.

    ``session_age`` and ``settle`` are seconds. A smaller session is believed at once when it is the
    same one that was stored before; one made anew under its name has to be ``settle`` seconds old,
    since whatever starts it may still be building it up.
    """
    if not candidate.windows or not all(window.panes for window in candidate.windows):
        what = "a window without panes" if candidate.windows else "no windows"
        return HoldBack(HoldBackReason.EMPTY, f"the capture of {candidate.name} has {what}")
    if newest is None or candidate_instance == newest.instance or not _smaller(candidate, newest.image):
        return None
    # A start far in the future means that the clock was set, and says nothing about the session.
    if abs(session_age) >= settle:
        return None
    return HoldBack(
        HoldBackReason.JUST_STARTED,
        f"{candidate.name} was started {max(session_age, 0.0):.0f} s ago and has {_extent(candidate)}; "
        f"the newest checkpoint has {_extent(newest.image)}",
    )


def _newest_per(
    newest_first: Sequence[Generation], bucket: float, period: float, now: float
) -> Iterator[int]:
    seen: set[float] = set()
    for generation in newest_first:
        slot = generation.taken // bucket
        if now - generation.taken <= period and slot not in seen:
            seen.add(slot)
            yield generation.id


def _within(newest_first: Sequence[Generation], max_bytes: int) -> frozenset[int]:
    kept: list[int] = []
    counted: set[str] = set()
    total = 0
    for generation in newest_first:
        fresh = {key: size for key, size in generation.texts if key not in counted}
        total += generation.size + sum(fresh.values())
        if kept and total > max_bytes:
            break
        kept.append(generation.id)
        counted.update(fresh)
    return frozenset(kept)


def _smaller(candidate: SessionImage, stored: SessionImage) -> bool:
    return candidate.pane_count < stored.pane_count or len(candidate.windows) < len(stored.windows)


def _extent(image: SessionImage) -> str:
    return f"{len(image.windows)} windows and {image.pane_count} panes"
