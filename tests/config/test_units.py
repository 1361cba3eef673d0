"""Durations, sizes and patterns as people write them."""

from __future__ import annotations

import fnmatch
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar import config_units as units
from sidecar.model.policy import AtOnce, Budget


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("200ms", 0.2), ("15s", 15.0), ("10m", 600.0), ("1h30m", 5400.0), ("7d", 604_800.0), ("1.5s", 1.5)],
)
def test_seconds(text: str, wanted: float) -> None:
    assert units.seconds(text) == pytest.approx(wanted)


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "5S", "1e3s", "-5s", "٥s", "5s\n", "5s 3m"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is no duration"):
        units.seconds(text)


@given(st.integers(0, 10**9))
def test_a_shown_duration_reads_back(milliseconds: int) -> None:
    assert units.seconds(units.show_seconds(milliseconds / 1000)) == pytest.approx(milliseconds / 1000)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [("0B", 0), ("1kB", 1_000), ("64KiB", 65_536), ("1.5 MB", 1_500_000), ("2GiB", 2**31), ("1TB", 10**12)],
)
def test_size(text: str, wanted: int) -> None:
    assert units.size(text) == wanted


@pytest.mark.parametrize("text", ["", "5", "5M", "5mb", "-1MB", "1MB "])
def test_no_size(text: str) -> None:
    with pytest.raises(ValueError, match="is no size"):
        units.size(text)


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0B"), (999, "999B"), (1_000, "1kB"), (2_500_000, "2.5MB"), (10**15, "1000TB")]
)
def test_show_size(count: int, shown: str) -> None:
    assert units.show_size(count) == shown


def test_budget() -> None:
    assert units.budget("5 per 10m") == Budget(5, 600.0)


@pytest.mark.parametrize("text", ["5", "5 per", "per 10m", "x per 10m", "5 per 0s", "0 per 1s", "5 per 10"])
def test_no_budget(text: str) -> None:
    with pytest.raises(ValueError, match=r"budget|duration|allows nothing"):
        units.budget(text)


@pytest.mark.parametrize("text", ["a*", "[a]", "[!a]", "[]]", "[!]]", "[[]", "a]b", "[a][b]"])
def test_glob(text: str) -> None:
    assert units.glob(text) == text


@given(st.text("[]!ab", min_size=1))
def test_an_open_bracket_is_found_as_fnmatch_finds_it(pattern: str) -> None:
    matches_itself = re.search(r"(?<!\[)\\\[", fnmatch.translate(pattern))
    try:
        units.glob(pattern)
    except ValueError:
        assert matches_itself
    else:
        assert not matches_itself


@pytest.mark.parametrize("text", ["127.0.0.1:0", "localhost:9847", "[::1]:65535", "my-host.example:1"])
def test_address(text: str) -> None:
    assert units.address(text) == text


@pytest.mark.parametrize(
    "text", ["", ":1", "host", "host:", "::1:1", "[::1]", "a b:1", "h:-1", "h:65536", "[x]:1"]
)
def test_no_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|ports end"):
        units.address(text)


@pytest.mark.parametrize(
    ("text", "count", "share"),
    [("5", 5, 0.0), ("25%", 0, 0.25), ("5 or 25%", 5, 0.25), ("12.5 %", 0, 0.125), ("1 or 100%", 1, 1.0)],
)
def test_a_limit_at_once_is_a_count_a_share_or_both(text: str, count: int, share: float) -> None:
    assert units.at_once(text) == AtOnce(count, share)
    assert units.at_once(str(AtOnce(count, share))) == AtOnce(count, share)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0", "allows nothing"),
        ("0%", "allows nothing"),
        ("101%", "more than all"),
        *(
            (text, "neither a count nor a share")
            for text in ("", "x", "5 25%", "5 or", "or 5%", "-1", "5 per 10m")
        ),
    ],
)
def test_what_is_no_limit_at_once(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        units.at_once(text)
