"""What is done to a live server is done to exactly what was meant, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pty
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.edges.process import uptime
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.server import ask_for_socket
from sidecar.edges.tmux.text import split_arguments
from sidecar.errors import Temporary, TmuxAbsent
from sidecar.model.plan import Entry, Resumption
from tests.box import TmuxBox, eventually


def pids(tmux: TmuxBox) -> dict[str, int]:
    return {line.split()[0]: int(line.split()[1]) for line in tmux.panes("#{pane_id} #{pane_pid}")}


def typed(line: str, entry: Entry = Entry.TYPED) -> Resumption:
    return Resumption(0, 0, entry, line, ("x",), "a rule")


def kill(tmux: TmuxBox, pane: str) -> int:
    pid = pids(tmux)[pane]
    os.kill(pid, signal.SIGKILL)
    # On a busy machine it takes a moment to die of it.
    eventually(lambda: not lives(pid), "the end of the process")
    return pid


def lives(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


class TestArming:
    async def test_only_windows_without_a_setting_are_armed(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        tmux.run("new-window", "-t", "=web:", "sleep 1000")
        tmux.run("set-option", "-w", "-t", "=web:1", "remain-on-exit", "on")
        await door.arm(["@0", "@1", "@99"])
        assert tmux.show("=web:0", "#{remain-on-exit}#{@sidecar_armed}") == "failed1"
        assert tmux.show("=web:1", "#{remain-on-exit}#{@sidecar_armed}") == "on"
        await door.disarm(["@99", "@0", "@1"])
        assert tmux.show("=web:0", "#{remain-on-exit}#{@sidecar_armed}") == "off"
        assert tmux.show("=web:1", "#{remain-on-exit}#{@sidecar_armed}") == "on"

    async def test_nothing_to_arm_is_nothing_to_do(self, door: TmuxDoor) -> None:
        await door.arm([])
        with pytest.raises(TmuxAbsent):
            await door.arm(["@0"])


class TestDeadPanes:
    async def test_a_killed_pane_is_started_again_where_it_was(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        folder = tmux.folder / "#{pid} #(touch pwned)"
        folder.mkdir()
        tmux.run("new-session", "-d", "-s", "web", "--", "sleep", "1000")
        tmux.run("split-window", "-t", "=web:", "sleep 1001")
        await door.arm(["@0"])
        before = pids(tmux)
        assert await door.respawn("%0", kill(tmux, "%0"), str(folder))
        after = pids(tmux)
        assert after["%0"] != before["%0"]
        assert after["%1"] == before["%1"]
        eventually(lambda: tmux.show("%0", "#{pane_current_path}") == str(folder), "the folder")
        assert tmux.show("%0", "#{pane_start_command}") == "sleep 1000"
        assert not list(tmux.folder.rglob("pwned"))

    async def test_another_command_takes_the_place_of_its_own(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        tmux.run("set-option", "-p", "-t", "%0", "@sidecar_start", "=sleep 1000")
        await door.arm(["@0"])
        instead = ("sh", "-c", "sleep 1001; exit", "a b", "#{pid}", "it's;")
        assert await door.respawn("%0", kill(tmux, "%0"), "", instead)
        (pane,) = (await door.look()).sessions[0].panes()
        ran = Path(f"/proc/{pane.pid}/cmdline")
        eventually(lambda: tuple(ran.read_text().split("\0")[:-1]) == instead, "the command")
        assert split_arguments(pane.start_command) == instead

    async def test_the_end_of_a_process_is_seen_though_tmux_is_late(
        self, tmux: TmuxBox, door: TmuxDoor
    ) -> None:
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        await door.arm(["@0"])
        for _ in range(20):
            assert await door.respawn("%0", kill(tmux, "%0"), "/")

    @pytest.mark.parametrize("pane", ["%0", "%9"])
    async def test_a_living_or_missing_pane_is_not_touched(
        self, tmux: TmuxBox, door: TmuxDoor, pane: str
    ) -> None:
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        before = pids(tmux)
        assert not await door.respawn(pane, before["%0"], "/")
        assert not await door.close_pane(pane, before["%0"])
        assert pids(tmux) == before

    async def test_a_pane_of_another_process_is_not_touched(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        await door.arm(["@0"])
        pid = kill(tmux, "%0")
        eventually(lambda: tmux.show("%0", "#{pane_dead}") == "1", "the pane's end")
        assert not await door.respawn("%0", pid + 1, "/")
        assert not await door.close_pane("%0", pid + 1)
        assert tmux.show("%0", "#{pane_dead} #{pane_pid}") == f"1 {pid}"

    async def test_a_dead_pane_is_closed(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        tmux.run("split-window", "-t", "=web:", "sleep 1001")
        await door.arm(["@0"])
        assert await door.close_pane("%1", kill(tmux, "%1"))
        assert set(pids(tmux)) == {"%0"}

    async def test_no_server_is_absent(self, door: TmuxDoor) -> None:
        with pytest.raises(TmuxAbsent):
            await door.respawn("%0", 1, "/")


class TestEntering:
    @pytest.mark.parametrize("shell", ["bash --norc", "sh"])
    async def test_a_line_is_typed_once_and_runs(self, tmux: TmuxBox, door: TmuxDoor, shell: str) -> None:
        tmux.run("new-session", "-d", "-s", "web", shell)
        await door.enter("%0", pids(tmux)["%0"], typed("echo -n 'a b;\"#{pid}' > out; exec sleep 1000"))
        eventually(lambda: tmux.show("%0", "#{pane_current_command}") == "sleep", "the command")
        assert (tmux.folder / "out").read_text() == 'a b;"#{pid}'

    async def test_a_start_up_file_cannot_eat_the_line(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        (tmux.folder / "rc").write_text("read -t 0.6 eaten < /dev/tty\n")
        tmux.run("new-session", "-d", "-s", "web", "bash --rcfile rc")
        await door.enter("%0", pids(tmux)["%0"], typed("echo $eaten- > out && mv out done"))
        eventually((tmux.folder / "done").exists, "the command")
        assert (tmux.folder / "done").read_text() == "-\n"

    @pytest.mark.parametrize("command", ["sleep 1000", ": $(sleep 1000)"])
    async def test_a_slow_start_up_file_is_not_typed_into(
        self, tmux: TmuxBox, door: TmuxDoor, monkeypatch: pytest.MonkeyPatch, command: str
    ) -> None:
        monkeypatch.setattr("sidecar.edges.tmux.prompt._PATIENCE", 0.3)
        monkeypatch.setattr("sidecar.edges.tmux.prompt._EDITOR_QUIET", 0.1)
        (tmux.folder / "rc").write_text(command)
        tmux.run("new-session", "-d", "-s", "web", "bash --rcfile rc")
        pid = pids(tmux)["%0"]
        eventually(Path(f"/proc/{pid}/task/{pid}/children").read_text, "its start-up file")
        with pytest.raises(Temporary, match="was not ready"):
            await door.enter("%0", pid, typed("touch pwned"))

    async def test_a_held_line_waits_for_a_person(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        tmux.run("new-session", "-d", "-s", "web", "bash --norc")
        await door.enter("%0", pids(tmux)["%0"], typed("-touch held", Entry.HELD))
        eventually(lambda: "-touch held" in tmux.run("capture-pane", "-p", "-t", "%0"), "the line")
        tmux.run("send-keys", "-t", "%0", "C-a", "C-d", "Enter")
        eventually((tmux.folder / "held").exists, "the person's Enter")

    @pytest.mark.parametrize("shell", ["bash --norc", "bash --norc -o vi", "sh"])
    async def test_what_stands_at_the_prompt_is_no_part_of_the_line(
        self, tmux: TmuxBox, door: TmuxDoor, shell: str
    ) -> None:
        tmux.run("new-session", "-d", "-s", "web", shell)
        pid = pids(tmux)["%0"]
        await door.enter("%0", pid, typed("touch wrong", Entry.HELD))
        tmux.run("send-keys", "-t", "%0", "Left", "Left")
        await door.enter("%0", pid, typed("touch right; exec sleep 1000"))
        eventually(lambda: tmux.show("%0", "#{pane_current_command}") == "sleep", "the command")
        assert (tmux.folder / "right").exists()
        assert not (tmux.folder / "wrong").exists()

    async def test_another_shell_is_not_typed_into(
        self, tmux: TmuxBox, door: TmuxDoor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sidecar.edges.tmux.prompt._PATIENCE", 0.3)
        tmux.run("new-session", "-d", "-s", "web", "bash --norc")
        with pytest.raises(Temporary, match="no longer holds"):
            await door.enter("%0", 1, typed("touch pwned"))

    async def test_keys_that_would_go_astray_are_not_typed(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        tmux.run("new-session", "-d", "-s", "web", "bash --norc")
        tmux.run("copy-mode", "-t", "%0")
        with pytest.raises(Temporary, match="nothing was typed") as raised:
            await door.enter("%0", pids(tmux)["%0"], typed("touch pwned"))
        assert "touch pwned" in raised.value.hint

    @pytest.mark.parametrize("scope", [("-w", "-t", "@0"), ("-p", "-t", "%0")])
    async def test_a_synchronized_pane_is_typed_into_alone(
        self, tmux: TmuxBox, door: TmuxDoor, scope: tuple[str, ...]
    ) -> None:
        tmux.run("new-session", "-d", "-s", "web", "bash --norc")
        tmux.run("split-window", "-t", "=web:", "bash --norc")
        tmux.run("set-option", "-p", "-t", "%1", "synchronize-panes", "on")
        tmux.run("set-option", *scope, "synchronize-panes", "on")
        before = [tmux.run("show-options", *where) for where in (("-w", "-t", "@0"), ("-p", "-t", "%0"))]
        await door.enter("%0", pids(tmux)["%0"], typed("touch typed; exec sleep 1000"))
        eventually(lambda: tmux.show("%0", "#{pane_current_command}") == "sleep", "the command")
        assert "touch" not in tmux.run("capture-pane", "-p", "-t", "%1")
        after = [tmux.run("show-options", *where) for where in (("-w", "-t", "@0"), ("-p", "-t", "%0"))]
        assert after == before

    async def test_a_busy_pane_is_given_up_in_time(
        self, tmux: TmuxBox, door: TmuxDoor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("sidecar.edges.tmux.prompt._PATIENCE", 0.3)
        tmux.run("new-session", "-d", "-s", "web", "bash --norc")
        await door.enter("%0", pids(tmux)["%0"], typed("sleep 1000"))
        eventually(lambda: tmux.show("%0", "#{pane_current_command}") == "sleep", "the program")
        with pytest.raises(Temporary, match="was not ready"):
            await door.enter("%0", pids(tmux)["%0"], typed("touch pwned"))

    async def test_many_panes_are_typed_into_together(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        tmux.run("new-session", "-d", "-s", "web", "-x", "200", "-y", "50", "bash --norc")
        for _ in range(7):
            tmux.run("split-window", "-t", "=web:", "bash --norc")
            tmux.run("select-layout", "-t", "=web:", "tiled")
        tmux.run("copy-mode", "-t", "%3")
        outcomes = await asyncio.gather(
            *(door.enter(pane, pid, typed(f"touch x{pane[1:]}")) for pane, pid in pids(tmux).items()),
            return_exceptions=True,
        )
        refused = [place for place, outcome in enumerate(outcomes) if outcome is not None]
        assert refused == [list(pids(tmux)).index("%3")]
        wanted = {f"x{number}" for number in range(8)} - {"x3"}
        eventually(lambda: {file.name for file in tmux.folder.glob("x*")} == wanted, "the commands")


class TestReporting:
    async def test_a_report_is_seen_in_the_next_look(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        await door.report({"%0": "claude:a;b#{pid}", "%9": "gone"})
        (pane,) = (await door.look()).sessions[0].panes()
        said, _, seconds = pane.reported.rpartition(":")
        assert said == "claude:a;b#{pid}"
        assert abs(int(seconds) - uptime()) < 60


class TestSocket:
    @pytest.mark.parametrize("gone", ["socket", "folder"])
    async def test_a_removed_socket_comes_back_and_no_process_is_lost(
        self, tmux: TmuxBox, door: TmuxDoor, gone: str
    ) -> None:
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        server, before = tmux.server_pid(), pids(tmux)
        if gone == "socket":
            tmux.socket.unlink()
        else:
            shutil.rmtree(tmux.socket.parent)
        assert await door.live_server() == server
        await door.recreate_socket()
        assert (tmux.server_pid(), pids(tmux)) == (server, before)
        assert os.stat(tmux.socket.parent).st_mode & 0o777 == 0o700

    async def test_without_a_server_nobody_is_asked(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        assert await door.live_server() == 0
        with pytest.raises(TmuxAbsent):
            await door.recreate_socket()

    def test_a_process_that_is_not_the_server_is_never_signalled(self, tmux: TmuxBox) -> None:
        with subprocess.Popen(["sleep", "1000"]) as bystander:
            try:
                assert not ask_for_socket(bystander.pid, tmux.socket, of_tmux=True)
                assert bystander.poll() is None
            finally:
                bystander.kill()
        assert not ask_for_socket(bystander.pid, tmux.socket, of_tmux=True)


class TestAnnouncing:
    async def test_nobody_sees_it_where_nobody_is(self, tmux: TmuxBox, door: TmuxDoor) -> None:
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        assert not await door.announce("web", "hello")

    @pytest.mark.parametrize("session", ["web", "gone"])
    async def test_clients_see_it_to_the_letter(self, tmux: TmuxBox, door: TmuxDoor, session: str) -> None:
        tmux.run("new-session", "-d", "-s", "web", "sleep 1000")
        with attached(tmux, "web") as screen:
            assert await door.announce(session, "50% of #(touch pwned) #{pid} is -H")
            await asyncio.to_thread(
                eventually, lambda: b"50% of #(touch pwned) #{pid} is -H" in screen(), "the message"
            )
        assert not (tmux.folder / "pwned").exists()


@contextlib.contextmanager
def attached(tmux: TmuxBox, session: str) -> Iterator[object]:
    """A person's client on a terminal of its own; gives what it has shown so far."""
    leader, terminal = pty.openpty()
    client = subprocess.Popen(
        ["tmux", "-u", "-L", tmux.name, "attach", "-t", f"={session}"],
        stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True,
        env={**tmux.environment, "TERM": "xterm-256color"},
    )  # fmt: skip
    os.close(terminal)
    os.set_blocking(leader, False)
    shown = bytearray()

    def screen() -> bytes:
        with contextlib.suppress(BlockingIOError, OSError):
            while True:
                shown.extend(os.read(leader, 65536))
        return bytes(shown)

    try:
        eventually(lambda: tmux.run("list-clients"), "the client")
        yield screen
    finally:
        client.kill()
        client.wait()
        os.close(leader)


class TestHistory:
    async def test_only_what_scrolled_out_of_this_process_is_forgotten(
        self, tmux: TmuxBox, door: TmuxDoor
    ) -> None:
        tmux.run("new-session", "-d", "-s", "web", "-y", "10", "seq 500; exec sleep 1000")
        tmux.run("split-window", "-d", "-t", "=web:", "seq 500; exec sleep 1000")
        eventually(lambda: all(int(n) > 400 for n in tmux.panes("#{history_size}")), "the scrollback")
        known = pids(tmux)
        await door.clear_history({"%0": known["%0"], "%1": known["%0"], "%99": 5})
        assert [int(n) > 400 for n in tmux.panes("#{history_size}")] == [False, True]
        assert "500" in tmux.run("capture-pane", "-p", "-t", "%0")
        assert pids(tmux) == known
