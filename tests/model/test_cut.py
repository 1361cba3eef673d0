"""What is kept of a pane's text and of a stack: the newest, the innermost, and never more than its share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.model.cut import halvings, shorter, shorter_stack, tail_of
from sidecar.model.diagnostics import Diagnostics, PaneFacts, PythonStack, PythonThread, Tail


def test_the_last_lines_are_kept_without_the_empty_ones_below() -> None:
    assert tail_of(["a", "b  ", "", "c", "", "  "], most=3) == ("b", "", "c")
    assert tail_of([]) == tail_of(["", " "]) == ()
    assert tail_of(["x"], most=0) == ()
    assert tail_of(["x" * 500]) == ("x" * 399 + "…",)
    assert tail_of(["abc", "def"], longest=5) == ("def",)
    assert tail_of(["abcdef"], longest=4) == ("abc…",)


@given(st.lists(st.text()), st.integers(0, 50), st.integers(1, 500))
def test_a_tail_is_the_end_of_the_text(lines: list[str], most: int, longest: int) -> None:
    kept = tail_of(lines, most, longest)
    assert len(kept) <= most
    assert sum(map(len, kept)) <= longest
    whole = [line.rstrip() for line in lines]
    while whole and not whole[-1]:
        whole.pop()
    pairs = zip(reversed(kept), reversed(whole), strict=False)
    assert all(
        short == line or (short.endswith("…") and line.startswith(short[:-1])) for short, line in pairs
    )


def test_a_deep_recursion_keeps_its_innermost_calls() -> None:
    calls = tuple(f"call_{number} (deep.py:{number})" for number in range(5000))
    quiet = PythonThread("quiet", "idle", ("wait (t.py:1)",))
    stack = shorter_stack(PythonStack(1, "3.12", (PythonThread("deep", "active", calls), quiet)), 2_000)
    deep, other = stack.threads
    assert deep.calls[0] == "call_0 (deep.py:0)"
    assert deep.calls[-1] == f"… and {5000 - len(deep.calls) + 1} more calls around these"
    assert other == quiet


def test_less_is_told_and_what_fits_is_left_as_it_is() -> None:
    found = Diagnostics(
        1.0, panes=(PaneFacts("%1", 5, tail=Tail(tuple(map(str, range(40))))),), missing=("x",)
    )
    assert shorter(found, 0) == found
    half = shorter(found, 1)
    assert half.panes[0].tail is not None
    assert half.panes[0].tail.lines == tuple(map(str, range(20, 40)))
    assert half.missing == ("x", "some of it: only 64 KiB of an incident are kept")
    assert 0 in halvings()
