"""Whether everything is there as it was: each pane in its place with its program, and none of them twice."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from chaos.stage import Stage

SESSIONS = ("agents", "servers", "training")
_WINDOWS = 2
_PANES = 3
_FIRST = 70_000
_PROGRAM = "sleep 7"
"""What the command line of every program of ours begins with."""


def build(place: Stage) -> None:
    """Every pane has a program of its own, which is known by its number."""
    number = iter(range(_FIRST, _FIRST + 1000))
    for session in SESSIONS:
        place.build(session, [f"exec sleep {next(number)}" for _ in range(_WINDOWS)])
        for window in range(_WINDOWS):
            for _ in range(_PANES - 1):
                place.tmux("split-window", "-d", "-t", f"={session}:{window}", f"exec sleep {next(number)}")


def started(place: Stage) -> bool:
    """Whether each pane has its program, after :func:`build`."""
    return len(_programs(place)) == len(SESSIONS) * _WINDOWS * _PANES


def kept(place: Stage) -> bool:
    """Whether tmux keeps the panes that fail; one that vanished out of its window would not come back."""
    return set(place.lines("list-windows", "-a", "-F", "#{remain-on-exit}")) == {"failed"}


def shape(place: Stage) -> list[str]:
    """Every pane with its place and what really runs there."""
    form = "#{session_name}:#{window_index}.#{pane_index} #{pane_pid}"
    panes = (line.split() for line in place.lines("list-panes", "-a", "-F", form))
    return sorted(f"{where} {_command_line(pid)}" for where, pid in panes)


def whole(place: Stage, wanted: Sequence[str]) -> bool:
    """Whether :func:`difference` is nothing; quick while it is not."""
    return shape(place) == list(wanted) and not difference(place, wanted)


def difference(place: Stage, wanted: Sequence[str]) -> str:
    """What is not as it has to be, for people; nothing if all is."""
    found, runs = Counter(shape(place)), Counter(_programs(place))
    facts = {
        "missing": sorted(Counter(wanted) - found),
        "too much": sorted(found - Counter(wanted)),
        "runs twice": [program for program, times in runs.items() if times > 1],
        "runs outside of its place": sorted(runs.keys() - {line.partition(" ")[2] for line in wanted}),
    }
    return "; ".join(f"{what} {', '.join(which)}" for what, which in facts.items() if which)


def _programs(place: Stage) -> list[str]:
    """The command line of every program of ours that runs, wherever it does."""
    marker = f"HOME={place.folder}".encode()
    return [
        line
        for pid in filter(str.isdigit, os.listdir("/proc"))
        if (line := _command_line(pid)).startswith(_PROGRAM) and _has(pid, marker)
    ]


def _command_line(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
    except OSError:
        return ""


def _has(pid: str, variable: bytes) -> bool:
    try:
        return variable in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
