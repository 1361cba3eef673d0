"""What differs between two settings, key by key, fit to be written down: no secret is in it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

from sidecar import redact
from sidecar.config import Declared, Settings
from sidecar.model.ladder import Rung

_NOT_SAID = frozenset({"source"})
"""Fields of the settings that no file says."""


def changes(old: Settings, new: Settings) -> dict[str, tuple[Any, Any]]:
    """Each key that differs with its value before and after; None where there was or is none."""
    before, after = dict(_flat("", old)), dict(_flat("", new))
    return {
        key: (_shown(key, before.get(key)), _shown(key, after.get(key)))
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def _flat(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Declared):
        # A workspace has every command line of its session; that it has changed is enough.
        yield from ((f"{key}.{name}", one) for name, one in value.sessions.items())
    elif is_dataclass(value):
        for field in fields(value):
            if field.name not in _NOT_SAID:
                yield from _flat(f"{key}.{field.name}".lstrip("."), getattr(value, field.name))
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(f"{key}.{_plain(name)}", item)
    elif isinstance(value, tuple) and value and all(_is_a_plain_rung(item) for item in value):
        yield key, tuple(item.strategy for item in value)
    elif isinstance(value, tuple) and any(is_dataclass(item) for item in value):
        for number, item in enumerate(value):
            yield from _flat(f"{key}.{number}", item)
    else:
        yield key, value


def _is_a_plain_rung(item: Any) -> bool:
    return isinstance(item, Rung) and item == Rung(item.strategy)


def _shown(key: str, value: Any) -> Any:
    if value is not None and key.startswith("declared."):
        return str(getattr(value, "file", "declared"))
    if isinstance(value, tuple | list | frozenset):
        return [_shown(key, item) for item in value]
    plain = _plain(value)
    return redact.named(key.rpartition(".")[2], plain) if isinstance(plain, str) else plain


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, Enum) else value
