"""Rules for programs against each other and against what is managed: which of them make no sense together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from sidecar.config import SessionSettings
from sidecar.decide.contradict import same_pane, unmanaged
from sidecar.decide.globs import meet
from sidecar.model.supervise import ProgramRule


def labels(rules: Sequence[ProgramRule]) -> tuple[str, ...]:
    """What each rule is called."""
    return tuple(rule.name or f"programs[{number}]" for number, rule in enumerate(rules))


def miscast(rules: Sequence[ProgramRule], sessions: SessionSettings) -> Iterator[tuple[int, str]]:
    """Which rule, by its place, and the sentence why."""
    for number, rule in enumerate(rules):
        if reason := unmanaged(rule.session, sessions):
            yield number, f"{reason}: it would never restart anything"
        for word in rule.after:
            if not _meant(word, rules):
                yield number, f"comes after {word!r}, which no rule of `programs` is about"
    for (first, one), (second, other) in combinations(enumerate(rules), 2):
        if one.name and one.name == other.name:
            yield second, f"has the name of programs[{first}], {one.name!r}; a name tells rules apart"
        elif same_pane(one, other):
            yield (
                second,
                f"can be about the same pane as programs[{first}], and only one rule can be followed; "
                "name different sessions, windows or panes",
            )
    yield from _circles(rules)


def _meant(word: str, rules: Sequence[ProgramRule]) -> frozenset[int]:
    """The rules, by their places, that a word of ``after`` is about."""
    return frozenset(number for number, rule in enumerate(rules) if means(word, rule))


def means(word: str, rule: ProgramRule) -> bool:
    """Whether a word of ``after`` can be about a pane of this rule."""
    session, colon, rest = word.partition(":")
    if not colon:
        return word == rule.name
    window, _, pane = rest.rpartition(".")
    named = not rule.window or rule.window.isdigit() is not window.isdigit() or meet(rule.window, window)
    return rule.speaks_of(session) and named and rule.pane in (None, int(pane))


def _circles(rules: Sequence[ProgramRule]) -> Iterator[tuple[int, str]]:
    """Rules that wait for themselves, each circle once: at its first rule."""
    names = labels(rules)
    follows = {
        number: frozenset[int]().union(*(_meant(word, rules) for word in rule.after))
        for number, rule in enumerate(rules)
    }
    told: set[int] = set()
    for number in follows:
        path = _way_back(number, follows) if number not in told else ()
        if path:
            told.update(path)
            yield number, f"waits for itself: {' after '.join(names[one] for one in (*path, number))}"


def _way_back(start: int, follows: dict[int, frozenset[int]]) -> tuple[int, ...]:
    """The shortest way from a rule to itself; empty where there is none."""
    ways: list[tuple[int, ...]] = [(start,)]
    seen = {start}
    while ways:
        way = ways.pop(0)
        for following in sorted(follows[way[-1]]):
            if following == start:
                return way
            if following not in seen:
                seen.add(following)
                ways.append((*way, following))
    return ()
