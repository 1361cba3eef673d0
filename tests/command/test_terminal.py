"""Text for terminals: aligned, and unable to act on them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.terminal import Cell, age, brief, colour_allowed, safe, shortened, table


@given(st.text(st.characters()))
def test_safe_text_is_printable_and_encodable(text: str) -> None:
    assert safe(text).isprintable()
    assert safe(text).encode().decode() == safe(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a b é 日", "a b é 日"),
        ("\x1b[31m\x9b\t\n", "\\x1b[31m\\x9b\\t\\n"),
        ("\u202e\ud800", "\\u202e\\ud800"),
    ],
)
def test_safe(text: str, shown: str) -> None:
    assert safe(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("abcd", "abcd"),
        ("abcde", "abc…"),
        ("日本語", "日…"),
        ("ab\n", "ab\\n"),
        ("a\n\n", "a\\n…"),
        ("🙂🙂", "🙂🙂"),
    ],
)
def test_shortened(text: str, shown: str) -> None:
    assert shortened(text, 4) == shown


def test_a_long_name_leaves_room_for_the_other_columns() -> None:
    assert brief("n" * 1000) == "n" * 39 + "…"
    assert brief("web") == "web"


def test_table() -> None:
    shown = table(("A", "LONG", "C"), [("日", "x", ""), ("e\u0301", Cell("y", "red"), "z")])
    assert shown == "A   LONG  C\n日  x\ne\u0301   \x1b[31my\x1b[0m     z"


@pytest.mark.parametrize(
    ("then", "shown"),
    [
        (0.0, "-"),
        (1_000_000.0, "now"),
        (1_000_009.0, "now"),
        (999_941.0, "59s ago"),
        (999_940.0, "1m ago"),
        (992_800.0, "2h ago"),
        (1.0, "11d ago"),
    ],
)
def test_age(then: float, shown: str) -> None:
    assert age(then, 1_000_000.0) == shown


def test_no_color(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert colour_allowed() is None
    monkeypatch.setenv("NO_COLOR", "1")
    assert colour_allowed() is False
