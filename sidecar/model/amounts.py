"""Amounts for people."""

from __future__ import annotations

from collections.abc import Sequence

_MILLISECONDS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_NAMED = 50
_BYTES = {"TB": 10**12, "GB": 10**9, "MB": 10**6, "kB": 10**3}


def show_seconds(duration: float) -> str:
    """The shortest text that a configuration may say for this duration."""
    milliseconds = round(duration * 1000)
    parts = []
    for unit, scale in _MILLISECONDS.items():
        count, milliseconds = divmod(milliseconds, scale)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def show_size(count: int) -> str:
    """Bytes, in the largest decimal unit that leaves at least one."""
    for unit, scale in _BYTES.items():
        if count >= scale:
            return f"{count / scale:.4g}{unit}"
    return f"{count}B"


def listed(names: Sequence[str], what: str, more: str = "") -> str:
    """So many, and which: ``2 files: a, b``. Of many, the first are named."""
    rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{several(len(names), what)}{more}{': ' if names else ''}{', '.join(names[:_NAMED])}{rest}"


def several(count: int, what: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{count} {what}{'' if count == 1 else 's'}"
