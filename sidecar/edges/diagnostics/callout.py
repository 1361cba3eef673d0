"""Asking a program to print its own stacks, by a signal that it is known to handle."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator, Sequence
from functools import partial

from sidecar.edges.process import small_file
from sidecar.edges.stopped import signal_one
from sidecar.model.diagnostics import MOST_STACKS, ProcessFacts

_CAUGHT = re.compile(rb"^SigCgt:\s*([0-9a-f]+)$", re.MULTILINE)


def call_out(processes: Sequence[ProcessFacts], name: str) -> tuple[str, ...]:
    """Send SIG``name`` to each of these that handles it. Returns why one was not sent it, for each such."""
    return tuple(_not_sent(processes[:MOST_STACKS], signal.Signals[f"SIG{name}"]))


def _not_sent(processes: Sequence[ProcessFacts], number: signal.Signals) -> Iterator[str]:
    for one in processes:
        if one.state == "T":
            yield f"process {one.pid} is stopped, and could not print its stacks"
        elif not handles(one.pid, number):
            yield f"process {one.pid} does not handle {number.name}, and was not sent it"
        elif not signal_one(one.pid, one.started, number, partial(handles, one.pid, number)):
            yield f"process {one.pid} could not be sent {number.name}"


def handles(pid: int, number: signal.Signals) -> bool:
    """Whether the process has a handler for the signal: what has none is ended by it, or deaf to it."""
    found = _CAUGHT.search(small_file(f"/proc/{pid}/status"))
    return found is not None and bool(int(found[1], 16) >> (number - 1) & 1)
