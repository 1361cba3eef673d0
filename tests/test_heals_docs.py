"""The page about heals: every example is one that can be loaded, and every kind and key is told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sidecar import config_heals, config_read
from sidecar.model.heal import Heal, HealKind, kind_of

PAGE = (Path(__file__).parents[1] / "docs/heals.md").read_text()
EXAMPLES = [
    example
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    for example in re.split(r"^(?=heal:)", block, flags=re.MULTILINE)
    if example
]


def heals(example: str) -> tuple[Heal, ...]:
    """What an example means, as the heal of a check."""
    indented = "".join(f"    {line}\n" for line in example.splitlines())
    text = f"checks:\n  - name: x\n    tcp: 127.0.0.1:80\n{indented}"
    return config_read.parse(text, "f").checks[0].heal


@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_can_be_loaded(example: str) -> None:
    assert heals(example)


def test_every_kind_is_told_and_most_are_shown() -> None:
    assert [kind for kind in HealKind if f"`{kind}`" not in PAGE] == []
    shown = {kind_of(heal) for example in EXAMPLES for heal in heals(example)}
    assert {*HealKind} - shown <= {HealKind.RESPAWN, HealKind.DROP_CACHES, HealKind.TRIM_HISTORY}


@pytest.mark.parametrize(
    ("section", "keys"),
    [
        ("signal", config_heals._SIGNAL), ("command", config_heals._COMMAND),
        ("delete", config_heals._DELETE), ("rotate", config_heals._ROTATE),
        ("restart_unit", config_heals._UNIT), ("webhook", config_heals._WEBHOOK),
    ],
)  # fmt: skip
def test_every_key_is_told(section: str, keys: dict[str, object]) -> None:
    told = PAGE.split(f"\n## `{section}`\n")[1].split("\n## ")[0]
    assert [key for key in keys if not re.search(rf"\b{key}\b", told)] == []
