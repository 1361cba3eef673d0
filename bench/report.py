"""The table for people, and the same as JSON."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.line import Line, Sample, Unit

_COLUMNS = ("case", "figure", "spread", "baseline", "ratio", "target", "")


def table(lines: Sequence[Line]) -> str:
    """Aligned columns; medians, with the least and the most beside them."""
    rows = [_COLUMNS, *(_row(line) for line in lines)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    text = [
        "  ".join(word.ljust(width) for word, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    notes = [f"  {line.name}: {line.note}" for line in lines if line.note]
    return "\n".join([*text, *(["", "notes", *notes] if notes else [])])


def summary(lines: Sequence[Line]) -> str:
    """How many of the targets were reached."""
    counted = [line.reached for line in lines if line.reached is not None]
    return f"{sum(counted)} of {len(counted)} targets reached"


def described() -> str:
    """The machine in one line."""
    facts = machine()
    load = " ".join(map(str, facts["load"]))
    return (
        f"{facts['cores']} cores, load {load}, Linux {facts['kernel']}, {facts['tmux']}, "
        f"Python {facts['python']}"
    )


def write_json(path: Path, lines: Sequence[Line]) -> None:
    """Everything, the single values too."""
    document = {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "lines": [_as_json(line) for line in lines],
    }
    path.write_text(json.dumps(document, indent=1) + "\n")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    tmux = subprocess.run(
        ["tmux", "-V"], capture_output=True, text=True, timeout=10, check=True
    ).stdout.strip()
    return {
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "tmux": tmux,
        "load": [round(load, 2) for load in os.getloadavg()],
    }


def _row(line: Line) -> tuple[str, ...]:
    figure, unit = line.figure, line.unit
    spread = f"{_number(figure.low, unit)} to {show(figure.high, unit)}" if len(figure.values) > 1 else ""
    target = f"{line.target} (goal {show(line.goal, unit)})" if line.goal is not None else line.target
    return (
        line.name,
        show(figure.median, unit),
        spread,
        show(line.baseline.median, unit) if line.baseline else "",
        f"{line.ratio:.2f}" if line.ratio is not None else "",
        target,
        _verdict(line),
    )


def _verdict(line: Line) -> str:
    word = {True: "reached", False: "MISS", None: ""}[line.reached]
    missed = line.goal is not None and line.figure.median > line.goal
    return f"{word}, goal missed" if missed else word


def show(value: float, unit: Unit) -> str:
    """A value in the unit that people read."""
    return f"{_number(value, unit)} {_READ[unit][1]}"


_READ = {Unit.SECONDS: (1e3, "ms"), Unit.BYTES: (1e-6, "MB"), Unit.CORE: (100.0, "%")}


def _number(value: float, unit: Unit) -> str:
    scaled = value * _READ[unit][0]
    return f"{scaled:.0f}" if scaled >= 100 else f"{scaled:.1f}" if scaled >= 1 else f"{scaled:.2f}"


def _as_json(line: Line) -> dict[str, Any]:
    return asdict(line) | {"ratio": line.ratio, "reached": line.reached, **_medians(line)}


def _medians(line: Line) -> dict[str, float]:
    samples: dict[str, Sample | None] = {"figure_median": line.figure, "baseline_median": line.baseline}
    return {key: sample.median for key, sample in samples.items() if sample is not None}
