"""What is said of expressions, against a matcher that counts its steps as Python's own takes them."""

from __future__ import annotations

import asyncio
import re
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sidecar.edges.probes import search
from sidecar.regexes import tree
from sidecar.regexes.ambiguity import endless_on
from sidecar.regexes.cost import steps

ENDLESS = (
    "(a+)+$", "(a|a)*b", "(.*a){20}", "(a*)*b", "(a|aa)+$", r"(\w+\s?)+!", r"^(\d+)*$", r"([a-z]+)*\d",
    "(x+x+)+y", "(a|b|ab)*c", "(?:a|a)+b", "^(([a-z])+.)+[A-Z]([a-z])+$", "(.*)*x", "(a{1,3}){1,30}b",
    r"(\s*\w*)*;", "(a+?)+?b", "^(a|(b|a))*$", "([^,]*,?)+;",
)  # fmt: skip
HARMLESS = (
    "", "ok", "ok|up", '"state": *"ok"', r"\d+", "a*b", ".*foo.*bar", "(a+)+", r"(\w+\s?)+", "(a|b)*c",
    "(ab?)*c", r"^\S+ \S+ \S+$", r"(\d{1,3}\.){3}\d{1,3}", "([0-9a-f]{1,4}:){7}[0-9a-f]{1,4}", "(?s)(.|.)*$",
    r"[a-z]+@[a-z]+\.[a-z]+", "(foo|bar)+baz", r'^(?:(?:[^"\\]|\\.)*)$', "(a|ab)(c|bcd)(d*)", r"(\w+,)*\w+$",
    r"(\w+\.)+com", "^$", "(error|warn(ing)?)+:", "(a|b)+(a|b)+c", "(?i)error.*timeout", r"(\d|\w)+$",
    r"^\d{4}-\d\d-\d\dT[\d:.]+Z (INFO|WARN) .*$", "(a?){10}b", r"\b(up|running)\b", r"(['\"]).*\1",
    "(?<=ready )in [0-9.]+ ?s", "(?:a++)+$", "(?>a+)+$", ".*.*=.*", r"(?m)^ERROR\b.*$", "(a|b|)*c",
)  # fmt: skip


MOST = 30_000
"""Steps that are counted."""


class Counter:
    """Matches by trying everything in Python's order, and counts what it tries."""

    def __init__(self, pattern: str, most: int) -> None:
        self.sequence = tree.parsed(pattern)
        self.most = most
        self.steps = 0
        self.known: dict[tuple[int, str], bool] = {}

    def search(self, text: str) -> bool:
        return any(
            self.match(list(self.sequence), text, start, lambda _: True) for start in range(len(text) + 1)
        )

    def takes(self, item: Any, sign: str) -> bool:
        known = self.known.get((id(item), sign))
        if known is None:
            one = tree.compiled([item], self.sequence.state)
            known = self.known[id(item), sign] = bool(one.fullmatch(sign))
        return known

    def match(self, items: Sequence[Any], text: str, place: int, then: Callable[[int], bool]) -> bool:
        self.steps += 1
        if self.steps > self.most:
            raise OverflowError
        if not items:
            return then(place)
        (operation, argument), rest = items[0], items[1:]

        def on(there: int) -> bool:
            return self.match(rest, text, there, then)

        if operation in tree.CHARACTERS:
            return place < len(text) and self.takes(items[0], text[place]) and on(place + 1)
        if operation is tree.SUBPATTERN:
            return self.match(list(argument[3]), text, place, on)
        if operation is tree.BRANCH:
            return any(self.match(list(one), text, place, on) for one in argument[1])
        if operation is tree.AT:
            return (place == 0 if argument in tree.BEGINNINGS else place == len(text)) and on(place)
        least, most, inner = argument
        return self.repeat(int(least), int(most), list(inner), operation is tree.LAZY, text, place, on, 0)

    def repeat(
        self, least: int, most: int, inner: list[Any], lazy: bool, text: str, place: int,
        on: Callable[[int], bool], done: int,
    ) -> bool:  # fmt: skip
        def again() -> bool:
            return done < most and self.match(
                inner, text, place,
                lambda there: (there != place or done < least)
                and self.repeat(least, most, inner, lazy, text, there, on, done + 1),
            )  # fmt: skip

        if done < least:
            return again()
        return on(place) or again() if lazy else again() or on(place)


def count(pattern: str, text: str, most: int = MOST) -> int:
    counter = Counter(pattern, most)
    try:
        counter.search(text)
    except OverflowError:
        return most
    return counter.steps


@pytest.mark.parametrize("pattern", ENDLESS)
def test_what_plainly_takes_for_ever(pattern: str) -> None:
    assert endless_on(pattern)
    short, long = (count(pattern, endless_on(pattern, rounds)) for rounds in (2, 6))
    # Four rounds more: nearly 16 times as many, where nothing is in the way.
    assert long == MOST or long > 4 * short


@pytest.mark.parametrize("pattern", HARMLESS)
def test_what_does_not(pattern: str) -> None:
    re.compile(pattern)
    assert endless_on(pattern) == ""


EXPRESSIONS = st.recursive(
    st.sampled_from(["a", "b", ".", "[ab]", "[^b]", "ab", ""]),
    lambda inner: st.one_of(
        st.builds("({})*".format, inner),
        st.builds("({})+?".format, inner),
        st.builds("({}){{1,3}}".format, inner),
        st.builds("({})?".format, inner),
        st.builds("({}|{})".format, inner, inner),
        st.builds("{}{}".format, inner, inner),
        st.builds("{}*{}".format, st.sampled_from(["a", "b", "."]), inner),
    ),
    max_leaves=6,
)


@given(EXPRESSIONS, st.sampled_from(["", "$", "c"]))
def test_whatever_is_refused_doubles(expression: str, end: str) -> None:
    pattern = expression + end
    text = endless_on(pattern, 12)
    assert not text or count(pattern, text) >= 2_000, (pattern, text)


@given(EXPRESSIONS, st.text(alphabet="abc\n", max_size=8))
def test_a_search_takes_no_more_steps_than_are_told(expression: str, text: str) -> None:
    taken = count(expression, text, 20_000)
    assert taken <= steps(expression, text), (expression, text)


@given(st.lists(st.sampled_from([r"\d+", r"\w*", ".*", " ", ":", "error", "[a-z]+", r"\s?", "x{2,5}"])))
def test_repeats_one_after_another_are_never_refused(parts: list[str]) -> None:
    assert endless_on("".join(parts)) == ""
    assert endless_on("^" + "".join(parts) + "$") == ""


@given(st.lists(st.text(alphabet="abc", min_size=1, max_size=4), min_size=1, max_size=5, unique=True))
def test_words_that_end_alike_are_never_refused(words: list[str]) -> None:
    assert endless_on(f"({';|'.join(words)};)*$") == ""


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_none(text: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            re.compile(text)
        except (re.error, OverflowError, RecursionError):
            return
    endless_on(text)
    assert steps(text, "some text\nof two lines") > 0


@pytest.mark.parametrize(
    ("pattern", "text", "quick"),
    [
        ("ok", "y" * 65_536, True),
        ('"state": *"ok"', '{"state": "ok"}' * 100, True),
        (r"\d+%", "x" * 10_000 + " 99%", True),
        (r"error: \w+", "\n".join(["x" * 200] * 50), True),
        ("a.*b", "a" * 65_536, False),
        (r"(\w+\s?)+!", "some words", False),
        (r"(['\"]).*\1", "'" * 10_000, False),
        ("(?i)error.*timeout", "lorem ipsum\n" * 100, True),
    ],
)
def test_what_is_searched_at_once(pattern: str, text: str, quick: bool) -> None:
    assert search.is_quick(pattern, [text]) is quick


HOSTILE = ("a" * 65_536, "ab" * 32_768, "a " * 32_768, "aaa\n" * 16_384, "0" * 65_535 + "!")


@pytest.mark.parametrize("pattern", ["a.*b.*c", "(a?){10}b", "(a|b)+(a|b)+c", r"(\w+,)*\w+$"])
async def test_what_is_accepted_ends_in_time_on_any_text(pattern: str) -> None:
    """In a process of its own, which is ended."""
    async with asyncio.timeout(60):
        found = [await search.found(pattern, text, 0.2) for text in HOSTILE]
    assert set(found) <= {None, True, False}
