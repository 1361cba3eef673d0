"""Heartbeat rules against each other and against what is managed: which of them make no sense together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from sidecar.config import SessionSettings
from sidecar.decide.globs import meet
from sidecar.model.heartbeat import Heartbeat
from sidecar.model.supervise import ProgramRule

_PLAIN = frozenset("*?[")


def contradictions(rules: Sequence[Heartbeat], sessions: SessionSettings) -> Iterator[tuple[int, str]]:
    """Which rule, by its place, and the sentence why."""
    for number, rule in enumerate(rules):
        if reason := unmanaged(rule.session, sessions):
            yield number, f"{reason}: it could never be missed"
    for (first, one), (second, other) in combinations(enumerate(rules), 2):
        if one.name and one.name == other.name:
            yield second, f"has the name of heartbeats[{first}], {one.name!r}; a name tells rules apart"
        if set(one.may) != set(other.may) and same_pane(one, other):
            yield (
                second,
                f"allows {_words(other)} where heartbeats[{first}] allows {_words(one)}, and both can be "
                "about the same pane; let both allow the same, or name different windows or panes",
            )


def _words(rule: Heartbeat) -> str:
    return " and ".join(sorted(rule.may)) or "nothing"


def same_pane(one: Heartbeat | ProgramRule, other: Heartbeat | ProgramRule) -> bool:
    """Whether two rules can be about the same pane."""
    panes = None in (one.pane, other.pane) or one.pane == other.pane
    return panes and meet(one.session, other.session) and _windows_meet(one.window, other.window)


def _windows_meet(one: str, other: str) -> bool:
    # An index may be the index of any window, whatever that is called.
    return not one or not other or one.isdigit() is not other.isdigit() or meet(one, other)


def unmanaged(session: str, sessions: SessionSettings) -> str:
    """Why no session of this glob is looked after; empty where one can be."""
    if not any(meet(session, glob) for glob in sessions.manage):
        return f"is about {session!r}, which sessions.manage leaves out"
    if any(_covers(glob, session) for glob in sessions.ignore):
        return f"is about {session!r}, which sessions.ignore takes out"
    return ""


def _covers(wide: str, narrow: str) -> bool:
    """Whether every name of the second pattern is one of the first; False where that is not plain."""
    if not _PLAIN & set(narrow):
        return meet(wide, narrow)
    return wide == narrow or (not set("?[") & set(wide) and meet(wide, narrow) and _as_text(wide, narrow))


def _as_text(wide: str, narrow: str) -> bool:
    """Stars take whatever the narrower pattern has at their place."""
    first, *others = wide.split("*")
    if not narrow.startswith(first):
        return False
    place = len(first)
    for part in others[:-1]:
        found = narrow.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return bool(others) and narrow.endswith(others[-1]) and len(narrow) - len(others[-1]) >= place
