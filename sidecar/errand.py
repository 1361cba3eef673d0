"""On whose behalf something is done, and under which trace.

Whoever lets something in (a request, an alert, a signal) says so once; everything that it sets going
knows, also in tasks of its own, so that the audit trail, the log and the exemplars agree by themselves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Errand:
    """What is known of an errand. Without a sender the sidecar acts by itself."""

    actor: str = ""
    """The word for the sender: ``operator`` or ``alert``."""
    by: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """More of the sender: address and token scope, or the alert's fingerprint and name."""
    trace: str = ""
    """Of the incident that it is about; empty as long as there is none."""


OUR_OWN = Errand()
_CURRENT: ContextVar[Errand] = ContextVar("errand")


def current() -> Errand:
    """The errand of this task."""
    return _CURRENT.get(OUR_OWN)


@contextmanager
def sent_by(actor: str, **by: str) -> Iterator[None]:
    """What is done inside, and by tasks that begin inside, is done on behalf of this sender."""
    token = _CURRENT.set(Errand(actor, MappingProxyType(by)))
    try:
        yield
    finally:
        _CURRENT.reset(token)


def under(trace: str) -> None:
    """From now on this task works under this trace."""
    _CURRENT.set(replace(_CURRENT.get(OUR_OWN), trace=trace))
