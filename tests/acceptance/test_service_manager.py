"""Under a service manager: it is told the truth, and a service that hangs is not fed.

The manager is a socket of the test's own, since most machines that run tests have no systemd as init.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box

UNIT = Path(__file__).parents[2] / "deploy" / "tmux-sidecar.service"


class Manager:
    """What systemd would have heard."""

    def __init__(self, door: socket.socket) -> None:
        self._door = door
        self.told: list[str] = []

    def heard(self) -> list[str]:
        try:
            while True:
                self.told.append(self._door.recv(4096).decode())
        except BlockingIOError:
            return self.told

    def fed(self) -> int:
        return self.heard().count("WATCHDOG=1")

    def says(self, word: str) -> bool:
        return any(line.startswith(word) for line in self.heard())


@pytest.fixture
def manager(tmux: TmuxBox, monkeypatch: pytest.MonkeyPatch) -> Iterator[Manager]:
    path = tmux.folder / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(path))
        door.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "1000000")
        yield Manager(door)


@pytest.fixture
def watched(tmux: TmuxBox, manager: Manager) -> Iterator[SidecarBox]:
    tmux.run("new-session", "-d", "-s", "web", "sleep 5000")
    with sidecar_box(tmux) as box:
        yield box


def test_it_is_told_of_the_start_a_reload_and_the_end(manager: Manager, watched: SidecarBox) -> None:
    eventually(lambda: manager.fed() >= 1, "the first feeding")
    assert manager.told[0] == "READY=1"
    eventually(lambda: manager.says("STATUS=1 session in our care"), "a line for people")
    manager.told.clear()
    assert watched.process is not None
    watched.process.send_signal(signal.SIGHUP)
    eventually(lambda: "READY=1" in manager.heard(), "the end of the reload")
    assert manager.told[0].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert watched.stop() == 0
    assert "STOPPING=1" in manager.heard()


def test_a_tmux_server_that_does_not_answer_is_no_reason_to_start_again(
    tmux: TmuxBox, manager: Manager, watched: SidecarBox
) -> None:
    """A look that ends in `unknown` is a finished one."""
    server = tmux.server_pid()
    eventually(lambda: manager.fed() >= 1, "the first feeding")
    os.kill(server, signal.SIGSTOP)
    try:
        eventually(lambda: watched.sessions()["web"]["health"] != "healthy", "the silence to be noticed")
        before = manager.fed()
        eventually(lambda: manager.fed() > before, "a feeding all the same")
    finally:
        os.kill(server, signal.SIGCONT)


def test_a_service_that_stands_still_is_not_fed_and_goes_on_when_it_may(
    tmux: TmuxBox, manager: Manager, watched: SidecarBox
) -> None:
    assert watched.process is not None
    eventually(lambda: manager.fed() >= 1, "the first feeding")
    watched.process.send_signal(signal.SIGSTOP)
    before = manager.fed()
    tmux.run("set-option", "-g", "@ring", "1")
    assert manager.fed() == before
    watched.process.send_signal(signal.SIGCONT)
    eventually(lambda: manager.fed() > before, "feeding that goes on")


def test_the_unit_that_is_shipped_is_one_that_systemd_reads(tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    # The program's path is the user's own; that it can be started is not what is asked.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("%h/.local/bin/sidecar", "/bin/true"))
    run = tmp_path / "run"
    run.mkdir(mode=0o700)
    done = subprocess.run(
        [analyze, "--user", "verify", str(unit)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(run)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "line", ["Type=notify", "NotifyAccess=main", "Restart=always", "KillMode=process", "WatchdogSec=90s"]
)
def test_what_healed_sessions_live_by_is_in_the_unit(line: str) -> None:
    assert f"\n{line}\n" in UNIT.read_text()


@pytest.mark.parametrize(
    "setting", ["PrivateTmp", "ProtectSystem", "ProtectHome", "NoNewPrivileges", "SystemCallFilter", "UMask"]
)
def test_nothing_is_in_the_unit_that_healed_sessions_would_inherit(setting: str) -> None:
    assert f"\n{setting}=" not in UNIT.read_text()
