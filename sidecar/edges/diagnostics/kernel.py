"""Where a process waits, by the kernel's account. Only root may read all of it."""

from __future__ import annotations

import os
import re
from collections import Counter
from itertools import islice
from pathlib import Path

from sidecar.edges.process import small_file
from sidecar.model.diagnostics import Threads

_DEEPEST = 16
_THREADS = 64
_CALL = re.compile(r"^\[<[0-9a-f]*>\] ([^\s+]+)", re.MULTILINE)


def waits_in(folder: Path) -> str:
    """The function that the process or thread with this folder in /proc waits in; empty if it does not."""
    function = text(folder / "wchan").strip()
    return "" if function == "0" else function


def system_call(folder: Path) -> str:
    """The number of its system call, or ``running``; empty where that may not be read."""
    return text(folder / "syscall").partition(" ")[0].strip()


def stack(folder: Path) -> tuple[str, ...]:
    """Its functions in the kernel, innermost first."""
    return tuple(islice(_CALL.findall(text(folder / "stack")), _DEEPEST))


def threads(folder: Path) -> tuple[Threads, ...]:
    """Its threads by where they wait, the most first; of very many, only the first are asked."""
    try:
        numbers = sorted(os.listdir(folder / "task"), key=int)[:_THREADS]
    except (OSError, ValueError):
        return ()
    places = Counter(
        (fields.rpartition(") ")[2][:1], waits_in(folder / "task" / number))
        for number in numbers
        if (fields := text(folder / "task" / number / "stat"))
    )
    return tuple(Threads(state, place, count) for (state, place), count in places.most_common())


def text(file: Path) -> str:
    """A small file of /proc, empty if it cannot be read."""
    return small_file(f"{file}").decode("utf-8", "replace")
