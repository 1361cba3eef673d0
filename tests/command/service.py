"""The command line as a person uses it, pointed at one state folder."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from sidecar.cli import main

_TWO_WORDS = (
    ("circuits", "reset"), ("circuits", "open"), ("silence", "list"), ("silence", "end"), ("silence", "add"),
    ("incidents", "list"), ("incidents", "show"), ("checks", "run"), ("notify", "test"),
)  # fmt: skip


def run(state: Path, *words: str) -> Result:
    """One command, of one word or of two; ``--state`` comes right behind it."""
    place = 2 if words[0] in ("checkpoint", "audit") or words[:2] in _TWO_WORDS else 1
    environment = {"XDG_CONFIG_HOME": str(state / "none"), "NO_COLOR": "1"}
    return CliRunner(env=environment).invoke(main, [*words[:place], "--state", str(state), *words[place:]])
