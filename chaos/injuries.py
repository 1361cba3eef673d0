"""What can happen to a tmux server and its sessions, done to a private one."""

from __future__ import annotations

import os
import random
import signal
from collections.abc import Callable

from chaos.stage import Stage, Unplayable


def kill_a_process(place: Stage, dice: random.Random) -> None:
    """kill -9 of the process of one pane"""
    os.kill(int(dice.choice(_panes(place)).split()[1]), signal.SIGKILL)


def crash_a_process(place: Stage, dice: random.Random) -> None:
    """a segmentation fault in the process of one pane"""
    os.kill(int(dice.choice(_panes(place)).split()[1]), signal.SIGSEGV)


def kill_a_window(place: Stage, dice: random.Random) -> None:
    """kill -9 of all processes of one window at once"""
    panes = [line.split() for line in _panes(place)]
    window = dice.choice(panes)[2]
    for _, pid, at in panes:
        if at == window:
            os.kill(int(pid), signal.SIGKILL)


def close_a_session(place: Stage, dice: random.Random) -> None:
    """tmux kill-session"""
    place.tmux("kill-session", "-t", dice.choice(place.lines("list-sessions", "-F", "#{session_id}")))


def kill_the_server(place: Stage, dice: random.Random) -> None:
    """kill -9 of the tmux server"""
    os.kill(_server(place), signal.SIGKILL)


def remove_the_socket(place: Stage, dice: random.Random) -> None:
    """rm of the server's socket"""
    place.socket.unlink()


def _server(place: Stage) -> int:
    pid = place.server()
    if not pid:
        raise Unplayable("there is no tmux server to injure")
    return pid


def _panes(place: Stage) -> list[str]:
    """Id, process and window of every living pane."""
    found = place.lines(
        "list-panes", "-a", "-f", "#{?pane_dead,0,1}", "-F", "#{pane_id} #{pane_pid} #{window_id}"
    )
    if not found:
        raise Unplayable("there is no living pane to injure")
    return found


Injury = Callable[[Stage, random.Random], None]

INJURIES: tuple[Injury, ...] = (
    kill_a_process, crash_a_process, kill_a_window, close_a_session, kill_the_server, remove_the_socket,
)  # fmt: skip
"""Those after which every session has to be there again, whole (under ``restore: always``)."""
