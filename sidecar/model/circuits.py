"""The names of circuits: a strategy, a strategy for one session, or something that we depend on.

``restore_checkpoint`` rests when the strategy fails for several sessions, ``restore_checkpoint:web`` when
it keeps failing for this one, and ``dependency:HOST:PORT`` when what answers there does not.
"""

from __future__ import annotations

from sidecar.model.plan import Strategy

_DEPENDENCY = "dependency:"


def for_session(strategy: Strategy, session: str) -> str:
    """The circuit of a strategy for one session."""
    return f"{strategy}:{session}"


def for_dependency(address: str) -> str:
    """The circuit of something that sessions depend on."""
    return f"{_DEPENDENCY}{address}"


def session_of(name: str) -> str | None:
    """The session that a circuit is about; None when it is about no single one."""
    word, colon, session = name.partition(":")
    return session if colon and word in set(Strategy) else None


def is_name(name: str) -> bool:
    """Whether a circuit may be called so."""
    dependency = name.startswith(_DEPENDENCY) and len(name) > len(_DEPENDENCY)
    return name in set(Strategy) or bool(session_of(name)) or dependency


def passes(name: str) -> bool:
    """Whether the circuit is forgotten once nobody uses it; those of whole strategies always stay."""
    return name not in set(Strategy)
