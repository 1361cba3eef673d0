"""What is read of broken panes before anything is done, on real panes and processes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.edges.diagnostics import DiagnosticsDoor, processes, spy
from sidecar.edges.diagnostics.processes import Found
from sidecar.edges.diagnostics.reading import Notes, Readings
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.errors import Temporary, TmuxAbsent
from sidecar.model.diagnostics import MOST_LINES, MOST_PROCESSES, ProcessFacts, Subject, Tree
from tests.box import TmuxBox, eventually

STUCK = """
import threading

lock = threading.Lock()

def waits_for_the_lock():
    with lock:
        pass

def serves_requests():
    waits_for_the_lock()

lock.acquire()
threading.Thread(target=serves_requests, name="worker", daemon=True).start()
print("there", flush=True)
serves_requests()
"""


@pytest.fixture
def door(runner: TmuxRunner) -> DiagnosticsDoor:
    return DiagnosticsDoor(runner, seconds=5.0)


@contextmanager
def child(code: str, **more: object) -> Iterator[subprocess.Popen[bytes]]:
    """A Python process that says when it is ready, and is gone afterwards."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, **more)  # type: ignore[call-overload]
    try:
        assert process.stdout.readline() == b"there\n"
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.kill()
        process.communicate()


async def only(door: DiagnosticsDoor, pid: int, *, whole: bool = True, firm: bool = True) -> Tree:
    found, trouble = await door.processes([Subject("it", pid, whole, firm)])
    assert trouble == ""
    return found["it"]


def pane_pid(tmux: TmuxBox) -> int:
    return int(tmux.show("=w:", "#{pane_pid}"))


def is_dead(tmux: TmuxBox) -> bool:
    # tmux sometimes misses the end of a process until it has to reap another.
    tmux.run("run-shell", "-b", "true")
    return tmux.show("=w:", "#{pane_dead}") == "1"


async def test_the_text_of_a_dead_pane(tmux: TmuxBox, door: DiagnosticsDoor) -> None:
    tmux.run("new-session", "-d", "-s", "w", "-x", "80", "-y", "10", "sleep 5000")
    tmux.run("set-option", "-w", "-t", "=w:", "remain-on-exit", "on")
    lines = "for i in $(seq 100); do echo line $i; done; echo token=abcdefgh; kill -9 $$"
    tmux.run("respawn-pane", "-k", "-t", "=w:", lines)
    eventually(lambda: is_dead(tmux))
    tail = (await door.tails(["%0"]))["%0"]
    assert len(tail.lines) == MOST_LINES
    assert tail.lines[-4:-2] == ("line 100", "token=abcdefgh")
    assert tail.lines[-1].startswith("Pane is dead (signal 9")
    assert (tail.alternate, tail.covered) == (False, ())


async def test_the_text_of_a_full_screen_program_and_what_it_covers(
    tmux: TmuxBox, door: DiagnosticsDoor
) -> None:
    command = r"echo before; printf '\033[?1049h\033[Hin full view'; sleep 5000"
    tmux.run("new-session", "-d", "-s", "w", "-x", "80", "-y", "10", command)
    tmux.run("split-window", "-d", "-t", "=w:", "sleep 5000")
    eventually(lambda: "view" in tmux.run("capture-pane", "-p", "-t", "%0"))
    found = await door.tails(["%0", "%1", "%99"])
    assert found["%0"].alternate
    assert found["%0"].lines == ("in full view",)
    assert found["%0"].covered == ("before",)
    assert found["%1"].lines == ()
    assert "%99" not in found


async def test_there_is_no_text_without_a_server(door: DiagnosticsDoor) -> None:
    with pytest.raises(TmuxAbsent):
        await door.tails(["%0"])


async def test_a_tree_of_three(tmux: TmuxBox, door: DiagnosticsDoor) -> None:
    command = "bash -c 'sleep 5001 & bash -c \"sleep 5002; true\" x --password=abcdefgh; true'; true"
    tmux.run("new-session", "-d", "-s", "w", command)
    top = pane_pid(tmux)

    async def read() -> Tree:
        return await only(door, top, firm=False)

    async with asyncio.timeout(20):
        while len((tree := await read()).processes) < 5 or not all(one.command for one in tree.processes):
            await asyncio.sleep(0.02)
    parents = {one.pid: one.parent for one in tree.processes}
    seen: set[int] = {top}
    for one in tree.processes[1:]:
        assert one.parent in seen
        seen.add(one.pid)
    assert tree.processes[0].pid == top
    assert parents[top] == tmux.server_pid()
    assert "bash -c 'sleep 5002; true' x '--password=***'" in [one.command for one in tree.processes]
    assert tree.left_out == 0
    assert all(one.memory_bytes > 0 and one.threads == 1 and one.age < 60 for one in tree.processes)
    assert {one.name for one in tree.processes} == {"bash", "sleep"}


async def test_what_has_lost_its_parents_is_found_by_its_terminal_session(
    tmux: TmuxBox, door: DiagnosticsDoor
) -> None:
    tmux.run("new-session", "-d", "-s", "w", "trap '' HUP; sleep 5003 & exec sleep 5004")
    tmux.run("set-option", "-w", "-t", "=w:", "remain-on-exit", "on")
    top = pane_pid(tmux)
    eventually(Path(f"/proc/{top}/task/{top}/children").read_text)
    eventually(lambda: b"5004" in Path(f"/proc/{top}/cmdline").read_bytes())
    os.kill(top, signal.SIGKILL)
    eventually(lambda: is_dead(tmux))
    left = await only(door, top)
    assert [one.command for one in left.processes if one.state != "Z"] == ["sleep 5003"]
    os.kill(left.processes[-1].pid, signal.SIGKILL)


async def test_five_hundred_descriptors(door: DiagnosticsDoor) -> None:
    code = (
        "import os, resource, socket, sys; resource.setrlimit(resource.RLIMIT_NOFILE, (2000, 2000));"
        "a = [open('/dev/null') for _ in range(200)]; b = [socket.socket() for _ in range(200)];"
        "c = [os.pipe() for _ in range(50)]; print('there', flush=True); sys.stdin.read()"
    )
    with child(code, stdin=subprocess.PIPE) as process:
        (one,) = (await only(door, process.pid)).processes
    held = one.descriptors
    assert held is not None
    assert (held.limit, held.counted) == (2000, held.open)
    assert held.open >= 500
    assert (held.kinds["device"], held.kinds["socket"]) == (200, 200)
    assert held.kinds["pipe"] >= 100


@pytest.mark.parametrize(
    ("number", "state"), [(signal.SIGKILL, "Z"), (signal.SIGSTOP, "T")], ids=["zombie", "stopped"]
)
async def test_states(door: DiagnosticsDoor, number: signal.Signals, state: str) -> None:
    with child("import sys; print('there', flush=True); sys.stdin.read()", stdin=subprocess.PIPE) as process:
        process.send_signal(number)
        stat = Path(f"/proc/{process.pid}/stat")
        eventually(lambda: stat.read_text().rpartition(")")[2].split()[0] == state)
        (one,) = (await only(door, process.pid)).processes
    assert one.state == state
    assert one.pid == process.pid
    assert one.python is (state == "T")
    assert one.command == ("" if state == "Z" else one.command)


async def test_a_process_that_waits_for_the_kernel(door: DiagnosticsDoor, tmp_path: Path) -> None:
    home = Path("/sys/fs/cgroup/freezer")
    folder = home / f"sidecar-{os.getpid()}"
    with child(STUCK) as process:
        try:
            folder.mkdir()
            (folder / "cgroup.procs").write_text(str(process.pid))
        except OSError as error:
            pytest.skip(f"no freezer of cgroup v1 here: {error}")
        try:
            (folder / "freezer.state").write_text("FROZEN")
            eventually(lambda: (folder / "freezer.state").read_text() == "FROZEN\n")
            (one,) = (await only(door, process.pid)).processes
            (stack,) = await door.stacks([process.pid])
        finally:
            (folder / "freezer.state").write_text("THAWED")
            (home / "cgroup.procs").write_text(str(process.pid))
            folder.rmdir()
    assert one.state == "D"
    assert one.stack
    assert one.threads_in[0].state == "D"
    assert stack.threads


async def test_where_a_program_and_its_threads_wait(door: DiagnosticsDoor) -> None:
    with child(STUCK) as process:
        async with asyncio.timeout(20):
            while True:
                (one,) = (await only(door, process.pid)).processes
                if one.waits_in and sum(each.count for each in one.threads_in if each.waits_in) == 2:
                    break
                await asyncio.sleep(0.02)
    assert one.waits_in.startswith("futex")
    assert one.system_call.isdigit()
    assert any("futex" in function for function in one.stack)
    assert one.threads == 2
    assert one.python


async def test_what_is_not_to_be_ended_is_asked_for_less(door: DiagnosticsDoor) -> None:
    with child(STUCK) as process:
        (one,) = (await only(door, process.pid, whole=False, firm=False)).processes
    assert (one.stack, one.threads_in, one.system_call, one.python) == ((), (), "", False)


async def test_more_processes_than_are_kept_are_counted(tmp_path: Path, door: DiagnosticsDoor) -> None:
    made(tmp_path, 1, 0)
    for pid in range(2, MOST_PROCESSES + 12):
        made(tmp_path, pid, 1)
    notes: Notes[Found] = Notes()
    processes.read([Subject("a", 1), Subject("b", 5)], notes, tmp_path)
    trees = {each.key: each.tree for each in notes.found}
    assert (len(trees["a"].processes), trees["a"].left_out) == (MOST_PROCESSES, 11)
    assert (len(trees["b"].processes), trees["b"].left_out) == (0, 1)


def made(proc: Path, pid: int, parent: int) -> Path:
    """A process in a /proc of our own, of which almost nothing can be read."""
    folder = proc / str(pid)
    folder.mkdir()
    fields = ["S", parent, pid, pid, 0, -1, 0, 0, 0, 0, 0, 100, 50, 0, 0, 20, 0, 1, 0, 500, 0, 7, *[0] * 28]
    (folder / "stat").write_text(f"{pid} (na) (me) {' '.join(map(str, fields))}\n")
    return folder


def test_what_cannot_be_read_is_not_made_up(tmp_path: Path) -> None:
    folder = made(tmp_path, 7, 1)
    for name in ("wchan", "syscall", "stack", "cmdline", "smaps_rollup", "limits", "fd", "exe", "maps"):
        # Reading a folder fails for everybody, root included.
        (folder / name).mkdir() if name != "fd" else (folder / name).write_text("")
    notes: Notes[Found] = Notes()
    processes.read([Subject("it", 7, firm=True)], notes, tmp_path)
    (one,) = notes.found[-1].tree.processes
    assert one == ProcessFacts(
        pid=7, parent=1, name="na) (me", state="S", started=500, age=0.0, cpu_seconds=1.5,
        memory_bytes=7 * os.sysconf("SC_PAGE_SIZE"), threads=1,
    )  # fmt: skip


async def test_a_process_whose_memory_is_locked_takes_nothing_else_along(
    tmp_path: Path, runner: TmuxRunner
) -> None:
    for pid in (7, 8):
        made(tmp_path, pid, 1)
    # Whoever opens this waits for a writer, as for the memory of a process that is stuck in the kernel.
    os.mkfifo(tmp_path / "8" / "cmdline")
    (tmp_path / "7" / "cmdline").write_bytes(b"well\0")
    door = DiagnosticsDoor(runner, proc=tmp_path, seconds=0.3)
    found, trouble = await door.processes([Subject("well", 7), Subject("stuck", 8)])
    assert found["well"].processes[0].command == "well"
    assert [one.pid for one in found["stuck"].processes] == [8]
    assert trouble == "the command line of process 8 did not come in time"
    (tmp_path / "8" / "cmdline").open("wb").close()


async def test_no_more_is_begun_while_too_much_hangs() -> None:
    readings, let_go = Readings(), threading.Event()

    def hang(notes: Notes[int]) -> None:
        let_go.wait(30)

    for _ in range(4):
        notes = await readings.run(hang, 0.01)
        assert notes.trouble == "everything did not come in time"
    with pytest.raises(Temporary, match="4 earlier readings have not come back"):
        await readings.run(lambda notes: None, 0.01)
    let_go.set()
    async with asyncio.timeout(20):
        while readings._hanging:
            await asyncio.sleep(0.01)
    assert (await readings.run(lambda notes: None, 5.0)).trouble == ""


async def test_a_fault_in_a_reading_is_told() -> None:
    def work(notes: Notes[int]) -> None:
        notes.found.append(1)
        notes.at = "the second"
        raise RuntimeError("no")

    notes = await Readings().run(work, 5.0)
    assert notes.found == [1]
    assert notes.trouble == "the second could not be read: RuntimeError('no')"


async def test_the_machine(door: DiagnosticsDoor, tmp_path: Path) -> None:
    found, trouble = await door.machine([str(tmp_path), "/there/is/none"], [])
    assert (trouble, found is not None) == ("", True)
    assert found is not None
    assert 0 < found.pressure.memory_available < 1
    assert found.memory_bytes > 1 << 28
    assert list(found.rooms) == [str(tmp_path)]


async def test_the_stacks_of_a_stuck_python_program(door: DiagnosticsDoor) -> None:
    with child(STUCK) as process:
        async with asyncio.timeout(20):
            while True:
                (stack,) = await door.stacks([process.pid])
                if len(stack.threads) == 2 and "waits_for_the_lock" in str(stack.threads):
                    break
        assert process.poll() is None
    assert stack.trouble == ""
    assert stack.version.startswith(f"3.{sys.version_info.minor}")
    by_name = {thread.name: thread.calls for thread in stack.threads}
    assert set(by_name) == {"MainThread", "worker"}
    for calls in by_name.values():
        functions = [call.partition(" ")[0] for call in calls]
        assert functions[:2] == ["waits_for_the_lock", "serves_requests"]


async def test_what_is_not_python_says_so(door: DiagnosticsDoor) -> None:
    sleeper = subprocess.Popen(["sleep", "5005"])
    try:
        (stack,) = await door.stacks([sleeper.pid])
    finally:
        sleeper.kill()
        sleeper.wait()
    assert stack.threads == ()
    said = "Failed to find python version from target process"
    assert stack.trouble == f"py-spy could not read process {sleeper.pid}: {said}"


async def test_a_process_that_has_ended_says_so(door: DiagnosticsDoor) -> None:
    pid = 2**22 + 1
    assert (await door.stacks([pid]))[0].trouble == f"process {pid} has ended"


@pytest.fixture
def pretend(tmp_path: Path) -> Callable[[str], str]:
    """A program in the place of py-spy."""

    def make(script: str) -> str:
        file = tmp_path / "py-spy"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)
        return str(file)

    return make


@pytest.mark.parametrize(
    ("script", "trouble"),
    [
        ("echo 'Permission Denied: Try running again' >&2; exit 1", "may not be read"),
        (
            "echo 'Caused by: Operation not permitted (os error 1)' >&2; exit 1",
            "ptrace_scope",
        ),
        ("exec sleep 60", "did not read process"),
        ("exit 0", "it said nothing"),
        ("echo Error: token=abcdefgh >&2; exit 1", "token=***"),
    ],
)
async def test_what_py_spy_cannot_do_is_a_plain_sentence(
    pretend: Callable[[str], str], script: str, trouble: str
) -> None:
    stack = await spy.dump(pretend(script), os.getpid(), 0.5)
    assert stack.threads == ()
    assert trouble in stack.trouble


async def test_an_answer_without_end_is_cut_and_used(pretend: Callable[[str], str]) -> None:
    head = "printf 'Process 1: x\\nPython v3.11.7 (/usr/bin/python3)\\n\\nThread 1 (idle): \"Main\"\\n'"
    stack = await spy.dump(pretend(f"{head}; exec yes '    deeper (deep.py:1)'"), 1, 20.0)
    (thread,) = stack.threads
    assert (thread.name, thread.state, thread.calls[0]) == ("Main", "idle", "deeper (deep.py:1)")
    assert thread.calls[-1].startswith("… and ")
    assert sum(map(len, thread.calls)) < 13_000


async def test_without_py_spy_it_says_how_to_get_it(
    runner: TmuxRunner, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    door = DiagnosticsDoor(runner, {"PATH": str(tmp_path)})
    with pytest.raises(Temporary) as caught:
        await door.stacks([os.getpid()])
    assert str(caught.value) == "py-spy is not installed"
    assert "tmux-sidecar[stacks]" in caught.value.hint


def test_py_spy_beside_our_own_interpreter_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert spy.find({"PATH": ""}) == ""
    (tmp_path / "py-spy").write_text("")
    (tmp_path / "py-spy").chmod(0o755)
    assert spy.find({"PATH": ""}) == str(tmp_path / "py-spy")


ASKED = """
import faulthandler, signal, time

def waits_for_ever():
    time.sleep(5000)

faulthandler.register(signal.SIGUSR1, all_threads=True)
print("there", flush=True)
waits_for_ever()
"""


async def test_a_program_that_handles_the_signal_prints_its_stacks(
    tmux: TmuxBox, door: DiagnosticsDoor, tmp_path: Path
) -> None:
    program = tmp_path / "asked.py"
    program.write_text(ASKED)
    tmux.run("new-session", "-d", "-s", "w", "-x", "300", "-y", "30", sys.executable, str(program))
    eventually(lambda: "there" in tmux.run("capture-pane", "-p", "-t", "%0"))
    pid = pane_pid(tmux)
    (one,) = (await only(door, pid)).processes
    assert await door.call_out([one], "USR2") == (
        f"process {pid} does not handle SIGUSR2, and was not sent it",
    )
    assert await door.call_out([replace(one, started=1)], "USR1") == (
        f"process {pid} could not be sent SIGUSR1",
    )
    assert await door.call_out([replace(one, state="T")], "USR1") == (
        f"process {pid} is stopped, and could not print its stacks",
    )
    assert await door.call_out([one], "USR1") == ()
    eventually(lambda: "in waits_for_ever" in tmux.run("capture-pane", "-p", "-t", "%0"))
    tail = (await door.tails(["%0"]))["%0"]
    assert any("line 5 in waits_for_ever" in line for line in tail.lines)
    assert pane_pid(tmux) == pid
