"""``sidecar demo``: a private tmux server, a real session, four injuries, and what came of each.

Everything happens below a temporary folder, on a socket of its own; nothing is left behind.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from sidecar.app import Sidecar
from sidecar.clock import SystemClock
from sidecar.config import HttpSettings, RecoverySettings, SessionSettings, Settings, TmuxSettings
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.errors import SidecarError, TmuxAbsent, TmuxUnknown
from sidecar.model.policy import Restore
from sidecar.model.record import RecoveryRow
from sidecar.model.session import Health
from sidecar.serve import run_loop

NAME = "demo"
_PATIENCE = 20.0
_PAUSE = 0.02


@dataclass(slots=True)
class Stage:
    """The private server and the sidecar that looks after it."""

    runner: TmuxRunner
    sidecar: Sidecar
    clock: SystemClock
    told: int = 0
    """Id of the last recovery that was told."""

    async def tmux(self, *arguments: str) -> str:
        return (await self.runner.call(*arguments)).decode().strip()

    async def until(self, what: str, question: Callable[[], Awaitable[bool]]) -> None:
        deadline = self.clock.monotonic() + _PATIENCE
        while not await question():
            if self.clock.monotonic() > deadline:
                raise TmuxUnknown(f"{what} did not come about", hint="Is the machine very busy? Try again.")
            await self.clock.sleep(_PAUSE)

    async def next_recovery(self) -> RecoveryRow:
        """The next recovery that ends."""
        found: list[RecoveryRow] = []

        async def ended() -> bool:
            rows = await self.sidecar.desk.recoveries(5)
            found[:] = [row for row in rows if row.id > self.told and row.ended is not None]
            return bool(found)

        await self.until("a recovery", ended)
        self.told = found[-1].id
        row = await self.sidecar.desk.recovery(self.told)
        assert row is not None
        return row


async def kill_process(stage: Stage) -> None:
    """kill -9 of the program in one pane"""
    os.kill(
        int(await stage.tmux("display-message", "-p", "-t", f"={NAME}:serve.0", "#{pane_pid}")),
        signal.SIGKILL,
    )


async def kill_session(stage: Stage) -> None:
    """tmux kill-session"""
    await stage.tmux("kill-session", "-t", f"={NAME}")


async def kill_server(stage: Stage) -> None:
    """kill -9 of the tmux server"""
    os.kill(int(await stage.tmux("display-message", "-p", "#{pid}")), signal.SIGKILL)


async def remove_socket(stage: Stage) -> None:
    """rm of the server's socket"""
    stage.runner.socket.unlink()


INJURIES = (kill_process, kill_session, kill_server, remove_socket)


def main() -> int:
    """Play it. Returns the exit status: 0 when every injury was healed and verified."""
    folder = Path(tempfile.mkdtemp(prefix="sidecar-demo-"))
    try:
        return run_loop(_play(folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _play(folder: Path) -> int:
    environment = {**os.environ, "TMUX_TMPDIR": str(folder), "SHELL": "/bin/sh", "HOME": str(folder)}
    runner = TmuxRunner(TmuxSettings(socket_name="demo"), environment)
    settings = Settings(
        tmux=runner.settings,
        sessions=SessionSettings(restore=Restore.ALWAYS),
        recovery=RecoverySettings(),
        http=HttpSettings(listen=("127.0.0.1:0",)),
    )
    sidecar = Sidecar(settings, folder / "state", environment=environment, log_level="error")
    stage = Stage(runner, sidecar, SystemClock())
    try:
        await _build(stage, folder)
        await sidecar.start()
        try:
            return await _injure_all(stage)
        finally:
            await sidecar.stop()
    finally:
        with contextlib.suppress(SidecarError):
            await stage.tmux("kill-server")
        await _gone(stage)


async def _build(stage: Stage, folder: Path) -> None:
    """Three windows, seven panes, with programs that people really leave running."""
    log = folder / "app.log"
    log.write_text("".join(f"line {number}\n" for number in range(200)))
    python = shlex.quote(sys.executable)
    start = ("-f", "/dev/null", "new-session", "-d", "-s", NAME, "-x", "200", "-y", "50", "-n", "serve")
    await stage.tmux(*start, f"{python} -m http.server --bind 127.0.0.1 0")
    await stage.tmux("split-window", "-t", f"={NAME}:serve", "while sleep 1; do date; done")
    await stage.tmux("split-window", "-h", "-t", f"={NAME}:serve", f"tail -f {shlex.quote(str(log))}")
    await stage.tmux("new-window", "-t", f"={NAME}:", "-n", "look", "top")
    await stage.tmux("split-window", "-t", f"={NAME}:look", f"less {shlex.quote(str(log))}")
    await stage.tmux("new-window", "-t", f"={NAME}:", "-n", "shell")
    await stage.tmux("split-window", "-h", "-t", f"={NAME}:shell")
    await stage.tmux("send-keys", "-t", f"={NAME}:shell.0", "echo this line is history", "Enter")


async def _injure_all(stage: Stage) -> int:
    async def ready() -> bool:
        # A look has shown it healthy: from then on the end of its server, too, is told with how it ended.
        return any(
            one.name == NAME and one.health is Health.HEALTHY and one.checkpoints > 0
            for one in stage.sidecar.status.sessions
        )

    await stage.until("a checkpoint", ready)
    print("a session of 3 windows and 7 panes on a private tmux server")
    healed = 0
    for injury in INJURIES:
        await injury(stage)
        row = await stage.next_recovery()
        _tell(injury, row)
        healed += row.state == "verified"
        await stage.until("a session in good order", ready)
    panes = (await _panes(stage)).splitlines()
    print(f"\n{healed} of {len(INJURIES)} injuries healed and verified; {len(panes)} panes are there")
    return 0 if healed == len(INJURIES) and len(panes) == 7 else 1


def _tell(injury: Callable[[Stage], Awaitable[None]], row: RecoveryRow) -> None:
    print(f"\n{injury.__doc__}")
    for fact in row.evidence:
        print(f"  evidence  {fact['fact']}")
    print(f"  cause     {row.cause}")
    print(f"  plan      {row.strategy}: {', '.join(step.description for step in row.steps)}")
    took = f" in {row.time_to_recovery * 1000:.0f} ms from the first sign" if row.time_to_recovery else ""
    print(f"  verdict   {row.verdict}{took}")


async def _panes(stage: Stage) -> str:
    return await stage.tmux("list-panes", "-s", "-t", f"={NAME}", "-F", "#{pane_id}")


async def _gone(stage: Stage) -> None:
    async def absent() -> bool:
        try:
            await stage.tmux("list-sessions")
        except (TmuxAbsent, TmuxUnknown):
            return True
        return False

    await stage.until("the end of the private server", absent)
