"""What a probe of this machine has found, and its figures for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sidecar.model.probe import UNASKED, ProbeFault

_UNITS = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"))
_SPANS = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"))


class Unmeasured(Exception):
    """The figure cannot be had here; one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One look."""

    fault: ProbeFault | None
    fact: str
    value: float | None = None


def below(value: float, limit: float, fact: str, shown: str) -> Finding:
    """It has to be below the limit; ``shown`` is the limit for people."""
    if value < limit:
        return Finding(None, fact, value)
    return Finding(ProbeFault.ABOVE_LIMIT, f"{fact}; the limit is {shown}", value)


def worst(findings: Sequence[Finding]) -> Finding:
    """One that is bad, else one of which nothing is known, else the one with the highest figure."""
    return max(findings, key=lambda one: (one.fault is not None, one.fault not in UNASKED, one.value or 0.0))


def percent(share: float) -> str:
    """``91.3 %``."""
    return f"{share * 100:.1f} %"


def limit(share: float) -> str:
    """``85 %``, as it was configured."""
    return f"{share * 100:g} %"


def size(count: float) -> str:
    """``1.1 GB``, in the largest decimal unit that leaves at least one."""
    for scale, unit in _UNITS:
        if count >= scale:
            return f"{count / scale:.1f} {unit}"
    return f"{count:.0f} B"


def span(seconds: float) -> str:
    """``3.5 min``, in the largest unit that leaves at least one."""
    for scale, unit in _SPANS:
        if seconds >= scale:
            return f"{seconds / scale:.1f} {unit}"
    return f"{seconds:.1f} s"
