"""How the C library keeps memory for us. What it keeps for later use counts as ours."""

from __future__ import annotations

import ctypes
from pathlib import Path

_ARENAS = -8
_MAPPED_FROM = -3
"""Numbers of ``M_ARENA_MAX`` and ``M_MMAP_THRESHOLD`` in glibc's malloc.h."""
_LARGE = 128 * 1024


def keep_little() -> None:
    """One pool of free memory for all threads, and none for large pieces: those go back to the system.

    What is free now goes back as well. Belongs before the first thread, and after the imports. Nothing
    happens where the C library has no such knobs.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "mallopt"):
        library.mallopt(_ARENAS, 1)
        # Said aloud, it stays so; by itself it grows to the largest piece that was ever freed.
        library.mallopt(_MAPPED_FROM, _LARGE)
    _trim(library)


def give_back() -> None:
    """What is free now goes back to the system. Holds up nobody but its own thread."""
    _trim(ctypes.CDLL(None))


def own() -> int:
    """Bytes of memory that are ours alone now; 0 where the kernel does not tell."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def _trim(library: ctypes.CDLL) -> None:
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
