"""A window of an adopted session whose processes were killed: the watcher builds it again, and it alone."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping, Sequence

import pytest

from sidecar import app
from sidecar.app import Sidecar
from sidecar.config import HttpSettings, Settings, TmuxSettings
from sidecar.decide.detect import Expected
from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.record import RecoveryRow
from sidecar.model.session import Look
from tests.box import PATIENCE, TmuxBox


class Told:
    """Stands in the place of an examiner, and says what a comparison of two looks says of a lost window."""

    def __init__(self, *doors: object) -> None:
        self._seen = False

    @property
    def causes(self) -> frozenset[Cause]:
        return frozenset()

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        live = look.find("web") if "web" in free else None
        if live is None:
            return ()
        there = any(window.index == 5 for window in live.windows)
        self._seen = self._seen or there
        if there or not self._seen:
            return ()
        failure = Failure("web", FailureKind.CRASHED, (Broken(Unit.WINDOW, window=5),), look.taken)
        fact = Evidence("order", "its processes were killed, and tmux removed the window")
        return (Finding(failure, Cause.PROCESS_KILLED, Intent.FAILURE, (fact,), "web@1"),)

    async def still(self, finding: Finding, look: Look) -> bool:
        raise AssertionError("nothing is owned")


async def recovered(sidecar: Sidecar) -> RecoveryRow:
    async with asyncio.timeout(PATIENCE):
        while True:
            for row in await sidecar._store.recoveries(5, session="web"):
                if row.state == "verified":
                    return row
            await asyncio.sleep(0.02)


async def test_it_comes_back_from_the_newest_checkpoint_that_has_it(
    tmux: TmuxBox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(app, "ShapeExaminer", Told)
    tmux.run("new-session", "-d", "-s", "web", "-n", "one", "sleep 5000")
    tmux.run("new-window", "-d", "-t", "=web:5", "-n", "five", "-c", str(tmux.folder), "sleep 5001")
    tmux.run("split-window", "-d", "-t", "=web:5", "sleep 5002")
    tmux.run("select-layout", "-t", "=web:5", "even-horizontal")
    tmux.run("set-option", "-w", "-t", "=web:5", "@mine", "#(touch pwned)")
    settings = Settings(tmux=TmuxSettings(socket_name=tmux.name), http=HttpSettings(listen=("127.0.0.1:0",)))
    sidecar = Sidecar(settings, tmux.folder / "state", environment=tmux.environment, log_level="error")
    await sidecar.start()
    try:
        shown = "#{window_index} #{window_name} #{pane_index} #{pane_start_command} #{@mine}"
        async with asyncio.timeout(PATIENCE):
            while not any(one.checkpoints for one in sidecar.status.sessions):
                await asyncio.sleep(0.02)
        before, sibling = tmux.panes(shown), tmux.panes("#{pane_pid}")[0]
        tmux.run("set-option", "-w", "-t", "=web:5", "remain-on-exit", "off")
        for pid in tmux.panes("#{pane_pid}")[1:]:
            os.kill(int(pid), signal.SIGKILL)
        row = await recovered(sidecar)
        assert (row.strategy, row.cause) == ("rebuild_window", "process_killed")
        assert tmux.panes(shown) == before
        assert tmux.panes("#{pane_pid}")[0] == sibling
        assert not list(tmux.folder.rglob("pwned"))
    finally:
        await sidecar.stop()
