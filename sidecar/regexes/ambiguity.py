"""Expressions that plainly take for ever: what repeats in them can match the same text in several ways.

With each further character such a text doubles the ways, and where the text does not match in the end, all of
them are tried. Every expression that is named here comes with such a text; what is not named may still be
slow, and is only not proven to be.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TypeVar

from sidecar.regexes.automaton import Automaton, TooHard, built, samples

_LOOP = 64
"""Places of a loop that is looked into."""
_ROUNDS = 30
_ENDS = "!a0 _-"
"""Characters that may be none that can follow."""

N = TypeVar("N")
Pair = tuple[int, int]


def endless_on(pattern: str, rounds: int = _ROUNDS) -> str:
    """A text on which a search takes twice as long with each round more; empty if none is known.

    Raises:
        re.error: it is no expression.
    """
    try:
        machine = built(pattern)
    except (TooHard, RecursionError):
        return ""
    for start, repeated in _loops(machine):
        beginning = _way(machine, start)
        end = _failing_end(machine, beginning, repeated)
        if end is not None:
            return beginning + repeated * rounds + end
    return ""


def _loops(machine: Automaton) -> Iterator[tuple[int, str]]:
    """Places from which a text leads back to them in two ways, with that text."""
    following = _following(machine)
    for loop in _components(following):
        if len(loop) > _LOOP:
            continue
        inside = {one: [other for other in following[one] if other in loop] for one in loop}
        yield from _by_double_move(machine, inside)
        yield from _by_two_paths(machine, inside)


def _following(machine: Automaton) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {place: [] for place in range(len(machine.takes))}
    for one, other in machine.moves:
        found[one].append(other)
    return found


def _by_double_move(machine: Automaton, inside: Mapping[int, list[int]]) -> Iterator[tuple[int, str]]:
    """One and the same move can be made in two ways, as in ``(a+)+``."""
    for one, others in inside.items():
        for other in others:
            if machine.moves[one, other] > 1:
                path = _path(other, one, inside)
                if path is not None:
                    yield one, _spelled([machine.takes[place] for place in path])


def _by_two_paths(machine: Automaton, inside: Mapping[int, list[int]]) -> Iterator[tuple[int, str]]:
    """Two paths that take the same characters part and meet again, as in ``(a|aa)+``."""
    takes = machine.takes
    graph: dict[Pair, list[Pair]] = {
        (one, other): [
            (next_one, next_other)
            for next_one in inside[one]
            for next_other in inside[other]
            if takes[next_one] & takes[next_other]
        ]
        for one in inside
        for other in inside
    }
    for component in _components(graph):
        same = next((pair for pair in component if pair[0] == pair[1]), None)
        apart = next((pair for pair in component if pair[0] != pair[1]), None)
        if same and apart:
            there = _path(same, apart, graph) or []
            back = _path(apart, same, graph) or []
            taken = [takes[one] & takes[other] for one, other in (*there[1:], *back[1:])]
            yield same[0], _spelled(taken)


def _path(start: N, goal: N, graph: Mapping[N, list[N]]) -> list[N] | None:
    """The shortest way, both ends included; of one place to itself, the place alone."""
    came: dict[N, N | None] = {start: None}
    queue = [start]
    for place in queue:
        if place == goal:
            way = [place]
            while (before := came[way[-1]]) is not None:
                way.append(before)
            return way[::-1]
        for following in graph[place]:
            if following not in came:
                came[following] = place
                queue.append(following)
    return None


def _components(graph: Mapping[N, list[N]]) -> Iterator[set[N]]:
    """What can reach each other (Tarjan), where that is more than a place that does not reach itself."""
    order: dict[N, int] = {}
    low: dict[N, int] = {}
    stack: list[N] = []
    settled: set[N] = set()
    for root in graph:
        work: list[tuple[N, Iterator[N]]] = [] if root in order else [(root, iter(graph[root]))]
        while work:
            place, following = work[-1]
            if place not in order:
                order[place] = low[place] = len(order)
                stack.append(place)
            further = next((one for one in following if one not in settled), None)
            if further is not None and further not in order:
                work.append((further, iter(graph[further])))
                continue
            if further is not None:
                low[place] = min(low[place], order[further])
                continue
            work.pop()
            if work:
                low[work[-1][0]] = min(low[work[-1][0]], low[place])
            if low[place] == order[place]:
                component = set(stack[stack.index(place) :])
                del stack[stack.index(place) :]
                settled |= component
                if len(component) > 1 or place in graph[place]:
                    yield component


def _spelled(taken: Iterable[int]) -> str:
    """A text of characters out of these sets, such as a person can read where there are any."""
    return "".join(
        min(samples(one), key=lambda sign: (not sign.isalnum(), sign == "\n", sign)) for one in taken
    )


def _way(machine: Automaton, goal: int) -> str:
    """A text that leads from the beginning to this place."""
    graph = _following(machine)
    ways = (_path(first, goal, graph) for first in machine.first)
    shortest = min((way for way in ways if way is not None), key=len)
    return _spelled(machine.takes[place] for place in shortest)


def _failing_end(machine: Automaton, beginning: str, repeated: str) -> str | None:
    """What has to follow so that nothing matches after all; None if something does."""
    text = beginning + repeated * _ROUNDS
    if not machine.anchored:
        reached = list(_reached(machine, text))
        # As soon as one way gets to the end of the expression, no other is tried.
        matches = machine.empty or any(place in machine.last for places in reached for place in places)
        return None if matches else ""
    if "\n" in text:
        return None
    for end in _ENDS:
        *_, places = _reached(machine, text + end)
        if not any(place in machine.last for place in places):
            return end
    return None


def _reached(machine: Automaton, text: str) -> Iterator[set[int]]:
    """Where a match from the beginning can be after each character."""
    following = _following(machine)
    places: Iterable[int] = machine.first
    for sign in text:
        there = {one for one in places if sign in samples(machine.takes[one])}
        yield there
        places = {other for one in there for other in following[one]}
