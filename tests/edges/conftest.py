"""The tmux door, opened onto the private server of a box."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from sidecar.config import TmuxSettings
from sidecar.edges.tmux import birth
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.server import find_server
from tests.box import TmuxBox, eventually
from tests.door import open_door


@pytest.fixture(autouse=True)
def no_unit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever unit the tests run in, it is no matter of theirs."""
    monkeypatch.setattr(birth, "_own_cgroup", lambda: "0::/\n")


@pytest.fixture
def runner(tmux: TmuxBox) -> Iterator[TmuxRunner]:
    yield TmuxRunner(TmuxSettings(socket_name=tmux.name, timeout=5.0), tmux.environment)
    # The box itself only finds a server that answers.
    if pid := find_server(tmux.socket):
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: not find_server(tmux.socket), "the end of the server")


@pytest.fixture
def door(tmux: TmuxBox, runner: TmuxRunner) -> TmuxDoor:
    return open_door(tmux, runner)
