"""Texts in pieces, and the colours that go from one line to the next."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.model import sgr
from sidecar.model.scrollback import Manifest, Piece, StoredText, after_lines, assemble, decode, digest_of


def manifest_of(*texts: bytes, skip: int = 0) -> Manifest:
    return Manifest(tuple(Piece(digest_of(text), text.count(b"\n")) for text in texts), skip)


def read(manifest: Manifest, *texts: bytes) -> StoredText:
    return assemble(manifest.encode(), {digest_of(text): text for text in texts}.get)


_DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)


@given(st.lists(st.tuples(_DIGESTS, st.integers(0, 300))), st.integers(0))
def test_a_manifest_survives_its_blob(pieces: list[tuple[str, int]], skip: int) -> None:
    manifest = Manifest(tuple(Piece(*piece) for piece in pieces), skip)
    assert decode(manifest.encode()) == manifest


def test_pieces_come_together() -> None:
    texts = (b"a\nb\n", b"\x1b[31mc\n", b"d\n")
    assert read(manifest_of(*texts), *texts) == StoredText(b"a\nb\n\x1b[31mc\n\x1b[0md\n")


def test_a_whole_text_of_old_is_what_it_is() -> None:
    assert assemble(b"text\n", {}.get) == StoredText(b"text\n")


def test_the_oldest_lines_are_left_out_and_their_colour_is_not() -> None:
    texts = (b"\x1b[31;1ma\nb\n\x1b[39mc\n", b"d\n")
    assert read(manifest_of(*texts, skip=1), *texts).text == b"\x1b[31;1mb\n\x1b[39mc\n\x1b[0md\n"
    assert read(manifest_of(*texts, skip=3), *texts).text == b"\x1b[1m\x1b[0md\n"


def test_what_is_missing_is_said_in_its_place() -> None:
    texts = (b"a\n", b"b\n" * 1200, b"c\n")
    found = read(manifest_of(*texts), texts[0], texts[2])
    first, notice, last = found.text.splitlines()
    assert (first, last) == (b"a", b"c")
    assert b"1,200 lines are missing here" in notice
    assert found.lost == "1,200 lines"
    assert assemble(None, {}.get).lost == "the whole text"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (b"plain", b""),
        (b"\x1b[31mred", b"\x1b[31m"),
        (b"\x1b[31mred\x1b[0m", b""),
        (b"\x1b[31mred\x1b[m", b""),
        (b"\x1b[0m\x1b[1;4;31m", b"\x1b[1;4;31m"),
        (b"\x1b[1;2m\x1b[22m", b""),
        (b"\x1b[38;5;208m\x1b[48;2;1;2;3m", b"\x1b[38;5;208;48;2;1;2;3m"),
        (b"\x1b[38;2;1;2;3m\x1b[39m", b""),
        (b"\x1b[38:2::1:2:3m\x1b[4:3m", b"\x1b[38:2::1:2:3;4:3m"),
        (b"\x1b[4:3m\x1b[4:0m", b""),
        (b"\x1b[58;5;1m\x1b[59m\x1b[91m\x1b[92m", b"\x1b[92m"),
        (b"\x1b[38;5m\x1b[38m\x1b[999m", b""),
        (b"\x1b[31;0;1m", b"\x1b[1m"),
        (b"\x0eqqq", b"\x0e"),
        (b"\x0eqqq\x0f", b""),
    ],
)
def test_what_a_text_leaves_behind(text: bytes, wanted: bytes) -> None:
    assert sgr.carried(text) == wanted
    assert sgr.carried(wanted + b"more") == wanted


_CODES = st.sampled_from(b"0 1 2 3 4 7 22 23 24 27 31 39 49 38;5;3 48;2;1;2;3".split())
_TEXT = st.lists(st.one_of(st.just(b"x"), _CODES.map(lambda code: b"\x1b[" + code + b"m"))).map(b"".join)


@given(_TEXT, _TEXT)
def test_a_text_may_be_cut_anywhere(before: bytes, after: bytes) -> None:
    whole: sgr.Look = {}
    sgr.replay(whole, before + after)
    parts: sgr.Look = {}
    sgr.replay(parts, sgr.carried(before) + after)
    assert parts == whole


@given(st.lists(st.binary().filter(lambda line: b"\n" not in line)), st.integers(0, 20))
def test_where_a_line_begins(lines: list[bytes], count: int) -> None:
    text = b"".join(line + b"\n" for line in lines)
    assert text[after_lines(text, count) :] == b"".join(line + b"\n" for line in lines[count:])
