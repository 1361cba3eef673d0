"""How hard the machine is pressed, by the kernel's own account where it gives one. Blocks for a moment."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sidecar.model.record import Pressure

_SOME = re.compile(r"^some avg10=([0-9.]+)", re.MULTILINE)
_KERNEL = Path("/proc/pressure")
_MEMORY = re.compile(r"^(MemTotal|MemAvailable): +(\d+) kB$", re.MULTILINE)


def read(folder: Path = _KERNEL) -> Pressure:
    """The pressure now. ``folder`` holds the kernel's pressure files, which not every kernel has."""
    memory = {name: int(amount) for name, amount in _MEMORY.findall(Path("/proc/meminfo").read_text())}
    return Pressure(
        memory_available=memory["MemAvailable"] / memory["MemTotal"],
        load=os.getloadavg()[0] / (os.cpu_count() or 1),
        cpu_stalled=_stalled(folder / "cpu"),
        memory_stalled=_stalled(folder / "memory"),
    )


def _stalled(file: Path) -> float | None:
    try:
        found = _SOME.search(file.read_text())
    except OSError:
        # Absent, or there and refused, as where pressure accounting is switched off at boot.
        return None
    return float(found[1]) if found else None
