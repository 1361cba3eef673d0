"""An expression as an automaton without silent moves, with the number of ways in which each move can be made.

Its places are the characters of the expression; repeats with a small limit are written out, those with a
large one count as endless. Counts end at two: more than one is all that matters.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sidecar.regexes import tree

LARGE = 16
"""Repeats from which on a limit is as good as none."""
_PLACES = 200
_SAMPLES = "".join(map(chr, range(128))) + "\u00a0\u00e9\u00df\u2028\u65e5"
"""Characters that stand for all."""


class TooHard(Exception):
    """It has something that is not looked into: back references, assertions, anchors within, too much."""


@dataclass(frozen=True, slots=True)
class Automaton:
    """Places are numbers; characters are sets of :data:`_SAMPLES`, as bits."""

    takes: Sequence[int]
    first: Mapping[int, int]
    """Places where a match may begin, with the number of ways."""
    last: Mapping[int, int]
    """Places where it may end."""
    moves: Mapping[tuple[int, int], int]
    empty: bool
    """Whether nothing at all matches."""
    anchored: bool
    """Whether it has to end where the text ends."""


def samples(characters: int) -> str:
    """The characters of a set."""
    return "".join(one for number, one in enumerate(_SAMPLES) if characters >> number & 1)


def built(pattern: str) -> Automaton:
    """The automaton of an expression.

    Raises:
        TooHard: there is none.
        re.error: it is no expression.
    """
    sequence = tree.parsed(pattern)
    items = list(sequence)
    while items and items[0][0] is tree.AT and items[0][1] in tree.BEGINNINGS:
        del items[0]
    anchored = bool(items) and items[-1][0] is tree.AT and items[-1][1] in tree.ENDS
    builder = _Builder(sequence.state)
    part = builder.sequence(items[:-1] if anchored else items, 0)
    return Automaton(builder.takes, part.first, part.last, builder.moves, part.empty > 0, anchored)


@dataclass(frozen=True, slots=True)
class _Part:
    first: Counter[int]
    last: Counter[int]
    empty: int
    """In how many ways it matches nothing."""


_NOTHING = _Part(Counter(), Counter(), 1)


@dataclass(slots=True)
class _Builder:
    state: Any
    takes: list[int] = field(default_factory=list)
    moves: Counter[tuple[int, int]] = field(default_factory=Counter)

    def sequence(self, items: Iterable[tree.Item], flags: int) -> _Part:
        whole = _NOTHING
        for item in items:
            whole = self.joined(whole, self.item(item, flags))
        return whole

    def joined(self, one: _Part, other: _Part) -> _Part:
        self.connect(one.last, other.first)
        return _Part(
            _sum(one.first, _times(other.first, one.empty)),
            _sum(other.last, _times(one.last, other.empty)),
            min(one.empty * other.empty, 2),
        )

    def connect(self, ends: Counter[int], beginnings: Counter[int]) -> None:
        for end, there in ends.items():
            for beginning, here in beginnings.items():
                self.moves[end, beginning] = min(self.moves[end, beginning] + there * here, 2)

    def item(self, item: tree.Item, flags: int) -> _Part:
        operation, argument = item
        if operation in tree.CHARACTERS:
            return self.place(item, flags)
        if operation is tree.BRANCH:
            parts = [self.sequence(one, flags) for one in argument[1]]
            first, last = Counter[int](), Counter[int]()
            for part in parts:
                first, last = _sum(first, part.first), _sum(last, part.last)
            return _Part(first, last, min(sum(part.empty for part in parts), 2))
        if operation is tree.SUBPATTERN and not argument[2]:
            return self.sequence(argument[3], flags | argument[1])
        if operation in (tree.GREEDY, tree.LAZY):
            least, most, inner = argument
            return self.repeat(int(least), int(most), inner, flags)
        raise TooHard(str(operation))

    def place(self, item: tree.Item, flags: int) -> _Part:
        if len(self.takes) >= _PLACES:
            raise TooHard("too many places")
        self.takes.append(_characters(self.state, item, flags))
        number = len(self.takes) - 1
        return _Part(Counter({number: 1}), Counter({number: 1}), 0)

    def repeat(self, least: int, most: int, inner: Any, flags: int) -> _Part:
        if most >= LARGE:
            part = self.sequence(inner, flags)
            self.connect(part.last, part.first)
            # Until it has been there often enough, nobody gets past it.
            last = part.last if least < LARGE else Counter[int]()
            return _Part(part.first, last, part.empty if least else 1)
        whole = _NOTHING
        for number in range(most):
            # From the end: each further one may be left out with all behind it.
            one = self.sequence(inner, flags)
            whole = self.joined(one, whole)
            if number < most - least:
                whole = _Part(whole.first, whole.last, 1)
        return whole


def _sum(one: Counter[int], other: Counter[int]) -> Counter[int]:
    return Counter({place: min(one[place] + other[place], 2) for place in {*one, *other}})


def _times(one: Counter[int], factor: int) -> Counter[int]:
    return Counter({place: min(count * factor, 2) for place, count in one.items()} if factor else {})


def _characters(state: Any, item: tree.Item, flags: int) -> int:
    return _taken(tree.compiled([item], state, flags))


@lru_cache(maxsize=512)
def _taken(one: Any) -> int:
    return sum(1 << number for number, sample in enumerate(_SAMPLES) if one.fullmatch(sample))
