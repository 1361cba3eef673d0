"""File names as rules of heals match them."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


def matches(name: str, globs: Sequence[str]) -> bool:
    """Whether one of them matches. A dot at the beginning has to be written, as for a shell."""
    return any(
        fnmatchcase(name, glob) and (not name.startswith(".") or glob.startswith(".")) for glob in globs
    )
