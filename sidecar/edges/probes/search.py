"""Searching a body for a regular expression, however bad the two may be for each other.

Python searches with the whole interpreter held, and some expressions take for ever on some texts. One
that may gets a process of its own, which is ended when its time is over.
"""

from __future__ import annotations

import re
import sys

from sidecar.edges.probes.command import run

_REPEATS = frozenset("*+{")
_OPTIONS = 8
_PROGRAM = "import re, sys; sys.exit(not re.search(sys.argv[1], sys.stdin.buffer.read().decode()))"


def harmless(pattern: str) -> bool:
    """Whether the time of a search grows with the text alone: nothing in it can match more or less."""
    return not _REPEATS & set(pattern) and pattern.count("?") <= _OPTIONS


async def found(pattern: str, text: str, seconds: float) -> bool | None:
    """Whether it is found; None if that could not be told in time."""
    if harmless(pattern):
        return re.search(pattern, text) is not None
    argv = (sys.executable, "-I", "-S", "-W", "ignore", "-c", _PROGRAM, pattern)
    ran = await run(argv, seconds, {}, text.encode())
    return None if ran.status is None else ran.status == 0
