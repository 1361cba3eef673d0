"""How the C library keeps memory for us. What it keeps for later use counts as ours."""

from __future__ import annotations

import ctypes

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
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)
