"""Of all that old text may hold, only SGR acts on the terminal that it is printed to."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.model import sgr
from sidecar.model.printable import printable

_SGR = re.compile(r"\x1b\[[0-9;:]*m")
_FRAGMENTS = [
    b"\x1b[31m", b"\x1b[0m", b"\x1b[38;5;1", b"m", b"\x1b]8;;http://x\x1b\\", b"\x1b]0;t\x07", b"\x1b[2J",
    b"\x1bPq", b"\x1b\\", b"\x1b", b"[", b"\x9b", b"\xc2\x9b", b"\xc2", b"\x0e", b"\x0f", b"q", b"\n", b"\t",
    b"\r", b"\x00", b"\x7f", b"31m", "é".encode(), b"\xff", b"text",
]  # fmt: skip

_COLOURS = [b"\x1b[39m", b"\x1b[m", b"\x1b[1m", b"\x1b[38;5;208m", b"\x1b[48;2;1;2;3m", b"\x1b[0;31m"]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"plain\ttext\n", b"plain\ttext\n"),
        (b"", b""),
        (b"no newline", b"no newline"),
        ("é\n".encode(), "é\n".encode()),
        (b"\x1b[1;38;5;208mbold\x1b[0m\n", b"\x1b[1;38;5;208mbold\x1b[0m\n"),
        # A colour goes on in the next line, and fills nothing in between.
        (b"\x1b[41mred\nred\x1b[49m\nplain\n", b"\x1b[41mred\x1b[0m\n\x1b[41mred\x1b[49m\x1b[0m\nplain\n"),
        (b"a\x1b[2Jb\x1b[?1049hc\x1b[10;20Hd\x1b[6ne\n", b"abcde\n"),
        (b"\x1b]0;title\x07a\x1b]52;c;aGk=\x1b\\b\n", b"ab\n"),
        (b"\x1b]8;;http://there\x1b\\link\x1b]8;;\x1b\\\n", b"link\n"),
        (b"\x1bPtmux;\x1b\x1b[2J\x1b\\a\x1b_apc\x1b\\b\x1b^pm\x1b\\c\n", b"abc\n"),
        (b"a\x1b]0;no end\nb\n", b"a\nb\n"),
        (b"\x1bca\x1b(0b\x1b7c\x1b#8d\x1b\n", b"abcd\n"),
        ("a\x9b2Jb\x9d0;t\x9cc\x85d\n".encode(), b"abcd\n"),
        (b"a\rb\x08c\x07d\x00e\x7ff\n", b"abcdef\n"),
        (b"\xff\xfe\xe2\x82a\n", "\ufffd\ufffd\ufffda\n".encode()),
        (b"\x0elqqk\n\x78 x\x0fx\n", "┌──┐\n│ │x\n".encode()),
        (b"\x1b[>4;2m\x1b[?1m\x1b[1 ma\n", b"a\n"),
    ],
)
def test_what_becomes_of_a_text(text: bytes, wanted: bytes) -> None:
    assert printable(text) == wanted


@given(st.lists(st.one_of(st.sampled_from(_FRAGMENTS), st.binary(max_size=8))).map(b"".join))
def test_nothing_but_sgr_comes_through(text: bytes) -> None:
    shown = printable(text)
    rest = _SGR.sub("", shown.decode("utf-8"))
    assert not [char for char in rest if char < " " and char not in "\n\t"]
    assert not [char for char in rest if "\x7f" <= char <= "\x9f"]
    assert shown.count(b"\n") == text.count(b"\n")
    # What has been made harmless once stays what it is, but for the resets.
    assert _SGR.sub("", printable(shown).decode("utf-8")) == rest


@given(st.lists(st.sampled_from([b"\n", *_COLOURS, *_FRAGMENTS])).map(b"".join))
def test_no_colour_reaches_into_the_next_line(text: bytes) -> None:
    assert not any(map(sgr.carried, printable(text).split(b"\n")))


def test_a_long_text_is_made_harmless_to_its_end() -> None:
    lines = [b"\x1b[32mgreen\x1b[39m\n", b"\x1b[41mred\n", b"\x1b[2Jon\n", b"\x1b[0mplain\n"]
    shown = [lines[0], b"\x1b[41mred\x1b[0m\n", b"\x1b[41mon\x1b[0m\n", b"\x1b[41m\x1b[0mplain\x1b[0m\n"]
    found = printable(b"".join(lines * 2000))
    # Where each line is taken by itself, this one gets a reset that it does not need.
    assert found.replace(b"\x1b[39m\x1b[0m\n", b"\x1b[39m\n") == b"".join(shown * 2000)


@given(st.text(st.characters(codec="utf-8", exclude_categories=["Cc"])))
def test_words_stay_as_they_are(text: str) -> None:
    assert printable(text.encode()) == text.encode()


def test_a_long_line_stays_whole() -> None:
    line = b"\x1b[32m" + b"x" * 100_000
    assert printable(line + b"\n") == line + b"\x1b[0m\n"
