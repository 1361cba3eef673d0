"""A private tmux server and a running sidecar for it, for tests on the real thing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chaos.checker import check
from sidecar.config import RecoverySettings
from sidecar.config_read import load
from sidecar.edges.tmux.server import find_server
from sidecar.errors import ConfigInvalid

PATIENCE = 60.0
"""Seconds that a condition may take before the test gives up; nothing waits longer than it has to."""


def eventually(question: Callable[[], Any], what: str = "the condition", patience: float = PATIENCE) -> Any:
    """Ask until the answer is true."""
    deadline = time.monotonic() + patience
    pause = threading.Event()
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come about within {patience:g} s")
        pause.wait(0.02)


@dataclass
class TmuxBox:
    """A tmux server of our own, below a folder of our own."""

    folder: Path
    name: str = "box"

    @property
    def environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in ("TMUX", "TMUX_PANE")}
        return {**kept, "TMUX_TMPDIR": str(self.folder), "SHELL": "/bin/bash", "HOME": str(self.folder)}

    @property
    def socket(self) -> Path:
        return self.folder / f"tmux-{os.getuid()}" / self.name

    def run(self, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(
            ["tmux", "-u", "-L", self.name, "-f", "/dev/null", *arguments],
            env=self.environment, capture_output=True, text=True, timeout=20, cwd=self.folder, check=False,
        )  # fmt: skip
        if check and done.returncode:
            raise AssertionError(f"tmux {arguments}: {done.stderr}")
        return done.stdout.rstrip("\n")

    def show(self, target: str, what: str) -> str:
        return self.run("display-message", "-p", "-t", target, what)

    def server_pid(self) -> int:
        answer = self.run("list-sessions", "-F", "#{pid}", check=False)
        return int(answer.splitlines()[0]) if answer else 0

    def sessions(self) -> set[str]:
        return set(self.run("list-sessions", "-F", "#{session_name}", check=False).splitlines())

    def panes(self, fields: str) -> list[str]:
        return self.run("list-panes", "-a", "-F", fields, check=False).splitlines()

    def lose(self) -> None:
        """kill -9 of the server, if one answers, and nobody listens any more.

        The kernel closes a killed process's socket a moment after the process is gone.
        """
        if pid := self.server_pid():
            os.kill(pid, signal.SIGKILL)
        eventually(self._nobody_listens, "the server's end")

    def _nobody_listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(self.socket))
            except OSError:
                return True
        return False

    def close(self) -> None:
        """End every server of ours, also one that is stopped or has lost its socket."""
        for socket_file in {self.socket, *self.socket.parent.glob("*")}:
            if pid := find_server(socket_file):
                os.kill(pid, signal.SIGKILL)


@dataclass
class SidecarBox:
    """A sidecar as a process of its own."""

    tmux: TmuxBox
    state: Path
    arguments: tuple[str, ...] = ()
    module: str = "sidecar"
    """What is started: ``python -m`` this."""
    process: subprocess.Popen[str] | None = None
    checked: bool = True
    """Whether its history is checked at the end; not after a test that has damaged it."""
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.state.parent / "sidecar.log"

    def start(self, *, ready: bool = True) -> None:
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", self.module, "run", "--listen", "127.0.0.1:0",
                    "--state", str(self.state), "--tmux-socket-name", self.tmux.name, *self.arguments,
                ],
                env=self.tmux.environment | {"PYTHONWARNINGS": "error"}, stderr=log, text=True,
                cwd=Path(__file__).parent.parent,
            )  # fmt: skip
        if ready:
            eventually(self.is_ready, "a ready sidecar")

    @contextmanager
    def looking_away(self) -> Iterator[None]:
        """What is done meanwhile in several steps, it sees as one: it is stopped, and goes on afterwards."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise AssertionError(f"the sidecar ended with {self.process.returncode}: {self.log.read_text()}")
        try:
            return bool(self.get("/-/ready", raw=True))
        except (OSError, urllib.error.URLError):
            return False

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def call(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url(path), data=data, method=method)
        request.add_header("Authorization", f"Bearer {(self.state / 'token').read_text().strip()}")
        request.add_header("Content-Type", "application/json")
        for key, value in (headers or {}).items():
            request.add_header(key, value)
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def get(self, path: str, *, raw: bool = False) -> Any:
        if raw:
            with urllib.request.urlopen(self.url(path), timeout=PATIENCE) as answer:
                return answer.read().decode()
        return self.call("GET", path)[1]

    def url(self, path: str) -> str:
        return f"http://{(self.state / 'address').read_text().strip()}{path}"

    def sessions(self) -> dict[str, dict[str, Any]]:
        return {one["name"]: one for one in self.get("/api/v1/sessions")["sessions"]}

    def recoveries(self, session: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.get(f"/api/v1/recoveries?session={session}")["recoveries"]
        return rows

    def verified(self, session: str, count: int = 1) -> dict[str, Any]:
        """Wait for so many verified recoveries of a session; the newest."""

        def newest() -> dict[str, Any] | None:
            rows = [row for row in self.recoveries(session) if row["state"] == "verified"]
            return rows[0] if len(rows) >= count else None

        found: dict[str, Any] = eventually(newest, f"{count} verified recoveries of {session}")
        return found

    def stored(self, *sessions: str) -> None:
        """Wait until every session has a checkpoint."""
        eventually(
            lambda: all(self.sessions().get(name, {}).get("checkpoints", 0) for name in sessions),
            f"checkpoints of {sessions}",
        )

    def stored_folders(self) -> set[str]:
        """The folders of all panes in the newest checkpoint of all."""
        address = f"file:{self.state / 'sidecar.db'}?mode=ro"
        with closing(sqlite3.connect(address, uri=True)) as database:
            newest = database.execute("SELECT body FROM checkpoints ORDER BY id DESC LIMIT 1").fetchone()
        windows = json.loads(newest[0])["windows"] if newest else []
        return {pane["cwd"] for window in windows for pane in window["panes"]}

    def check(self) -> None:
        """Hold what it has left in its database against every promise; see chaos/checker.py."""
        if not self.checked or not (self.state / "sidecar.db").exists():
            return
        found = check(self.state, self.budgets())
        assert not found, "\n".join(map(str, found))

    def budgets(self) -> RecoverySettings | None:
        """None where the file is not the one that was in force."""
        if "--config" not in self.arguments:
            return RecoverySettings()
        try:
            return load(Path(self.arguments[self.arguments.index("--config") + 1])).recovery
        except ConfigInvalid:
            return None

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-20_000:] if self.log.exists() else ""

    def actions(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]


@contextmanager
def tmux_box() -> Iterator[TmuxBox]:
    # Not pytest's own folder: a socket's path may have 107 characters at most.
    folder = Path(tempfile.mkdtemp(prefix="sc-"))
    box = TmuxBox(folder)
    try:
        yield box
    finally:
        box.close()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def rehearsing_box(tmux: TmuxBox) -> Iterator[SidecarBox]:
    """A sidecar that rehearses all the time, on a machine that is under no pressure."""
    file = tmux.folder / "config.yml"
    file.write_text("checkpoints: {rehearse: 1s, interval: 1s}\n")
    with sidecar_box(tmux, "--config", str(file), module="tests.calm") as box:
        yield box


@contextmanager
def sidecar_box(
    tmux: TmuxBox, *arguments: str, start: bool = True, module: str = "sidecar"
) -> Iterator[SidecarBox]:
    box = SidecarBox(tmux, tmux.folder / "state", arguments, module)
    try:
        if start:
            box.start()
        yield box
    except BaseException:
        # A fixture's test is shown with it by conftest.
        print(box.last_words())
        raise
    finally:
        if box.process is not None and box.process.poll() is None:
            # In order, so that it can write down what it has covered; a hung one is not waited for.
            try:
                box.stop()
            except subprocess.TimeoutExpired:
                box.process.kill()
                box.process.wait()
    box.check()
