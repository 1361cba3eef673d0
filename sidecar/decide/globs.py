"""Whether two patterns can be about the same name."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

_TOKEN = re.compile(r"\[!?\]?[^\]]*\]|.", re.DOTALL)


def meet(one: str, other: str) -> bool:
    """Whether some name matches both. Two bracket expressions are taken to have a character in common."""
    columns = _TOKEN.findall(other)
    # reach[j]: the pieces of ``one`` so far can take as much as the first j pieces of ``other`` take.
    reach = _past_stars([True, *(False for _ in columns)], columns)
    for piece in _TOKEN.findall(one):
        after = [piece == "*" and reach[0]]
        for number, column in enumerate(columns, 1):
            if piece == "*":
                fits = reach[number] or after[number - 1]
            elif column == "*":
                fits = reach[number]
            else:
                fits = reach[number - 1] and _share(piece, column)
            after.append(fits)
        reach = _past_stars(after, columns)
    return reach[-1]


def _past_stars(reach: list[bool], columns: list[str]) -> list[bool]:
    """A star also takes nothing."""
    for number, column in enumerate(columns, 1):
        reach[number] = reach[number] or (column == "*" and reach[number - 1])
    return reach


def _share(one: str, other: str) -> bool:
    if "?" in (one, other) or (len(one) > 1 and len(other) > 1):
        return True
    # A single letter is a pattern of itself; a lone bracket is one as well.
    return fnmatchcase(other, one) if len(one) > 1 else fnmatchcase(one, other)
