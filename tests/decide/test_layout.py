import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.layout import Cell, checksum, parse, shape, skeleton, valid

SINGLE = "aca3,200x50,0,0,6"
ROWS = "e553,200x50,0,0[200x25,0,0,0,200x24,0,26,1]"
NESTED = (
    "2270,200x50,0,0[200x25,0,0,0,200x24,0,26{100x24,0,26,1,99x24,101,26"
    "[99x12,101,26,2,99x11,101,39{49x11,101,39,3,49x11,151,39[49x5,151,39,4,49x5,151,45,5]}]}]"
)
TINY = "4697,3x6,0,0[3x2,0,0{1x2,0,0,0,1x2,2,0,1},3x1,0,3{1x1,0,3,2,1x1,2,3,3},3x1,0,5{1x1,0,5,4,1x1,2,5,5}]"
REAL = [(SINGLE, 1), (ROWS, 2), (NESTED, 6), (TINY, 6)]


def signed(body: str) -> str:
    return f"{checksum(body)},{body}"


@pytest.mark.parametrize(("text", "panes"), REAL)
def test_what_tmux_wrote_is_valid_for_its_panes_only(text: str, panes: int) -> None:
    assert text.startswith(checksum(text[5:]))
    assert valid(text, panes)
    assert not valid(text, panes + 1)
    assert not valid(text, panes - 1)


def test_reads_the_tree() -> None:
    assert parse(ROWS) == Cell(200, 50, 0, 0, "[", (Cell(200, 25, 0, 0), Cell(200, 24, 0, 26)))


def test_pane_ids_and_checksum_do_not_belong_to_the_shape() -> None:
    other = signed("200x50,0,0[200x25,0,0,17,200x24,0,26,4]")
    assert other != ROWS
    assert shape(other) == shape(ROWS) == "200x50,0,0[200x25,0,0,200x24,0,26]"
    assert shape(signed("200x50,0,0[200x25,0,0,200x24,0,26]")) == shape(ROWS)


def test_sizes_do_not_belong_to_the_skeleton() -> None:
    smaller = signed("80x24,0,0[80x12,0,0,17,80x11,0,13,4]")
    assert shape(smaller) != shape(ROWS)
    assert skeleton(smaller) == skeleton(ROWS) == "[.,.]"
    assert skeleton(NESTED) == "[.,{.,[.,{.,[.,.]}]}]"
    assert skeleton(SINGLE) == "."


@pytest.mark.parametrize(
    "text",
    [
        "",
        "garbage",
        "aca3",
        "aca3,",
        "0000,200x50,0,0,6",
        "ACA3,200x50,0,0,6",
        SINGLE + "\n",
        signed("200x50,0"),
        signed("200x50,0,0,"),
        signed("-200x50,0,0,6"),
        signed("200x50,0,0[200x50,0,0,1]"),
        signed("200x50,0,0[200x25,0,0,0,200x24,0,26,1"),
        signed("200x50,0,0[200x25,0,0,0,200x24,0,26,1}"),
        signed("200x50,0,0,3[200x25,0,0,0,200x24,0,26,1]"),
        signed("200x50,0,0[200x25,0,0,0,200x24,0,26,1]]"),
        signed("200x50,0,0<10x10,5,5,3>"),
        signed("9999999x50,0,0,6"),
        signed("\u0662x5,0,0,6"),
        signed("1x1,0,0{" * 50_000),
    ],
)
def test_garbage_is_refused(text: str) -> None:
    assert parse(text) is None
    assert not valid(text, 1)
    assert shape(text) == skeleton(text) == ""


@pytest.mark.parametrize(
    "body",
    [
        "200x50,0,0[200x25,0,0,0,200x25,0,26,1]",
        "200x50,0,0[200x25,0,0,0,199x24,0,26,1]",
        "200x50,0,0{100x50,0,0,0,100x50,101,0,1}",
        "200x50,0,0{100x50,0,0,0,99x49,101,0,1}",
        "0x0,0,0,1",
    ],
)
def test_cells_that_do_not_fill_their_parent_are_refused(body: str) -> None:
    root = parse(signed(body))
    assert root is not None
    assert not valid(signed(body), root.panes)


@given(st.text(max_size=80))
def test_any_text_is_answered(text: str) -> None:
    assert parse(text) is None or re.match(r"[0-9a-f]{4},", text)


@given(place=st.integers(0, len(NESTED) - 1), character=st.characters(codec="ascii"))
def test_one_changed_character_is_noticed(place: int, character: str) -> None:
    changed = NESTED[:place] + character + NESTED[place + 1 :]
    assert valid(changed, 6) is (changed == NESTED)
