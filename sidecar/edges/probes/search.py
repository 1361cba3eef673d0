"""Searching a body for a regular expression, however bad the two may be for each other.

Python searches with the whole interpreter held, and some expressions take for ever on some texts. One
that may gets a process of its own, which is ended when its time is over.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Protocol

from sidecar.edges.probes.command import run
from sidecar.regexes.cost import steps

_QUICK = 1e6
"""Steps that hold nobody up: a few milliseconds."""
_PROGRAM = """
import re, sys
wanted = re.compile(sys.argv[1])
for number, text in enumerate(sys.stdin.buffer.read().decode("utf-8", "surrogateescape").split(chr(0))):
    if wanted.search(text):
        print(number)
"""


async def found(pattern: str, text: str, seconds: float) -> bool | None:
    """Whether it is found; None if that could not be told in time."""
    hits = await among(pattern, [text.replace("\0", " ")], seconds)
    return None if hits is None else 0 in hits


class Wanted(Protocol):
    """Whatever says what has to be in a text, and what must not."""

    @property
    def match(self) -> str: ...

    @property
    def no_match(self) -> str: ...


async def judged(wanted: Wanted, text: str, seconds: float, where: str) -> tuple[bool, str]:
    """Whether the text is right, and why; ``where`` is what the text is, for people."""
    facts = []
    for pattern, has_to_be in ((wanted.match, True), (wanted.no_match, False)):
        if not pattern:
            continue
        hit = await found(pattern, text, seconds)
        if hit is None:
            return False, f"the search for {pattern!r} came to no end"
        facts.append(f"{pattern!r} is {'in' if hit else 'not in'} {where}")
        if hit is not has_to_be:
            return False, facts[-1]
    return True, ", ".join(facts)


async def among(pattern: str, texts: Sequence[str], seconds: float) -> set[int] | None:
    """In which of the texts, by their numbers, it is found; None if that could not be told in time.

    No text has the character 0.
    """
    if is_quick(pattern, texts):
        wanted = re.compile(pattern)
        return {number for number, text in enumerate(texts) if wanted.search(text)}
    argv = (sys.executable, "-I", "-S", "-W", "ignore", "-c", _PROGRAM, pattern)
    ran = await run(argv, seconds, {}, "\0".join(texts).encode("utf-8", "surrogateescape"))
    return set(map(int, ran.output.split())) if ran.status == 0 else None


def is_quick(pattern: str, texts: Sequence[str]) -> bool:
    """Whether searching all of them cannot take long."""
    # As the lines of one text they take more steps than each by itself, and are reckoned at once.
    if steps(pattern, "\n".join(texts)) <= _QUICK:
        return True
    return len(texts) > 1 and sum(steps(pattern, text) for text in texts) <= _QUICK
