"""The last lines that panes show, dead ones too: what a respawn clears, and no checkpoint may have yet."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from sidecar.edges.tmux.parts import END, mark_line, new_mark, part, read_parts
from sidecar.edges.tmux.run import TmuxRunner, classify
from sidecar.edges.tmux.text import script
from sidecar.model.cut import tail_of
from sidecar.model.diagnostics import MOST_LINES, Tail

_LARGEST = 1 << 20
"""Bytes of an answer that are looked at: a line may be as long as a pane is wide, and that may be much."""


async def read_tails(runner: TmuxRunner, panes: Sequence[str], seconds: float) -> dict[str, Tail]:
    """Those of the panes that are there, by id, through one client.

    Raises:
        TmuxAbsent, TmuxUnknown: there is no server, or no answer within that time.
    """
    mark = new_mark()
    client = await runner.start(runner.argv("source-file", "-"))
    # What has gone meanwhile makes its own lines fail, and no other.
    answer = await runner.exchange(client, "source-file", stdin=tails_script(panes, mark), seconds=seconds)
    found = await asyncio.to_thread(parse_tails, answer.output[:_LARGEST], panes, mark)
    if not found and panes and answer.status:
        raise classify(answer.complaint)
    return found


def tails_script(panes: Sequence[str], mark: str) -> bytes:
    """Commands that print, for each pane, which screen it shows, that screen, and the one beneath it."""
    lines: list[str] = []
    for pane in panes:
        key = pane.removeprefix("%")
        lines += [
            part(mark, f"m{key}", "display-message", "-p", "-t", pane, "#{alternate_on}"),
            part(mark, f"s{key}", "capture-pane", "-p", "-t", pane, "-S", str(-MOST_LINES)),
            part(mark, f"c{key}", "capture-pane", "-p", "-a", "-q", "-t", pane),
        ]
    return script(*lines, mark_line(mark, END))


def parse_tails(raw: bytes, panes: Sequence[str], mark: str) -> dict[str, Tail]:
    """The answer to :func:`tails_script`; a pane that is gone is left out."""
    parts = read_parts(raw, mark)
    found: dict[str, Tail] = {}
    for pane in panes:
        key = pane.removeprefix("%")
        alternate = parts.get(f"m{key}", b"").strip()
        if alternate not in (b"0", b"1"):
            continue
        full = alternate == b"1"
        covered = _lines(parts.get(f"c{key}", b"")) if full else ()
        found[pane] = Tail(_lines(parts.get(f"s{key}", b"")), covered, full)
    return found


def _lines(text: bytes) -> tuple[str, ...]:
    return tail_of(text.decode("utf-8", "replace").split("\n"))
