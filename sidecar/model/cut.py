"""A snapshot made small enough to be kept: the newest lines, the innermost calls, the first processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sidecar.model.diagnostics import (
    LARGEST,
    MOST_LINES,
    MOST_PANES,
    MOST_PROCESSES,
    MOST_STACKS,
    Diagnostics,
    PaneFacts,
    ProcessFacts,
    PythonStack,
    PythonThread,
    Tail,
)

_LONGEST_LINE = 400
_LONGEST_TAIL = 8_000
"""Characters of a pane's text."""
_LONGEST_STACK = 12_000
"""Characters of one process's Python stacks."""
_MARK = "…"
_HALVINGS = 8


def tail_of(text: Sequence[str], most: int = MOST_LINES, longest: int = _LONGEST_TAIL) -> tuple[str, ...]:
    """The last lines that are not empty below, each cut to a bearable length."""
    lines = [line.rstrip() for line in text]
    while lines and not lines[-1]:
        lines.pop()
    kept: list[str] = []
    for line in reversed(lines[-most:] if most else []):
        room = min(_LONGEST_LINE, max(longest, 1)) if not kept else _LONGEST_LINE
        short = line if len(line) <= room else line[: room - 1] + _MARK
        longest -= len(short) + 1
        if longest < 0 and kept:
            break
        kept.append(short)
    return tuple(reversed(kept))


def shorter(found: Diagnostics, times: int) -> Diagnostics:
    """At most what is kept of everything; or half of that, a quarter and so on, which is told in it.

    The newest lines, the innermost calls and the first processes stay.
    """
    share = 1 << times
    told = (f"some of it: only {LARGEST // 1024} KiB of an incident are kept",) if times else ()
    return replace(
        found,
        panes=tuple(_shorter_pane(one, share) for one in found.panes[:MOST_PANES]),
        missing=tuple(line[:_LONGEST_LINE] for line in (*found.missing[: max(16 // share, 1)], *told)),
    )


def without_text(found: Diagnostics) -> Diagnostics:
    """The same without what its panes have shown."""
    told = "the text of its panes: it is shown to the scope `admin` alone"
    return replace(
        found, panes=tuple(replace(pane, tail=None) for pane in found.panes), missing=(*found.missing, told)
    )


def halvings() -> range:
    """How often :func:`shorter` may be asked for less; the last is small whatever was found."""
    return range(_HALVINGS + 1)


def _shorter_pane(pane: PaneFacts, share: int) -> PaneFacts:
    tree, kept = pane.tree, MOST_PROCESSES // share
    cut = tree.processes[:kept]
    left_out = tree.left_out + len(tree.processes) - len(cut)
    return replace(
        pane,
        tail=_shorter_tail(pane.tail, share) if pane.tail else None,
        tree=replace(tree, processes=tuple(_shorter_process(one, share) for one in cut), left_out=left_out),
        stacks=tuple(shorter_stack(one, _LONGEST_STACK // share) for one in pane.stacks[:MOST_STACKS]),
    )


def _shorter_tail(tail: Tail, share: int) -> Tail:
    most, longest = MOST_LINES // share, _LONGEST_TAIL // share
    return replace(
        tail, lines=tail_of(tail.lines, most, longest), covered=tail_of(tail.covered, most, longest)
    )


def _shorter_process(one: ProcessFacts, share: int) -> ProcessFacts:
    return replace(
        one,
        command=one.command[: _LONGEST_LINE // share],
        stack=one.stack[: 16 // share],
        threads_in=one.threads_in[: 16 // share],
    )


def shorter_stack(stack: PythonStack, longest: int = _LONGEST_STACK) -> PythonStack:
    """Whole calls, the innermost of each thread first, as many as there is room for."""
    room = longest // max(len(stack.threads), 1)
    threads = tuple(_shorter_thread(one, room) for one in stack.threads[: max(longest // 100, 1)])
    return replace(stack, threads=threads, trouble=stack.trouble[:_LONGEST_LINE])


def _shorter_thread(thread: PythonThread, room: int) -> PythonThread:
    calls: list[str] = []
    for call in thread.calls:
        short = call[:_LONGEST_LINE]
        room -= len(short) + 1
        if room < 0:
            break
        calls.append(short)
    more = len(thread.calls) - len(calls)
    told = (f"{_MARK} and {more} more calls around these",) if more else ()
    return replace(thread, name=thread.name[:100], calls=(*calls, *told))
