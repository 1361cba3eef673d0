"""Marks that a recovery leaves on what it does, so that the next run of ours finds it. Pure.

They are user options of tmux itself, set in the same line as what they mark: whatever ends us in
between, the server has done both or neither. A session or window that is being built has the mark of
one begun; once it is whole, that of a whole one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator

from sidecar.edges.tmux.text import command
from sidecar.model.saga import BACK, Marks

SESSION = "@sidecar_recovery"
WINDOW = "@sidecar_window"
PANE = "@sidecar_rebuilt"
TYPED = "@sidecar_entered"
RESPAWNED = "@sidecar_respawned"
"""Each has its own name: in a format, a pane without an option shows that of its window or session."""
ALL = (SESSION, WINDOW, PANE, TYPED, RESPAWNED)

_BEGUN = ":begun"
_PLACE = re.compile(r"(\d+)\.(\d+)")
_FIELDS = (
    "#{session_id}", "#{window_id}", "#{pane_id}", *(f"#{{{name}}}" for name in ALL),
)  # fmt: skip
MARKS_COMMAND = ("display-message", "-p", "#{S:#{W:#{P:" + "\t".join(_FIELDS) + "\n}}}")
"""Not ``list-panes -a``: tmux refuses that where no session is, as in a server just born."""


_FLAGS = {SESSION: (), WINDOW: ("-w",), PANE: ("-p",), TYPED: ("-p",), RESPAWNED: ("-p",)}


def begun(option: str, target: str, mark: str) -> Iterator[str]:
    """The command that marks what is being built; none without a mark."""
    if mark:
        yield command("set-option", *_FLAGS[option], "-t", target, option, f"{mark}{_BEGUN}")


def whole(option: str, target: str, mark: str) -> Iterator[str]:
    """The command that marks what is whole, or done; none without a mark."""
    if mark:
        yield command("set-option", *_FLAGS[option], "-t", target, option, mark)


def rebuilt(target: str, mark: str, place: tuple[int, int]) -> Iterator[str]:
    """The command that marks a pane that was built by itself; none without a mark."""
    if mark:
        yield command("set-option", "-p", "-t", target, PANE, f"{mark}:{place[0]}.{place[1]}")


def typed(pane: str, mark: str, count: int) -> Iterator[str]:
    """The command that notes how many lines have been typed; none without a mark."""
    if mark:
        yield command("set-option", "-p", "-t", pane, TYPED, f"{mark}:{count}")


def not_typed(mark: str, count: int) -> str:
    """The condition that this line, the ``count``-th, has not been typed yet; holds without a mark."""
    return f"#{{!=:#{{{TYPED}}},{mark}:{count}}}" if mark else "1"


def read_marks(output: bytes, mark: str) -> Marks:
    """The answer to :data:`MARKS_COMMAND`, as far as it is about one mark."""
    session, window, unfinished = "", "", False
    typed: dict[str, int] = {}
    panes: dict[tuple[int, int], str] = {}
    for session_id, window_id, pane_id, of_session, of_window, built, of_pane, _ in _rows(output):
        session = session_id if of_session == mark else session
        window = window_id if of_window == mark else window
        unfinished = unfinished or f"{mark}{_BEGUN}" in (of_session, of_window)
        lines = of_pane.removeprefix(f"{mark}:")
        if lines != of_pane and lines.isdigit():
            typed[pane_id] = int(lines)
        place = _PLACE.fullmatch(built.removeprefix(f"{mark}:"))
        if place is not None:
            panes[int(place[1]), int(place[2])] = pane_id
    return Marks(session, window, unfinished, typed, panes)


def removing(output: bytes, mark: str) -> tuple[str, ...]:
    """The commands that end what was built under a mark. Each asks again whether it is still so."""
    words = (mark, f"{mark}{_BEGUN}")
    lines: dict[str, None] = {}
    for session_id, window_id, pane_id, of_session, of_window, built, *_ in _rows(output):
        if of_session in words:
            act = command("kill-session", "-t", session_id)
            lines[_if_marked(session_id, SESSION, of_session, act)] = None
        elif of_window in words:
            # Killing it would give the other windows new numbers, where the user likes that.
            act = command("unlink-window", "-k", "-t", f"{session_id}:{window_id}")
            lines[_if_marked(f"{session_id}:{window_id}", WINDOW, of_window, act)] = None
        elif built.startswith(f"{mark}:"):
            lines[_if_marked(pane_id, PANE, built, command("kill-pane", "-t", pane_id))] = None
    return tuple(lines)


def unmarking(output: bytes, mark: str) -> tuple[str, ...]:
    """The commands that take a mark from all that carries it."""
    return _unmarking(output, lambda found: found == mark)


def unmarking_others(output: bytes, kept: Collection[str]) -> tuple[str, ...]:
    """The commands that take every mark but these from all that carries one."""
    return _unmarking(output, lambda found: found not in kept)


def _unmarking(output: bytes, unwanted: Callable[[str], bool]) -> tuple[str, ...]:
    lines: dict[str, None] = {}
    for session_id, window_id, pane_id, *values in _rows(output):
        targets = (session_id, window_id, pane_id, pane_id, pane_id)
        for name, value, target in zip(ALL, values, targets, strict=True):
            found = value.partition(":")[0].removesuffix(BACK)
            if found and unwanted(found):
                lines[command("set-option", *_FLAGS[name], "-u", "-t", target, name)] = None
    return tuple(lines)


def _if_marked(target: str, option: str, value: str, act: str) -> str:
    return command("if-shell", "-F", "-t", target, f"#{{==:#{{{option}}},{value}}}", act)


def _rows(output: bytes) -> Iterator[list[str]]:
    for line in output.decode("utf-8", "surrogateescape").splitlines():
        row = line.split("\t")
        if len(row) == len(_FIELDS):
            yield row
