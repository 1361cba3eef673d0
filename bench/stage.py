"""Private tmux servers, a service beside them, and doors opened onto them. All of it goes again."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.measure import be_still, wait_for
from bench.shapes import COMMAND, Shape, run_raw
from sidecar.config import TmuxSettings
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from tests.box import SidecarBox, TmuxBox, sidecar_box, tmux_box
from tests.door import open_door

_KEEPER = "keeper"
"""A session that nobody manages: it keeps the server alive when the others are closed."""
_SETTINGS = f"""
sessions: {{restore: always, ignore: [{_KEEPER}]}}
recovery: {{budget: {{per_session: 10000 per 10m, global: 10000 per 10m}}}}
notify: [{{tmux: false}}]
"""
_PATIENCE = 60.0


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

    def manage(self, shapes: dict[str, Shape]) -> None:
        """Build these sessions, and wait until the service has them in its book."""
        run_raw(self.tmux, shapes)
        wait_for(lambda: self._stored(shapes), f"checkpoints of {len(shapes)} sessions", _PATIENCE)
        self.settle()

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

    def recovered(self, count: int) -> list[float]:
        """Wait for the ends of so many recoveries: seconds from first sign to verified, each.

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
        return [float(line["seconds"]) for line in ended]

    def _stored(self, shapes: dict[str, Shape]) -> bool:
        known = self.sidecar.sessions()
        return all(known.get(name, {}).get("checkpoints", 0) for name in shapes)


@contextmanager
def stage() -> Iterator[Stage]:
    """Both servers run, each with its keeper; the service runs and knows of no session yet."""
    with tmux_box() as tmux, tmux_box() as raw:
        for box in (tmux, raw):
            box.run("new-session", "-d", "-s", _KEEPER, COMMAND)
        settings = tmux.folder / "bench.yml"
        settings.write_text(_SETTINGS)
        with sidecar_box(tmux, "--config", str(settings)) as sidecar:
            yield Stage(tmux, raw, sidecar)
            sidecar.stop(signal.SIGTERM)


def open_doors(tmux: TmuxBox) -> TmuxDoor:
    """The tmux door of the service, onto this server."""
    return open_door(tmux, TmuxRunner(TmuxSettings(socket_name=tmux.name, timeout=5.0), tmux.environment))
