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
    """By the alert's own labels ``session`` and ``failure``, else by the first route that matches.

    An alert that has a ``session`` label, no ``failure`` label and no route asks for that session
    without saying what is wrong.
    """
    if labels.get("session") and labels.get("failure"):
        return _by_labels(labels)
    for candidate in routes:
        if all(labels.get(name) == value for name, value in candidate.match.items()):
            return _by_route(labels, candidate)
    return _by_labels(labels) if labels.get("session") else Routed(skip=SkipReason.NO_SESSION)


def _by_labels(labels: Mapping[str, str]) -> Routed:
    session = labels["session"]
    try:
        failure = FailureKind(labels.get("failure") or FailureKind.REQUESTED)
    except ValueError:
        return Routed(session, skip=SkipReason.UNKNOWN_FAILURE)
    try:
        strategy = Strategy(labels["strategy"]) if labels.get("strategy") else None
    except ValueError:
        return Routed(session, failure, skip=SkipReason.UNKNOWN_STRATEGY)
    return Routed(session, failure, strategy)


def _by_route(labels: Mapping[str, str], chosen: AlertRoute) -> Routed:
    """A label that is missing makes no session: half a name might be another session's."""
    if not all(labels.get(name) for name in _TEMPLATE.findall(chosen.session)):
        return Routed(skip=SkipReason.NO_SESSION)
    session = _TEMPLATE.sub(lambda found: labels[found.group(1)], chosen.session)
    if not session:
        return Routed(skip=SkipReason.NO_SESSION)
    return Routed(session, chosen.failure, chosen.strategy)
