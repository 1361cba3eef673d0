"""Which folders are there, without waiting for a disk that does not answer.

A network file system whose server is gone holds whoever asks about it for ever. What is asked is asked in
threads of their own, so that it holds up neither a recovery nor the pool that everything else works in.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from functools import partial

_PATIENCE = 2.0
"""Seconds that one folder is waited for. On a busy machine a thread comes late, and a folder that is taken to
be missing is left for another."""


class Folders:
    """Remembers which ones do not answer, and asks none of them a second time meanwhile."""

    def __init__(self, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._told = threading.Condition()
        self._hanging: set[str] = set()

    def real(self, paths: Iterable[str]) -> dict[str, str]:
        """Those that are there, each with the one that it really is; what does not answer is left out.

        Blocks for two seconds for each that begins to hang.
        """
        with self._told:
            left: Sequence[str] = [path for path in dict.fromkeys(paths) if path not in self._hanging]
        found: dict[str, str] = {}
        while left:
            answers: dict[str, str] = {}
            # The end of the process waits for no daemon.
            work = threading.Thread(
                target=self._go_through, args=(left, answers), name="folders", daemon=True
            )
            work.start()
            left = self._wait(left, answers)
            with self._told:
                found |= answers
        return {path: real for path, real in found.items() if real}

    def _wait(self, paths: Sequence[str], answers: dict[str, str]) -> Sequence[str]:
        """Wait for the answers; those that are still to be asked, behind one that hangs."""
        with self._told:
            for number, path in enumerate(paths):
                if not self._told.wait_for(partial(answers.__contains__, path), self._patience):
                    self._hanging.add(path)
                    return paths[number + 1 :]
        return ()

    def _go_through(self, paths: Sequence[str], answers: dict[str, str]) -> None:
        for path in paths:
            real = os.path.realpath(path) if os.path.isdir(path) else ""
            with self._told:
                answers[path] = real
                self._told.notify_all()
                if path in self._hanging:
                    # Nobody waits for this any more; others ask about the rest.
                    self._hanging.discard(path)
                    return
