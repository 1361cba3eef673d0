"""How many steps a search in a text takes at most. An upper bound: what it allows is quick for certain."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sidecar.regexes import tree

MOST = 1e300
"""Beyond any hope."""


def steps(pattern: str, text: str) -> float:
    """The most steps that searching ``text`` can take; a step is a few nanoseconds.

    Raises:
        re.error: it is no expression.
    """
    sequence = tree.parsed(pattern)
    bound = _Bound(text, sequence.state)
    tries = bound.sequence(sequence, 0) * _size(pattern)
    return min(_beginnings(pattern, text) * tries + len(text), MOST)


@lru_cache(maxsize=256)
def _size(pattern: str) -> int:
    return len(pattern) + 1


def _beginnings(pattern: str, text: str) -> int:
    """At how many places a search may go on beyond its first character."""
    word = _first_word(pattern)
    # One that overlaps itself may begin at each of its characters.
    return (text.count(word) + 1) * len(word) if word else len(text) + 1


@lru_cache(maxsize=256)
def _first_word(pattern: str) -> str:
    """What every match begins with, literally."""
    sequence = tree.parsed(pattern)
    if sequence.state.flags & re.IGNORECASE:
        return ""
    word = []
    for operation, argument in sequence:
        if operation is not tree.LITERAL:
            break
        word.append(chr(argument))
    return "".join(word)


@dataclass(frozen=True, slots=True)
class _Bound:
    """In how many ways parts of an expression can be tried from one place of this text on."""

    text: str
    state: Any

    def sequence(self, items: Iterable[tree.Item], flags: int) -> float:
        ways = 1.0
        for item in items:
            ways = min(ways * self.item(item, flags), MOST)
        return ways

    def item(self, item: tree.Item, flags: int) -> float:
        operation, argument = item
        if operation in (tree.GREEDY, tree.LAZY, tree.POSSESSIVE):
            least, most, inner = argument
            return self.repeat(int(least), int(most), inner, flags)
        if operation is tree.BRANCH:
            return min(sum(self.sequence(one, flags) for one in argument[1]), MOST)
        if operation is tree.SUBPATTERN:
            _, added, _, inner = argument
            return self.sequence(inner, flags | added)
        if operation is tree.ATOMIC:
            return self.sequence(argument, flags)
        if operation in tree.ASSERTIONS:
            return self.sequence(argument[1], flags)
        if operation is tree.CONDITION:
            _, then, otherwise = argument
            return self.sequence(then, flags) + self.sequence(otherwise or (), flags)
        # What a group has matched is compared character by character.
        return len(self.text) + 1.0 if operation is tree.BACKWARD else 1.0

    def repeat(self, least: int, most: int, inner: Any, flags: int) -> float:
        ways = self.sequence(inner, flags)
        times = min(most, self.longest(inner, flags))
        if ways <= 1.0:
            return float(max(times - least, 0) + 1 + min(least, times))
        return MOST if times * math.log(ways) > 600 else min(2 * ways**times, MOST)

    def longest(self, inner: Any, flags: int) -> int:
        """How often it can be repeated at one place at most."""
        if len(inner) == 1 and inner[0][0] in tree.CHARACTERS:
            runs = tree.runs_of(inner[0], self.state, flags).finditer(self.text)
            return max((len(run[0]) for run in runs), default=0)
        shortest = int(inner.getwidth()[0])
        return len(self.text) // max(shortest, 1) + 1
