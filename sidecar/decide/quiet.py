"""What is quiet now, and until when, by our own silences and windows. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence

from sidecar.decide.by_hand import asking
from sidecar.decide.wall import age
from sidecar.decide.window import open_until
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.quiet import LONGEST, SHORTEST, Hush, QuietKind, Silence, SilenceRequest, Window, among

_LONGEST_TARGET = 255
_LONGEST_REASON = 500


def in_force(windows: Iterable[Window], silences: Iterable[Silence], now: float) -> tuple[Hush, ...]:
    """Everything of ours that keeps quiet now, as wall seconds have it; what lasts longest comes first."""
    found = [
        Hush(QuietKind.SILENCE, str(one.id), (one.target,), until, one.hold, one.reason)
        for one in silences
        if (until := ends(one, now)) > now
    ]
    found += [
        Hush(QuietKind.WINDOW, window.name, window.sessions, closes, window.hold, window.reason)
        for window in windows
        if (closes := open_until(window, now)) is not None
    ]
    return tuple(sorted(found, key=lambda hush: -hush.until))


def ends(silence: Silence, now: float) -> float:
    """When a silence ends. However the clock is set, it never lasts longer from now on than it was meant to.

    One that is set far back ends it: people hear too much rather than nothing.
    """
    return min(silence.until, now + max(silence.length - age(silence.begun, now, silence.length), 0.0))


def fault(asked: SilenceRequest) -> str:
    """What is wrong with a request, in one sentence; empty if nothing is."""
    if not asked.target or len(asked.target) > _LONGEST_TARGET or not asked.target.isprintable():
        return f"a name has to be printable, and 1 to {_LONGEST_TARGET} characters long"
    if not SHORTEST <= asked.seconds <= LONGEST:
        return f"a silence lasts {SHORTEST:g} s to {LONGEST / 86_400:g} days, and {asked.seconds:g} s is not"
    if len(asked.reason) > _LONGEST_REASON:
        return f"a reason has {_LONGEST_REASON} characters at most, and this one has {len(asked.reason)}"
    return ""


def near(target: str, known: Collection[str]) -> tuple[str, ...]:
    """Names that are almost this one."""
    return tuple(difflib.get_close_matches(target[:_LONGEST_TARGET], sorted(known), n=3, cutoff=0.6))


def covering(hushes: Iterable[Hush], session: str, check: str = "") -> Hush | None:
    """What keeps this session, or this check, quiet for longest."""
    return next((hush for hush in hushes if hush.covers(session, check)), None)


def holding(hushes: Iterable[Hush], session: str, check: str = "") -> Hush | None:
    """What wants nothing done about this session, or this check, for longest."""
    return covering((hush for hush in hushes if hush.hold), session, check)


def covered(hushes: Iterable[Hush], sessions: Iterable[str]) -> Mapping[str, Hush]:
    """Of these sessions, those that are quiet, each with what keeps it so for longest."""
    found: dict[str, Hush] = {}
    left = list(sessions)
    for hush in hushes:
        for target in hush.targets:
            some = set(among(target, left))
            found.update(dict.fromkeys(some, hush))
            left = [name for name in left if name not in some]
    return found


def under_maintenance(session: str, hush: Hush, now: float) -> Refusal:
    """The answer to whoever wants something done by itself while a person works on it."""
    why = f": {hush.reason}" if hush.reason else ""
    name = session or "the tmux server"
    passes = (
        f"`{asking('recover', session)}` passes it." if session else "It is looked at again when that ends."
    )
    return Refusal(
        RefusalReason.MAINTENANCE,
        f"{name} is held by {hush}{why}",
        hint=passes,
        retry_after=max(hush.until - now, 1.0),
    )


def until_next(hushes: Sequence[Hush], now: float, longest: float) -> float:
    """Seconds until something of this ends, or ``longest`` if that comes first."""
    return max(min([longest, *(hush.until - now for hush in hushes)]), 0.0)
