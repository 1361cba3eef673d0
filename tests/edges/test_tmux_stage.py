"""The throw-away server: private, without configuration, and gone afterwards whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest

from sidecar.clock import SystemClock
from sidecar.edges.tmux.server import find_server
from sidecar.edges.tmux.stage import Stage, stage_folder
from sidecar.errors import TmuxRefused, TmuxUnknown, UnsafeState
from sidecar.model.session import Presence
from tests.box import TmuxBox, eventually
from tests.door import open_door


@pytest.fixture
def folder(tmux: TmuxBox) -> Path:
    return stage_folder(tmux.folder / "state")


@pytest.fixture
def stage(tmux: TmuxBox, folder: Path) -> Stage:
    return build_stage(tmux, folder)


def build_stage(tmux: TmuxBox, folder: Path, environment: Mapping[str, str] = os.environ) -> Stage:
    return Stage(folder, SystemClock(), environment, lambda runner, _: open_door(tmux, runner))


async def test_it_is_a_server_of_its_own(tmux: TmuxBox, stage: Stage, folder: Path) -> None:
    (tmux.folder / ".tmux.conf").write_text(f"run-shell 'touch {tmux.folder}/pwned'\n")
    tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
    async with stage.open(3) as door:
        look = await door.look()
        assert (look.presence, look.sessions) == (Presence.PRESENT, ())
        assert look.server is not None
        server = psutil.Process(look.server.pid)
        assert server.pid != tmux.server_pid()
        assert server.ppid() == os.getpid()
        assert os.getpgid(server.pid) == server.pid
        assert server.nice() == 10
        assert Path(f"/proc/{server.pid}/oom_score_adj").read_text() == "1000\n"
        assert {"HOME": str(folder), "SHELL": "/bin/sh"}.items() <= server.environ().items()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not psutil.pid_exists(look.server.pid)
    assert not folder.exists()
    assert not (tmux.folder / "pwned").exists()
    assert tmux.sessions() == {"web"}


async def test_it_is_gone_when_the_work_fails_or_is_cut_off(stage: Stage, folder: Path) -> None:
    with pytest.raises(ValueError, match="no"):
        async with stage.open(0):
            raise ValueError("no")
    assert not folder.exists()
    entered = asyncio.Event()

    async def work() -> None:
        async with stage.open(0):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await entered.wait()
    pid = find_server(folder / "tmux")
    assert pid
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not psutil.pid_exists(pid)
    assert not folder.exists()


async def test_nothing_cuts_its_removal_off(stage: Stage, folder: Path) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        async with stage.open(0):
            entered.set()

    task = asyncio.create_task(work())
    await entered.wait()
    # By now it is being removed.
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not folder.exists()


async def test_nothing_is_left_when_it_is_cut_off_before_it_stands(
    stage: Stage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()
    furnish = stage._furnish

    def slowly(first_pane: int) -> None:
        begun.set()
        go_on.wait(20)
        furnish(first_pane)
        ended.set()

    monkeypatch.setattr(stage, "_furnish", slowly)
    task = asyncio.create_task(stage.open(0).__aenter__())
    await asyncio.to_thread(begun.wait, 20)
    task.cancel()
    # Whoever does not wait for the thread is done with the removal by then.
    await asyncio.wait({task}, timeout=0.2)
    go_on.set()
    await asyncio.to_thread(ended.wait, 20)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not folder.exists()


async def test_programs_end_with_it(stage: Stage, folder: Path) -> None:
    async with stage.open(0):
        socket = str(folder / "tmux")
        for command in ("read _", "trap '' HUP; read _"):
            subprocess.run(
                ["tmux", "-S", socket, "new-session", "-d", "/bin/sh", "-c", command], check=True, timeout=20
            )
        listed = subprocess.run(
            ["tmux", "-S", socket, "list-panes", "-a", "-F", "#{pane_pid}"],
            check=True, timeout=20, capture_output=True,
        )  # fmt: skip
        pids = [int(pid) for pid in listed.stdout.split()]
        assert len(pids) == 2
    eventually(lambda: not any(map(_runs, pids)), "the end of the programs")


async def test_a_server_that_dies_of_the_work_is_told_from_one_that_is_slow(
    stage: Stage, folder: Path
) -> None:
    async def work(number: int) -> None:
        async with stage.open(0):
            os.kill(find_server(folder / "tmux"), number)
            raise TmuxUnknown("no answer")

    with pytest.raises(TmuxRefused, match="died of it"):
        await work(signal.SIGSEGV)
    # The kernel takes this one first when memory runs out.
    for number in (signal.SIGKILL, 0):
        with pytest.raises(TmuxUnknown, match="no answer"):
            await work(number)


async def test_a_machine_without_room_for_more_processes_proves_nothing(stage: Stage) -> None:
    with pytest.raises(TmuxUnknown, match="second set of panes"):
        async with stage.open(0):
            raise TmuxRefused("create pane failed: fork failed: Resource temporarily unavailable")
    with pytest.raises(TmuxRefused, match="index in use"):
        async with stage.open(0):
            raise TmuxRefused("create window failed: index in use: 7")


@pytest.mark.parametrize("stopped", [False, True])
async def test_what_a_crash_has_left_is_found_and_ended(stage: Stage, folder: Path, stopped: bool) -> None:
    folder.mkdir(mode=0o700, parents=True)
    (folder / "scrollback").mkdir()
    (folder / "scrollback" / "text").write_text("secret")
    subprocess.run(
        ["tmux", "-S", str(folder / "tmux"), "-f", "/dev/null", "new-session", "-d", "sleep", "1000"],
        check=True, timeout=20,
    )  # fmt: skip
    pid = find_server(folder / "tmux")
    assert pid
    if stopped:
        os.kill(pid, signal.SIGSTOP)
    assert await stage.clear()
    eventually(lambda: not _runs(pid), "the end of the server")
    assert not folder.exists()
    assert not await stage.clear()


async def test_a_folder_that_is_not_ours_is_left_alone(stage: Stage, folder: Path, tmp_path: Path) -> None:
    folder.parent.mkdir()
    (tmp_path / "precious").write_text("x")
    folder.symlink_to(tmp_path)
    assert not await stage.clear()
    with pytest.raises(UnsafeState):
        async with stage.open(0):
            pass
    folder.unlink()
    folder.mkdir(mode=0o755)
    with pytest.raises(UnsafeState):
        async with stage.open(0):
            pass
    assert (tmp_path / "precious").exists()


async def test_a_machine_without_setpriv_will_do(tmux: TmuxBox, folder: Path, tmp_path: Path) -> None:
    tmux_program = subprocess.run(
        ["which", "tmux"], check=True, capture_output=True, text=True
    ).stdout.strip()
    (tmp_path / "tmux").symlink_to(tmux_program)
    async with build_stage(tmux, folder, {"PATH": str(tmp_path)}).open(0) as door:
        assert (await door.look()).presence is Presence.PRESENT
    assert not folder.exists()


async def test_a_server_that_does_not_start_is_said_so(tmux: TmuxBox, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "tmux").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "tmux").chmod(0o755)
    with pytest.raises(TmuxUnknown, match="did not start"):
        async with build_stage(tmux, folder, {"PATH": str(tmp_path)}).open(0):
            pass
    assert not folder.exists()


async def test_a_deep_state_folder_has_its_stage_elsewhere(tmux: TmuxBox) -> None:
    deep = tmux.folder / ("x" * 100)
    folder = stage_folder(deep)
    assert folder == stage_folder(deep)
    assert folder != stage_folder(deep / "y")
    assert folder.parent == Path("/tmp")
    async with build_stage(tmux, folder).open(0) as door:
        assert (await door.look()).presence is Presence.PRESENT
    assert not folder.exists()


def _runs(pid: int) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    return False
