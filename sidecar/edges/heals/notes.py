"""What a heal has to know of an attempt that was cut off: a small file for each recovery that needs one.

Written before the effect, and read by the attempt after it. They go by themselves after a day.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from sidecar.clock import Clock

_KEPT = 86_400.0


class Notes:
    """A folder of them. Every method blocks for a small file or two."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def read(self, mark: str) -> Mapping[str, float]:
        """What was noted under this mark; nothing where nothing was, or it is damaged."""
        try:
            found = json.loads(self._file(mark).read_text())
        except (OSError, ValueError):
            return {}
        sound = isinstance(found, dict) and all(isinstance(each, int | float) for each in found.values())
        return found if sound else {}

    def write(self, mark: str, facts: Mapping[str, float]) -> None:
        """Note it. A disk that takes nothing keeps nobody from healing: then an attempt may come twice."""
        with contextlib.suppress(OSError):
            self._folder.mkdir(mode=0o700, exist_ok=True)
            self._forget_old()
            file = self._file(mark)
            fresh = file.with_suffix(".new")
            fresh.write_text(json.dumps(dict(facts)))
            os.replace(fresh, file)

    def _forget_old(self) -> None:
        for each in self._folder.iterdir():
            if self._clock.wall() - each.stat().st_mtime > _KEPT:
                each.unlink(missing_ok=True)

    def _file(self, mark: str) -> Path:
        return self._folder / hashlib.sha256(mark.encode()).hexdigest()[:32]
