"""What people do at a tmux session all day, as functions: none of it is a failure.

Each act leaves the session with at least one window, and works on panes that it has made itself or
that run a shell; the programs that the session is *for* are not touched, so that whoever plays the
acts can tell afterwards whether anybody else has touched them.
"""

from __future__ import annotations

import os
import random
import subprocess
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from chaos.stage import Stage, until

_CALL_SECONDS = 20.0
_PATIENCE = 20.0
_EDITOR = "vim -u NONE -i NONE -n"


@dataclass(slots=True)
class Desk:
    """Somebody in front of a private tmux server: a seeded choice, and the clients that are attached."""

    stage: Stage
    dice: random.Random
    clients: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    keepers: frozenset[str] = frozenset()
    """Ids of the panes that people leave alone."""

    def tmux(self, *arguments: str, check: bool = True) -> str:
        return self.stage.tmux(*arguments, check=check)

    def lines(self, *arguments: str) -> list[str]:
        return self.stage.lines(*arguments)

    def until(self, what: str, question: Callable[[], bool]) -> None:
        """Ask until it is true."""
        until(what, question, _PATIENCE)

    def shell(self, session: str) -> str:
        """The pane id of a new window's shell, which waits at its prompt."""
        pane = self.tmux("new-window", "-P", "-F", "#{pane_id}", "-t", f"={session}:")
        self.until(f"a prompt in {pane}", lambda: bool(self.tmux("capture-pane", "-p", "-t", pane).strip()))
        return pane

    def keys(self, pane: str, *keys: str) -> None:
        self.tmux("send-keys", "-t", pane, *keys)

    def runs(self, pane: str, program: str) -> None:
        """Wait until this program is in front."""
        self.until(
            f"{program} in {pane}",
            lambda: self.tmux("display-message", "-p", "-t", pane, "#{pane_current_command}") == program,
        )

    def run(self, session: str, line: str) -> str:
        """The pane id of a new window's shell, once the program of this line is in front."""
        pane = self.shell(session)
        self.keys(pane, line, "Enter")
        self.runs(pane, line.split()[0])
        return pane

    def back_to_shell(self, pane: str, *keys: str) -> None:
        """Press these keys, and wait until the shell is in front again."""
        self.keys(pane, *keys)
        self.runs(pane, "bash")

    def gone(self, pane: str) -> None:
        """Wait until the pane is no more."""
        self.until(
            f"the end of {pane}", lambda: pane not in self.lines("list-panes", "-a", "-F", "#{pane_id}")
        )

    def spare(self, session: str) -> str | None:
        """A pane of the session that nobody minds losing."""
        panes = self.lines("list-panes", "-s", "-t", f"={session}:", "-F", "#{pane_id}")
        mine = [pane for pane in panes if pane not in self.keepers]
        return self.dice.choice(mine) if mine else None

    def attach(self, session: str) -> None:
        """Sit down in front of a session, at a terminal of our own that swallows what it is shown."""
        leader, terminal = os.openpty()
        client = subprocess.Popen(
            self.stage.command("attach-session", "-t", f"={session}"),
            env=self.stage.environment | {"TERM": "xterm"}, stdin=terminal, stdout=terminal,
            stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        os.close(terminal)
        threading.Thread(target=_swallow, args=(leader,), daemon=True).start()
        self.clients[session] = client

    def leave(self) -> None:
        """Every client of ours ends."""
        for client in self.clients.values():
            client.terminate()
            client.wait(_CALL_SECONDS)
        self.clients.clear()


def _swallow(leader: int) -> None:
    try:
        while os.read(leader, 65536):
            pass
    except OSError:
        pass
    finally:
        os.close(leader)


def open_a_window(desk: Desk, session: str) -> None:
    desk.keys(desk.shell(session), "ls", "Enter")


def split(desk: Desk, session: str) -> None:
    pane = desk.shell(session)
    for direction in ("-h", "-v", "-v"):
        desk.tmux("split-window", direction, "-t", pane)
    desk.tmux("select-layout", "-t", pane, "tiled")


def kill_a_pane(desk: Desk, session: str) -> None:
    if pane := desk.spare(session):
        desk.tmux("kill-pane", "-t", pane, check=False)


def kill_a_window(desk: Desk, session: str) -> None:
    pane = desk.shell(session)
    desk.tmux("split-window", "-t", pane, "sleep 7001")
    desk.tmux("kill-window", "-t", pane)


def exit_a_shell(desk: Desk, session: str) -> None:
    pane = desk.shell(session)
    desk.keys(pane, "exit", "Enter")
    desk.gone(pane)


def exit_with_a_status(desk: Desk, session: str) -> None:
    pane = desk.shell(session)
    desk.keys(pane, "false; exit 3", "Enter")
    desk.gone(pane)


def end_of_input(desk: Desk, session: str) -> None:
    pane = desk.shell(session)
    desk.keys(pane, "C-d")
    desk.gone(pane)


def detach_and_come_back(desk: Desk, session: str) -> None:
    desk.tmux("detach-client", "-s", f"={session}", check=False)
    former = desk.clients.pop(session, None)
    if former is not None:
        former.wait(_CALL_SECONDS)
    desk.attach(session)


def rename_the_session(desk: Desk, session: str) -> None:
    desk.tmux("rename-session", "-t", f"={session}", f"{session}-renamed")
    desk.tmux("rename-session", "-t", f"={session}-renamed", session)


def rename_a_window(desk: Desk, session: str) -> None:
    desk.tmux("rename-window", "-t", desk.shell(session), f"w{desk.dice.randrange(1000)}")


def zoom(desk: Desk, session: str) -> None:
    pane = desk.shell(session)
    desk.tmux("split-window", "-t", pane)
    desk.tmux("resize-pane", "-Z", "-t", pane)


def swap_panes(desk: Desk, session: str) -> None:
    pane = desk.shell(session)
    other = desk.tmux("split-window", "-P", "-F", "#{pane_id}", "-t", pane)
    desk.tmux("swap-pane", "-s", pane, "-t", other)


def break_and_join(desk: Desk, session: str) -> None:
    pane = desk.shell(session)
    other = desk.tmux("split-window", "-P", "-F", "#{pane_id}", "-t", pane)
    desk.tmux("break-pane", "-d", "-s", other)
    desk.tmux("join-pane", "-d", "-s", other, "-t", pane)


def move_a_window(desk: Desk, session: str) -> None:
    desk.tmux("move-window", "-s", desk.shell(session), "-t", f"={session}:{desk.dice.randrange(200, 900)}")


def suspend_and_resume(desk: Desk, session: str) -> None:
    pane = desk.run(session, "sleep 7002")
    desk.back_to_shell(pane, "C-z")
    desk.keys(pane, "fg", "Enter")
    desk.runs(pane, "sleep")
    desk.back_to_shell(pane, "C-c")


def leave_a_stopped_job(desk: Desk, session: str) -> None:
    desk.back_to_shell(desk.run(session, "sleep 7003"), "C-z")


def kill_a_job(desk: Desk, session: str) -> None:
    desk.keys(desk.shell(session), "sleep 7004 & kill %1", "Enter")


def edit_a_file(desk: Desk, session: str) -> None:
    pane = desk.run(session, _EDITOR)
    desk.keys(pane, "ihello", "Escape")
    if desk.dice.random() < 0.5:
        desk.back_to_shell(pane, ":q!", "Enter")


def suspend_an_editor(desk: Desk, session: str) -> None:
    desk.back_to_shell(desk.run(session, _EDITOR), "C-z")


def leave_a_prompt(desk: Desk, session: str) -> None:
    desk.keys(desk.shell(session), "read -p 'Go on? ' answer", "Enter")


def interrupt_a_program(desk: Desk, session: str) -> None:
    desk.back_to_shell(desk.run(session, "sleep 7005"), "C-c")


def interrupt_a_command(desk: Desk, session: str) -> None:
    pane = desk.tmux("new-window", "-P", "-F", "#{pane_id}", "-t", f"={session}:", "sleep 7006")
    desk.runs(pane, "sleep")
    desk.keys(pane, "C-c")
    desk.gone(pane)


def run_a_short_command(desk: Desk, session: str) -> None:
    desk.tmux("new-window", "-d", "-t", f"={session}:", "true")


def hold_the_output(desk: Desk, session: str) -> None:
    pane = desk.shell(session)
    desk.keys(pane, "while :; do echo tick; done", "Enter")
    desk.keys(pane, "C-s")
    if desk.dice.random() < 0.5:
        desk.keys(pane, "C-q")
        desk.keys(pane, "C-c")


def look_back(desk: Desk, session: str) -> None:
    desk.tmux("copy-mode", "-t", desk.shell(session))


def start_over(desk: Desk, session: str) -> None:
    desk.tmux("respawn-pane", "-k", "-t", desk.shell(session))


def open_and_close_a_session(desk: Desk, session: str) -> None:
    name = f"visit-{desk.dice.randrange(10**6)}"
    desk.tmux("new-session", "-d", "-s", name, "-x", "200", "-y", "50")
    desk.tmux("split-window", "-t", f"={name}:", "sleep 7007")
    desk.tmux("kill-session", "-t", f"={name}")


Act = Callable[[Desk, str], None]

ACTS: tuple[Act, ...] = (
    open_a_window, split, kill_a_pane, kill_a_window, exit_a_shell, exit_with_a_status, end_of_input,
    detach_and_come_back, rename_the_session, rename_a_window, zoom, swap_panes, break_and_join,
    move_a_window, suspend_and_resume, leave_a_stopped_job, kill_a_job, edit_a_file, suspend_an_editor,
    leave_a_prompt, interrupt_a_program, interrupt_a_command, run_a_short_command, hold_the_output,
    look_back, start_over, open_and_close_a_session,
)  # fmt: skip
"""All of them."""
