"""The page about supervision says what the reader takes, and names every state."""

from __future__ import annotations

import re
from pathlib import Path

from sidecar import config_read
from sidecar.model.supervise import ProgramState

PAGE = (Path(__file__).parents[2] / "docs" / "supervision.md").read_text()


def test_every_example_can_be_loaded() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    assert len(examples) == 2
    for example in examples:
        config_read.parse(example, "supervision.md")


def test_every_state_is_explained() -> None:
    told = re.findall(r"^\| `(\w+)` \|", PAGE.partition("## Where it shows")[2], re.MULTILINE)
    assert set(ProgramState) <= set(told)
