"""Rehearsals: whose turn it is, what is put on the stage, and when the machine has no room for one.

A rehearsal rebuilds a checkpoint on a throw-away server. Its panes run a stand-in: nothing that a
user has written is ever run, not even a library that a variable would have loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from sidecar.model.printable import printable
from sidecar.model.record import HoldOff, HoldOffReason, Pressure
from sidecar.model.session import Options, SavedPane, SavedWindow, ServerOrigin, SessionImage

STAND_IN = ("/bin/sh", "-c", "read _")
"""Waits for a line that never comes, and ends with its terminal. A builtin: no PATH, no start-up file."""
STAND_IN_COMMAND = '/bin/sh -c "read _"'
"""The same in tmux's quoting. More than one word, so that tmux asks no shell to run it."""

EXCERPT_LINES = 500
"""Lines of each scrollback that are played; the whole of it is read and checked all the same."""
WRAPPED = 8
"""Rows that a line may take in the narrowest pane, since panes move while a session is built."""

CPU_STALLED = 90.0
"""Percent of the last 10 s in which some task waited for a processor."""
MEMORY_STALLED = 10.0
"""The same for memory: a machine that swaps is in need long before it is full."""
LOAD = 2.0
"""Runnable tasks for each processor, where the kernel does not tell how long they wait."""
MEMORY_AVAILABLE = 0.05
"""Share of the memory that has to be free for the taking."""

_STEERING = frozenset(
    {
        "PATH", "ENV", "IFS", "PS4", "SHELLOPTS", "GCONV_PATH", "GLIBC_TUNABLES", "LOCPATH", "NLSPATH",
    }
)  # fmt: skip
_ACTING = re.compile(
    r"((after|alert|client|session)-.*|command-error|command-alias"
    r"|pane-(died|exited|focus-in|focus-out|mode-changed|set-clipboard|title-changed)"
    r"|window-(layout-changed|linked|pane-changed|renamed|resized|unlinked)"
    r"|default-command|default-shell|lock-command|copy-command|editor|automatic-rename-format|history-limit"
    r"|remain-on-exit|@sidecar_resume)(\[\d+\])?"
)
"""Hooks, and options by which tmux starts something or names what it has started. And two that would be
in the way: lines wrap while a session is built, and none may be lost by a short history; and what
becomes of dead panes is set by the sidecar itself, as the settings of the whole server ask for."""
_STEERING_PREFIXES = ("LD_", "DYLD_", "BASH")


@dataclass(frozen=True, slots=True)
class Turn:
    """When a session was rehearsed last, in monotonic seconds, or how it waits for the first time."""

    seen: float
    """When this run saw it first."""
    share: float
    """Share of an interval, 0 to 1, that it waits from then on: a restart brings them all at once."""
    last: float | None = None
    """When it was rehearsed last, by an earlier run too; None if never."""

    def due(self, interval: float) -> float:
        """When it is to be rehearsed, in monotonic seconds."""
        first = self.seen + self.share * interval
        return first if self.last is None else max(first, self.last + interval)


def next_turn(turns: Iterable[tuple[str, Turn]], interval: float, now: float) -> str | None:
    """The session that has been due for longest; None if none is, or if ``interval`` is 0."""
    due = [(turn.due(interval), name) for name, turn in turns]
    waiting = [each for each in due if each[0] <= now]
    return min(waiting)[1] if waiting and interval else None


def hold_off(pressure: Pressure, recoveries: int) -> HoldOff | None:
    """Why no rehearsal is begun now; None if one may be."""
    if recoveries:
        return HoldOff(HoldOffReason.RECOVERY_RUNNING, f"{recoveries} recoveries are running")
    memory, stalled = pressure.memory_stalled or 0.0, pressure.cpu_stalled
    if memory > MEMORY_STALLED or pressure.memory_available < MEMORY_AVAILABLE:
        return HoldOff(
            HoldOffReason.MEMORY_PRESSURE,
            f"tasks wait {memory:.0f} % of the time for memory, and {pressure.memory_available:.0%} is free",
        )
    if stalled is not None and stalled > CPU_STALLED:
        sentence = f"tasks wait {stalled:.0f} % of the time for a processor"
        return HoldOff(HoldOffReason.CPU_PRESSURE, sentence)
    if stalled is None and pressure.load > LOAD:
        sentence = f"the load is {pressure.load:.1f} for each processor"
        return HoldOff(HoldOffReason.CPU_PRESSURE, sentence)
    return None


def stand_in(image: SessionImage) -> SessionImage:
    """The image with a stand-in in every pane, and without what would steer how a program starts.

    Only what is named here is played. Whatever else an image holds may be something that tmux runs,
    and stays away until it is known to be harmless.
    """
    return SessionImage(
        name=image.name,
        width=image.width,
        height=image.height,
        default_shell=STAND_IN[0],
        default_command="",
        environment=tuple(pair for pair in image.environment if not _steers(pair[0])),
        windows=tuple(_stand_in_window(window) for window in image.windows),
        options=None if image.options is None else _harmless(image.options),
        group=image.group,
        path=image.path,
        # Should the server have to be made anew, then without anybody's configuration.
        origin=ServerOrigin(config_files="/dev/null"),
    )


def first_pane_index(image: SessionImage) -> int:
    """Where the user's panes are numbered from."""
    return min((pane.index for window in image.windows for pane in window.panes), default=0)


def excerpt(text: bytes) -> bytes:
    """The last lines of a scrollback, as a pane will print them."""
    return printable(b"".join(text.splitlines(keepends=True)[-EXCERPT_LINES:]))


def _stand_in_window(window: SavedWindow) -> SavedWindow:
    return SavedWindow(
        index=window.index,
        name=window.name,
        layout=window.layout,
        zoomed=window.zoomed,
        active=window.active,
        last=window.last,
        automatic_rename=window.automatic_rename,
        panes=tuple(_stand_in_pane(pane) for pane in window.panes),
        options=_harmless(window.options),
        link=window.link,
    )


def _stand_in_pane(pane: SavedPane) -> SavedPane:
    return SavedPane(
        index=pane.index,
        title=pane.title,
        cwd=pane.cwd,
        start_command=STAND_IN_COMMAND,
        argv=STAND_IN,
        program=(),
        active=pane.active,
        scrollback=pane.scrollback,
        last=pane.last,
        options=_harmless(pane.options),
    )


def _harmless(options: Options) -> Options:
    """The options that tmux only stores or draws with, sorted as they were."""
    return tuple(
        (name, value) for name, value in options if not _ACTING.fullmatch(name) and "#(" not in (value or "")
    )


def _steers(variable: str) -> bool:
    return variable in _STEERING or variable.startswith(_STEERING_PREFIXES)
