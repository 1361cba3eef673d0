"""The names of circuits: a strategy, a strategy for one session, or something that we depend on.

``restore_checkpoint`` rests when the strategy fails for several sessions, ``restore_checkpoint:web`` when
it keeps failing for this one, and ``dependency:HOST:PORT`` when what answers there does not. A user's own
strategy has ``custom:NAME`` and ``custom:NAME:web``.
"""

from __future__ import annotations

import re

from sidecar.model.plan import OWN_NAME, Strategy

_DEPENDENCY = "dependency:"
_OURS = "|".join(each for each in Strategy if each is not Strategy.CUSTOM)
_OF_A_SESSION = re.compile(rf"(?:{_OURS}|{Strategy.CUSTOM}:{OWN_NAME}):(.*)", re.DOTALL)


def for_session(strategy: Strategy, session: str) -> str:
    """The circuit of a strategy for one session."""
    return f"{strategy}:{session}"


def for_dependency(address: str) -> str:
    """The circuit of something that sessions depend on."""
    return f"{_DEPENDENCY}{address}"


def session_of(name: str) -> str | None:
    """The session that a circuit is about; None when it is about no single one."""
    found = _OF_A_SESSION.fullmatch(name)
    return found[1] if found else None


def is_name(name: str) -> bool:
    """Whether a circuit may be called so."""
    dependency = name.startswith(_DEPENDENCY) and len(name) > len(_DEPENDENCY)
    return _is_strategy(name) or bool(session_of(name)) or dependency


def passes(name: str) -> bool:
    """Whether the circuit is forgotten once nobody uses it; those of our own strategies always stay."""
    return name not in set(Strategy)


def _is_strategy(name: str) -> bool:
    try:
        return bool(Strategy(name))
    except ValueError:
        return False
