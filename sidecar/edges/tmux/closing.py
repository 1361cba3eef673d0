"""Ending a living session on request, without the server ending with its last one.

A server without sessions exits, and takes its options, buffers and key bindings along. So a session
of ours keeps it while another one is put in the place of the one that was closed. It ends by itself
should nobody let go of it.
"""

from __future__ import annotations

import contextlib
import secrets
from collections import Counter
from collections.abc import Iterator

from sidecar.clock import Clock
from sidecar.edges.tmux.dead import lives
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.text import command, in_one, script
from sidecar.errors import SidecarError
from sidecar.model.session import Pane, Session

_KEPT_SECONDS = 60
_PATIENCE = 3.0
"""Seconds for processes to end after the hang-up; one that takes longer is left to itself."""
_POLL = 0.01


async def close_session(runner: TmuxRunner, clock: Clock, session: Session) -> str:
    """End the session and wait for its processes. Returns the session that keeps the server.

    Raises:
        TmuxAbsent, TmuxUnknown, TmuxRefused: it may or may not be closed.
    """
    keeper = f"sidecar-{secrets.token_hex(8)}"
    await runner.source(
        script(
            in_one(
                command("new-session", "-d", "-s", keeper, "-c", "/", "--", "sleep", str(_KEPT_SECONDS)),
                # It is nobody's to look after.
                command("set-option", "-t", f"={keeper}:", "@sidecar", "off"),
                command(
                    "if-shell", "-F", "-t", session.id, f"#{{==:#{{session_id}},{session.id}}}",
                    command("kill-session", "-t", session.id),
                ),
            )
        )
    )  # fmt: skip
    await _wait(clock, [process for pane in _its_own(session) for process in _processes(pane)])
    return keeper


async def let_go(runner: TmuxRunner, keeper: str) -> None:
    """End the session that kept the server. It is no matter if it has ended already."""
    with contextlib.suppress(SidecarError):
        await runner.call("kill-session", "-t", f"={keeper}")


def _its_own(session: Session) -> Iterator[Pane]:
    """The panes that end with it; the others live on in the sessions that share their windows."""
    places = Counter(window.id for window in session.windows)
    for window in session.windows:
        if window.links <= places[window.id]:
            yield from window.panes


def _processes(pane: Pane) -> tuple[int, ...]:
    return (pane.pid, pane.program.pid) if pane.program else (pane.pid,)


async def _wait(clock: Clock, pids: list[int]) -> None:
    """What is built next may need the ports and files of what is ending."""
    deadline = clock.monotonic() + _PATIENCE
    while any(map(lives, pids)) and clock.monotonic() < deadline:
        await clock.sleep(_POLL)
