"""Which session an alert speaks of, and what it says is wrong."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.config import AlertRoute
from sidecar.model.incident import FailureKind
from sidecar.model.plan import Strategy
from sidecar.model.record import SkipReason

_TEMPLATE = re.compile(r"\{\{\s*labels\.([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")


@dataclass(frozen=True, slots=True)
class Routed:
    """Where an alert leads; ``skip`` says why it leads nowhere."""

    session: str = ""
    failure: FailureKind = FailureKind.REQUESTED
    strategy: Strategy | None = None
    skip: SkipReason | None = None


def route(labels: Mapping[str, str], routes: Sequence[AlertRoute]) -> Routed:
    """By the alert's own ``session`` and ``failure`` labels, else by the first route that matches."""
    if labels.get("session"):
        return _by_labels(labels)
    for candidate in routes:
        if all(labels.get(name) == value for name, value in candidate.match.items()):
            session = _TEMPLATE.sub(lambda m: labels.get(m.group(1), ""), candidate.session)
            if not session:
                return Routed(skip=SkipReason.NO_SESSION)
            return Routed(session, candidate.failure, candidate.strategy)
    return Routed(skip=SkipReason.NO_SESSION)


def _by_labels(labels: Mapping[str, str]) -> Routed:
    session = labels["session"]
    try:
        failure = FailureKind(labels.get("failure", FailureKind.REQUESTED))
        strategy = Strategy(labels["strategy"]) if labels.get("strategy") else None
    except ValueError:
        return Routed(session, skip=SkipReason.UNKNOWN_FAILURE)
    return Routed(session, failure, strategy)
