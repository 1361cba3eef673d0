"""The demo heals what it injures, leaves nothing behind, and says what README says it does."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_demo_heals_everything_and_leaves_nothing() -> None:
    # Not pytest's own folder: a socket's path may have 107 characters at most.
    with tempfile.TemporaryDirectory(prefix="sc-") as folder:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "sidecar", "demo"],
            env=os.environ | {"TMPDIR": folder}, capture_output=True, text=True, timeout=90, check=False,
            cwd=ROOT,
        )  # fmt: skip
        assert os.listdir(folder) == []
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "4 of 4 injuries healed and verified; 7 panes are there" in done.stdout
    # Line by line: more evidence than README shows may have been there in time.
    assert set(transcript()) <= set(without_numbers(done.stdout).splitlines())


def transcript() -> list[str]:
    """The lines of README's first transcript."""
    block = (ROOT / "README.md").read_text().split("$ sidecar demo\n")[1].split("```")[0]
    return without_numbers(block).splitlines()


def without_numbers(text: str) -> str:
    return re.sub(r"\d+", "N", text)
