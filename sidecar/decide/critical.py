"""Processes that have to run somewhere in a session: which of them are missing, by the session's own list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from sidecar.decide.supervise import matches
from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit


def missing(wanted: Sequence[str], running: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Those of the wanted patterns that no command line of the session matches."""
    left = dict.fromkeys(wanted)
    for argv in running:
        for pattern in [one for one in left if matches(one, argv)]:
            del left[pattern]
    return tuple(left)


def absence(session: str, patterns: Sequence[str], since: float) -> Finding:
    """The finding that they are missing; ``since`` is monotonic seconds."""
    facts = tuple(Evidence("/proc", f"no process of the session matches {one!r}") for one in patterns)
    failure = Failure(session, FailureKind.UNHEALTHY, (Broken(Unit.SESSION),), since)
    origin = f"critical {session}@{since:.3f}"
    return Finding(failure, Cause.PROCESS_MISSING, Intent.FAILURE, facts, origin)
