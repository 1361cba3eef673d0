"""Two patterns meet where some name matches both."""

from __future__ import annotations

from fnmatch import fnmatchcase
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.globs import meet

NAMES = ["".join(letters) for length in range(5) for letters in product("ab", repeat=length)]
patterns = st.text("ab*?", max_size=4)


@given(patterns, patterns)
def test_they_meet_where_a_name_matches_both(one: str, other: str) -> None:
    # Whatever two such patterns can both match, one of these names is like it, but where both need letters
    # of their own at both ends.
    common = any(fnmatchcase(name, one) and fnmatchcase(name, other) for name in NAMES)
    assert meet(one, other) == meet(other, one)
    assert meet(one, other) or not common
    if len(one) + len(other) <= 5:
        assert meet(one, other) is common


@pytest.mark.parametrize(
    ("one", "other", "answer"),
    [
        ("train-*", "train-1", True),
        ("train-*", "*-gpu", True),
        ("train-*", "web", False),
        ("train-[12]", "train-3", False),
        ("train-[12]", "train-2", True),
        ("[!a]*", "abc", False),
        ("[ab]", "[cd]", True),
        ("[[]odd", "[[]odd", True),
        ("*", "", True),
        ("a*b*c", "abc", True),
        ("a*b*c", "ac", False),
    ],
)
def test_patterns(one: str, other: str, answer: bool) -> None:
    assert meet(one, other) is answer
    assert meet(other, one) is answer
