"""Moving what cannot be used out of the way, beside where it was: nothing is deleted for being damaged."""

from __future__ import annotations

import os
from itertools import count
from pathlib import Path


def free_name(path: Path, ending: str = "damaged") -> Path:
    """A name beside ``path`` that nothing has."""
    names = (
        path.with_name(f"{path.name}.{ending}{'-' if number else ''}{number or ''}") for number in count()
    )
    return next(name for name in names if not os.path.lexists(name))


def put_aside(path: Path) -> Path:
    """Rename it to :func:`free_name`, and give that.

    Raises:
        OSError: it cannot be renamed.
    """
    aside = free_name(path)
    path.rename(aside)
    return aside


def is_misplaced(path: Path) -> bool:
    """Whether something is there that is no file: a folder, a pipe, a device."""
    return path.exists() and not path.is_file()


def private_folder(path: Path) -> None:
    """Make a folder (mode 0700); whatever else has its name is put aside.

    Raises:
        OSError: it cannot be made.
    """
    if os.path.lexists(path) and not path.is_dir():
        put_aside(path)
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
