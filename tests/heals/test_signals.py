"""Heals that are signals, to real processes: the right one, or none."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from sidecar.edges import process
from sidecar.errors import Permanent
from sidecar.model.heal import PaneTarget, SignalHeal
from sidecar.model.running import ProcessState
from tests.box import TmuxBox, eventually
from tests.heals.bench import call, door, heard, listening

PANE = PaneTarget("web", "0", 0)


def state(pid: int) -> ProcessState:
    found = process.state(pid)
    assert found is not None
    return found


def pidfile(folder: Path, content: object) -> Path:
    file = folder / "program.pid"
    file.write_text(f"{content}\n")
    return file


@pytest.mark.parametrize("name", ["HUP", "USR1", "TERM"])
async def test_a_program_hears_it(name: str, tmp_path: Path) -> None:
    with listening() as program:
        said = await door(tmp_path).heal(call(SignalHeal(name, PANE), process=state(program.pid)))
        assert heard(program) == f"SIG{name}"
    assert said.startswith(f"sent SIG{name} to process {program.pid} (")


async def test_the_process_of_a_pidfile_hears_it_where_it_is_the_expected_one(tmp_path: Path) -> None:
    with listening("--serve", "web") as program:
        file = pidfile(tmp_path, program.pid)
        heal = SignalHeal("HUP", pidfile=str(file), expect=r"--serve \w+$")
        await door(tmp_path).heal(call(heal))
        assert heard(program) == "SIGHUP"
        with pytest.raises(Permanent, match="expected was 'nginx'") as caught:
            await door(tmp_path).heal(call(SignalHeal("HUP", pidfile=str(file), expect="nginx")))
        assert "nothing was signalled" in caught.value.hint
        await door(tmp_path).heal(call(SignalHeal("USR1", pidfile=str(file), expect="serve")))
        assert heard(program) == "SIGUSR1"


@pytest.mark.parametrize("content", ["", "x", "-1", "12 13", "1e3", "9" * 30, "²"])
async def test_a_pidfile_without_a_number(content: str, tmp_path: Path) -> None:
    file = pidfile(tmp_path, content)
    with pytest.raises(Permanent, match="does not hold the number"):
        await door(tmp_path).heal(call(SignalHeal("HUP", pidfile=str(file), expect="x")))


async def test_a_pidfile_that_is_not_to_be_believed(tmp_path: Path) -> None:
    async def heal(path: Path) -> None:
        await door(tmp_path).heal(call(SignalHeal("HUP", pidfile=str(path), expect="")))

    with listening() as program:
        file = pidfile(tmp_path, program.pid)
        link = tmp_path / "link.pid"
        link.symlink_to(file)
        fifo = tmp_path / "fifo.pid"
        os.mkfifo(fifo)
        for path, words in [
            (tmp_path / "none.pid", "No such file"),
            (link, "it is a symbolic link"),
            (tmp_path, "is no file that only its owner writes"),
            (fifo, "is no file that only its owner writes"),
        ]:
            with pytest.raises(Permanent, match=words):
                await heal(path)
        file.chmod(0o666)
        with pytest.raises(Permanent, match="only its owner writes"):
            await heal(file)
        file.chmod(0o644)
        if os.getuid() == 0:
            os.chown(file, 12345, -1)
            with pytest.raises(Permanent, match="belongs to uid 12345, and its process does not"):
                await heal(file)
    with pytest.raises(Permanent, match="is not there"):
        await heal(pidfile(tmp_path, program.pid))


async def test_some_are_never_signalled(tmp_path: Path) -> None:
    async def heal(pid: int, servers: frozenset[int] = frozenset()) -> None:
        asked = call(SignalHeal("TERM", PANE), process=state(pid), servers=servers)
        await door(tmp_path).heal(asked)

    for pid, words in [(1, "the first process"), (os.getpid(), "the sidecar itself")]:
        with pytest.raises(Permanent, match=words):
            await heal(pid)
    with listening() as program, pytest.raises(Permanent, match="a tmux server"):
        await heal(program.pid, frozenset({program.pid}))


async def test_no_tmux_server_is_signalled_whoever_names_it(tmp_path: Path, tmux: TmuxBox) -> None:
    tmux.run("new-session", "-d", "-s", "w", "sleep 1007")
    file = pidfile(tmp_path, tmux.server_pid())
    with pytest.raises(Permanent, match="a tmux server"):
        await door(tmp_path).heal(call(SignalHeal("TERM", pidfile=str(file), expect="tmux")))
    assert tmux.server_pid()


async def test_only_the_process_is_signalled_and_not_its_group(tmp_path: Path) -> None:
    line = "trap 'exit 0' TERM; sleep 1008 & echo $!; while :; do wait; done"
    shell = subprocess.Popen(
        ["/bin/sh", "-c", line], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert shell.stdout is not None
    child = int(shell.stdout.readline())
    await door(tmp_path).heal(call(SignalHeal("TERM", PANE), process=state(shell.pid)))
    assert shell.wait(timeout=10) == 0
    assert process.state(child) is not None
    os.kill(child, 9)
    shell.stdout.close()


async def test_another_process_with_the_number_is_not_signalled(tmp_path: Path) -> None:
    with listening() as program:
        now = state(program.pid)
        earlier = ProcessState(now.pid, now.started - 1, now.running, now.group, now.session, now.front, 0)
        with pytest.raises(Permanent, match="has ended"):
            await door(tmp_path).heal(call(SignalHeal("TERM", PANE), process=earlier))


async def test_no_program_in_the_pane(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"no program runs in web:0\.0"):
        await door(tmp_path).heal(call(SignalHeal("TERM", PANE)))


async def test_an_attempt_that_was_cut_off_has_ended_the_process_already(tmp_path: Path) -> None:
    """Whoever restarts it meanwhile must not see its successor ended too."""
    heal = SignalHeal("TERM", PANE)
    program = subprocess.Popen(["sleep", "1009"])
    await door(tmp_path).heal(call(heal, process=state(program.pid)))
    program.wait(timeout=10)
    with listening() as successor:
        said = await door(tmp_path).heal(call(heal, process=state(successor.pid), again=True))
        assert said == f"process {program.pid} has ended, after SIGTERM was sent to it or before"
        await door(tmp_path).heal(call(heal, process=state(successor.pid), again=True, mark="trace-2"))
        assert heard(successor) == "SIGTERM"
        # It lives on, so nobody can tell whether it has heard.
        await door(tmp_path).heal(call(heal, process=state(successor.pid), again=True, mark="trace-2"))
        assert heard(successor) == "SIGTERM"


async def test_notes_are_no_condition(tmp_path: Path) -> None:
    """A disk that takes nothing keeps nobody from healing, and a damaged note says nothing."""
    healer = door(tmp_path)
    (tmp_path / "state" / "heals").write_text("in the way")
    with listening() as program:
        asked = call(SignalHeal("HUP", PANE), process=state(program.pid), again=True)
        await healer.heal(asked)
        assert heard(program) == "SIGHUP"
        (tmp_path / "state" / "heals").unlink()
        await healer.heal(asked)
        assert heard(program) == "SIGHUP"
        (note,) = (tmp_path / "state" / "heals").iterdir()
        note.write_text('{"pid": "x"}')
        await healer.heal(asked)
        assert heard(program) == "SIGHUP"
        os.utime(note, (0, 0))
        await healer.heal(call(SignalHeal("HUP", PANE), process=state(program.pid), mark="trace-9"))
        assert not note.exists()
    assert eventually(lambda: program.poll() is not None)
