"""Nothing that is secret by its place or its form gets out.

Of an environment only the names are shown, of a text only its digest; command lines, titles and
every other string lose what looks like a secret.
"""

from __future__ import annotations

from typing import Any

from sidecar import redact

_NAMES_ONLY = "environment"
_NAMED = frozenset({"options", "server", "session", "window"})
"""Fields of an image that hold pairs of a name and a value."""


def without_secrets(value: Any, field: str = "") -> Any:
    """Plain values (dicts, lists, tuples, strings, numbers) as they may be shown."""
    if field == _NAMES_ONLY:
        return [pair[0] for pair in value]
    if isinstance(value, dict):
        return {key: without_secrets(item, key) for key, item in value.items()}
    if field in _NAMED and isinstance(value, tuple | list):
        return [[name, None if held is None else redact.named(name, held)] for name, held in value]
    if isinstance(value, tuple | list) and all(isinstance(item, str) for item in value):
        return list(redact.argv(value))
    if isinstance(value, tuple | list):
        return [without_secrets(item) for item in value]
    return redact.text(value) if isinstance(value, str) else value
