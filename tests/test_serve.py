"""What the service does before its loop begins."""

from __future__ import annotations

import logging
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest

from sidecar import serve
from sidecar.config import Settings
from sidecar.config_lastgood import Start
from sidecar.edges.logs import LibraryHandler


@pytest.fixture
def root_handlers() -> Iterator[list[logging.Handler]]:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    try:
        yield root.handlers
    finally:
        root.handlers[:] = kept
        root.setLevel(level)
        logging.captureWarnings(False)


def test_what_libraries_log_takes_our_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root_handlers: list[logging.Handler]
) -> None:
    def no_loop(work: Coroutine[Any, Any, None]) -> None:
        work.close()

    monkeypatch.setattr(serve, "run_loop", no_loop)
    assert serve.serve(Start(Settings()), Settings, tmp_path / "state") == 0
    assert [type(handler) for handler in root_handlers] == [LibraryHandler]
