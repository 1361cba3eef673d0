"""Acting on a dead pane, and on no other: the guard and the act are one command of the server."""

from __future__ import annotations

from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.text import command, in_one, script
from sidecar.errors import TmuxRefused

_POLL = 0.005
_ACTED = b"acted"


async def act_on_dead(
    runner: TmuxRunner, clock: Clock, pane: str, pid: int, action: str, *, patience: float
) -> bool:
    """Run a quoted command while the pane is dead and ``pid`` was its process. False: it is not.

    Where the process has just ended, tmux is given ``patience`` seconds to mark its pane.

    Raises:
        TmuxAbsent, TmuxUnknown: there is no server, or no answer.
        TmuxRefused: tmux would not run the command.
    """
    guarded = _guarded(pane, pid, action)
    deadline = clock.monotonic() + patience
    while True:
        try:
            answer = await runner.source(guarded)
        except TmuxRefused as error:
            if str(error).startswith("can't find pane"):
                return False
            raise
        if answer.strip() == _ACTED:
            return True
        if answer.strip() != str(pid).encode() or lives(pid) or clock.monotonic() > deadline:
            return False
        await clock.sleep(_POLL)


def _guarded(pane: str, pid: int, action: str) -> bytes:
    guard = f"#{{&&:#{{pane_dead}},#{{==:#{{pane_pid}},{pid}}}}}"
    # tmux sometimes misses the end of a process until it has to reap another.
    otherwise = in_one(
        command("display-message", "-p", "-t", pane, "#{pane_pid}"), command("run-shell", "-b", "true")
    )
    done = in_one(action, command("display-message", "-p", _ACTED.decode()))
    # if-shell forgives a target that is gone; has-session does not, and ends the line.
    return script(
        in_one(
            command("has-session", "-t", pane),
            command("if-shell", "-F", "-t", pane, guard, done, otherwise),
        )
    )


def lives(pid: int) -> bool:
    """Whether the process runs; one that is only not yet reaped does not."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return text.rpartition(")")[2].split()[0] not in ("Z", "X")
