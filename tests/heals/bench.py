"""What the tests of heals share: a door of their own, processes to be healed, and calls."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sidecar.clock import SystemClock
from sidecar.edges.heals.door import HealDoor
from sidecar.model.heal import Heal, HealCall

LISTENS = """
import os, signal
def tell(number, _):
    os.write(1, signal.Signals(number).name.encode() + b"\\n")
for name in ("SIGHUP", "SIGTERM", "SIGUSR1"):
    signal.signal(getattr(signal, name), tell)
os.write(1, b"ready\\n")
while True:
    signal.pause()
"""
"""A program that says which signals it gets, and ends by none of them."""


def door(folder: Path) -> HealDoor:
    """One with its state in a folder of its own."""
    state = folder / "state"
    state.mkdir(exist_ok=True)
    return HealDoor(state, SystemClock())


def call(heal: Heal, **facts: Any) -> HealCall:
    return HealCall(**{"heal": heal, "mark": "trace-1", "check": "api", "subject": "web", **facts})


@contextmanager
def listening(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A process that says which signals it gets; ``words`` are on its command line."""
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", LISTENS, *words], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def heard(process: subprocess.Popen[str]) -> str:
    """The next signal that it tells of."""
    assert process.stdout is not None
    return process.stdout.readline().strip()
