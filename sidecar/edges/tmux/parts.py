"""One client's answer in several parts, each behind a line with a word that nothing else can hold. Pure."""

from __future__ import annotations

import re
import secrets

from sidecar.edges.tmux.text import command

END = "end"
"""The key of the line that ends a whole answer."""


def new_mark() -> str:
    """A word that no captured text can hold."""
    return f"sidecar-{secrets.token_hex(12)}"


def mark_line(mark: str, key: str) -> str:
    """The command that begins a part (or ends the answer)."""
    return command("display-message", "-p", f"{mark} {key}")


def part(mark: str, key: str, *arguments: str) -> str:
    """A command whose output is the part ``key``."""
    return f"{mark_line(mark, key)} ; {command(*arguments)}"


def read_parts(raw: bytes, mark: str) -> dict[str, bytes]:
    """The parts by key; :data:`END` is among them only if the answer is whole."""
    pieces = re.split(rb"^" + mark.encode() + rb" (\w+)\n", raw, flags=re.MULTILINE)
    return {key.decode(): body for key, body in zip(pieces[1::2], pieces[2::2], strict=True)}
