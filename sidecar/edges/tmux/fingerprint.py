"""What tells that options, hooks, bindings or environments have changed, which no look shows. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from sidecar.edges.tmux.details import local_commands, settings_commands
from sidecar.edges.tmux.parts import END, mark_line, part, read_parts
from sidecar.edges.tmux.text import script
from sidecar.model.session import Session


def fingerprint_script(sessions: Sequence[Session], mark: str) -> bytes:
    """Commands that print everything of which :func:`read_fingerprints` makes digests."""
    commands = {
        "environment": ("show-environment", "-g", "-s"),
        **settings_commands(),
        **{key: words for each in sessions for key, words in _own(each).items()},
    }
    lines = (part(mark, key, *words) for key, words in commands.items())
    return script(*lines, mark_line(mark, END))


def read_fingerprints(raw: bytes, sessions: Sequence[Session], mark: str) -> dict[str, str]:
    """A digest for each session that is there, by name; none at all if the answer is cut off."""
    parts = read_parts(raw, mark)
    if END not in parts:
        return {}
    common = _digest(parts, ["environment", *settings_commands()])
    return {
        each.name: f"{common}/{_digest(parts, list(_own(each)))}"
        for each in sessions
        # One that has gone has no folder.
        if parts.get(_key(each, "path"), b"").strip()
    }


def _own(session: Session) -> dict[str, tuple[str, ...]]:
    commands = {**local_commands(session), "environment": ("show-environment", "-s", "-t", session.id)}
    return {_key(session, key): words for key, words in commands.items()}


def _key(session: Session, key: str) -> str:
    return f"s{session.id[1:]}_{key}"


def _digest(parts: Mapping[str, bytes], keys: Sequence[str]) -> str:
    digest = hashlib.sha256()
    for key in keys:
        text = parts.get(key, b"")
        digest.update(f"{key} {len(text)} ".encode())
        digest.update(text)
    return digest.hexdigest()
