"""Private tmux servers, a service beside them, and doors opened onto them. All of it goes again."""

from __future__ import annotations

import json
import os
import select
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from bench.measure import be_still, wait_for
from bench.shapes import COMMAND, Shape, fill, run_raw
from sidecar.clock import Clock, SystemClock
from sidecar.config import Settings, TmuxSettings
from sidecar.decide import retain
from sidecar.edges.logs import JsonLog
from sidecar.edges.metrics import Metrics
from sidecar.edges.store import Store
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.ward import Ward
from sidecar.model.session import Operation, Session
from sidecar.model.status import Status
from tests.box import SidecarBox, TmuxBox, sidecar_box, tmux_box
from tests.door import open_door

_KEEPER = "keeper"
"""A session that nobody manages: it keeps the server alive when the others are closed."""
_SETTINGS = f"""
sessions: {{restore: always, ignore: [{_KEEPER}]}}
recovery: {{budget: {{per_session: 10000 per 10m, global: 10000 per 10m}}}}
notify: [{{tmux: false}}]
"""
_FILE = "bench.yml"
_PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Recovered:
    """A verified recovery, by the service's own account."""

    took: float
    """Seconds from the first sign to verified."""
    ended: float
    """Wall seconds."""

    @property
    def seen(self) -> float:
        """Wall seconds of the first sign."""
        return self.ended - self.took


@dataclass
class Stage:
    """A private server with a running service, and another one for the raw commands."""

    tmux: TmuxBox
    raw: TmuxBox
    sidecar: SidecarBox
    _read: int = field(default=0)

    @property
    def pid(self) -> int:
        assert self.sidecar.process is not None
        return self.sidecar.process.pid

    def manage(self, shapes: dict[str, Shape], lines: int = 0) -> None:
        """Build these sessions, with so many lines in every pane, and wait until the book has them so."""
        run_raw(self.tmux, shapes)
        wait_for(lambda: self._stored(shapes), f"checkpoints of {len(shapes)} sessions", _PATIENCE)
        if lines:
            for name in shapes:
                fill(self.tmux, name, lines)
            # Output is stored at every interval, structure at once.
            wait_for(lambda: self._stored(shapes, 2), f"checkpoints of {lines} lines", _PATIENCE)
        self.settle()

    def end_rehearsals(self) -> None:
        """From here on it is as though each session had been rehearsed already."""
        self.said()
        (self.tmux.folder / _FILE).write_text(f"{_SETTINGS}checkpoints: {{rehearse: off}}\n")
        os.kill(self.pid, signal.SIGHUP)
        wait_for(lambda: any(line["action"] == "config_reloaded" for line in self.said()), "a reload")

    def settle(self) -> None:
        """Wait until the service has done what it had to do, and forget what it has said."""
        be_still(self.pid)
        self.said()

    def said(self) -> list[dict[str, Any]]:
        """What the service has logged since the last call. Asking it would slow it down."""
        with self.sidecar.log.open("rb") as file:
            file.seek(self._read)
            raw = file.read()
        whole = raw[: raw.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines() if line.startswith(b"{")]

    def recovered(self, count: int = 1) -> list[Recovered]:
        """Wait for the ends of so many recoveries.

        Raises:
            RuntimeError: one was not verified.
        """
        ended: list[dict[str, Any]] = []

        def all_there() -> bool:
            ended.extend(line for line in self.said() if line["action"] == "recovery_ended")
            return len(ended) >= count

        wait_for(all_there, f"the end of {count} recoveries", _PATIENCE)
        bad = [line for line in ended if line["outcome"] != "verified"]
        if bad:
            raise RuntimeError(f"a recovery was not verified: {bad[0]['verdict']}")
        rows = self.sidecar.get(f"/api/v1/recoveries?limit={count}")["recoveries"]
        return [Recovered(row["time_to_recovery"], row["ended"]) for row in rows]

    def _stored(self, shapes: dict[str, Shape], count: int = 1) -> bool:
        known = self.sidecar.sessions()
        return all(known.get(name, {}).get("checkpoints", 0) >= count for name in shapes)


@contextmanager
def servers() -> Iterator[tuple[TmuxBox, TmuxBox]]:
    """A server for us and one for the raw commands, each kept alive by a session of its own."""
    with tmux_box() as tmux, tmux_box() as raw:
        for box in (tmux, raw):
            start_anew(box)
        yield tmux, raw


def start_anew(tmux: TmuxBox) -> None:
    """A new server in place of the one that runs, if one does: how fast one forks depends on its past."""
    if pid := tmux.server_pid():
        kill(pid)
    history = ("set-option", "-g", "history-limit", "50000")
    tmux.run(*history, ";", "new-session", "-d", "-s", _KEEPER, COMMAND)


def kill(server: int) -> None:
    """kill -9, to the end of a process that is not our child."""
    descriptor = os.pidfd_open(server)
    os.kill(server, signal.SIGKILL)
    select.select([descriptor], [], [], 10.0)
    os.close(descriptor)


@contextmanager
def stage(more: str = "") -> Iterator[Stage]:
    """The service runs beside its server, and knows of no session yet; ``more`` goes into its file."""
    with servers() as (tmux, raw):
        settings = tmux.folder / _FILE
        settings.write_text(_SETTINGS + more)
        with sidecar_box(tmux, "--config", str(settings)) as sidecar:
            yield Stage(tmux, raw, sidecar)
            sidecar.stop(signal.SIGTERM)


@dataclass(frozen=True)
class Workshop:
    """The doors of the service and its checkpointer, in this process, on a server and a folder."""

    ward: Ward
    tmux: TmuxDoor
    store: Store
    checkpointer: Checkpointer

    async def session(self, name: str) -> Session:
        """The session as it is now.

        Raises:
            RuntimeError: it is not there.
        """
        self.ward.look = await self.tmux.look()
        found = self.ward.look.find(name)
        if found is None:
            raise RuntimeError(f"{name} is not there: {self.ward.look.reason}")
        return found

    async def save(self, session: Session) -> None:
        """Checkpoint it, if it has changed."""
        await self.checkpointer.save(session, Operation.REQUESTED)

    async def restore(self, name: str) -> None:
        """Build the newest checkpoint, as a recovery does."""
        checkpoint = await self.store.newest_checkpoint(name)
        if checkpoint is None:
            raise RuntimeError(f"{name} has no checkpoint")
        digests = {pane.scrollback for window in checkpoint.image.windows for pane in window.panes} - {""}
        texts = {digest: (await self.store.scrollback(digest)).text for digest in digests}
        await self.tmux.rebuild(checkpoint.image, texts)


@contextmanager
def workshop(tmux: TmuxBox) -> Iterator[Workshop]:
    """One with an empty store; its folder goes with the server's."""
    clock = SystemClock()
    ward = Ward(Settings())
    meter, log = Metrics(CollectorRegistry(), Status, version="bench", python=""), JsonLog(clock, "error")
    door = open_doors(tmux)
    store = open_store(Path(tempfile.mkdtemp(dir=tmux.folder)), clock)
    try:
        yield Workshop(ward, door, store, Checkpointer(ward, door, store, clock, meter, log, lambda: None))
    finally:
        store.close()


def open_doors(tmux: TmuxBox) -> TmuxDoor:
    """The tmux door of the service, onto this server."""
    return open_door(tmux, TmuxRunner(TmuxSettings(socket_name=tmux.name, timeout=5.0), tmux.environment))


def open_store(folder: Path, clock: Clock) -> Store:
    """A store that tells nobody what it does."""
    return Store(
        folder, clock, retain.keep,
        on_corrupt=lambda count: None, on_write=lambda seconds: None, on_audit=lambda rows: None,
    )  # fmt: skip
