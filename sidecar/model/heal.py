"""Heal actions: what a check lets be done about what it finds.

A heal is a value that can be written into a plan and read back by the next run of the sidecar: tagged
structs, since a union of dataclasses cannot be told apart in JSON. Where a heal works on files it names
the one folder that it may touch; nothing outside is ever reached.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import urlsplit

import msgspec

from sidecar import redact
from sidecar.model.amounts import show_seconds
from sidecar.model.running import ProcessState


class HealKind(StrEnum):
    """The ways to heal, as the configuration names them."""

    RESTART = "restart"
    RESPAWN = "respawn"
    RESTART_UNIT = "restart_unit"
    SIGNAL = "signal"
    COMMAND = "command"
    DELETE = "delete"
    ROTATE = "rotate"
    PRUNE_CHECKPOINTS = "prune_checkpoints"
    DROP_CACHES = "drop_caches"
    TRIM_STORE = "trim_store"
    TRIM_HISTORY = "trim_history"
    NOTIFY = "notify"
    WEBHOOK = "webhook"


class UnitManager(StrEnum):
    """Whose systemd."""

    SYSTEM = "system"
    USER = "user"


@dataclass(frozen=True, slots=True)
class PaneTarget:
    """A pane by where it is: ``SESSION:WINDOW.PANE``."""

    session: str
    window: str
    """Name of the window, or its index."""
    pane: int | None = None
    """Index of the pane; None: the only one, or the active one."""

    def __str__(self) -> str:
        return f"{self.session}:{self.window}" + (f".{self.pane}" if self.pane is not None else "")


class RestartHeal(msgspec.Struct, frozen=True, tag=HealKind.RESTART.value):
    """End the program that runs in front of a pane, and start it again as after a crash."""

    target: PaneTarget

    def describe(self) -> str:
        return f"restart the program in {self.target}"


class RespawnHeal(msgspec.Struct, frozen=True, tag=HealKind.RESPAWN.value):
    """End the pane's own process, and start its own command again."""

    target: PaneTarget

    def describe(self) -> str:
        return f"respawn {self.target}"


class UnitHeal(msgspec.Struct, frozen=True, tag=HealKind.RESTART_UNIT.value):
    """Restart a systemd unit."""

    unit: str
    manager: UnitManager = UnitManager.SYSTEM
    seconds: float = 90.0

    def describe(self) -> str:
        return f"restart the {self.manager} unit {self.unit}"


class SignalHeal(msgspec.Struct, frozen=True, tag=HealKind.SIGNAL.value):
    """Send a signal to a process: the program of a pane, or the one that a pidfile names."""

    signal: str
    """Its name without SIG."""
    target: PaneTarget | None = None
    pidfile: str = ""
    """Full path; used where no pane is named."""
    expect: str = ""
    """Regular expression that the command line of the pidfile's process has to match: pids are used again."""

    def describe(self) -> str:
        where = f"the program in {self.target}" if self.target else f"the process of {self.pidfile}"
        return f"send SIG{self.signal} to {where}"


class CommandHeal(msgspec.Struct, frozen=True, tag=HealKind.COMMAND.value):
    """Run a program to its end; 0 means that it has done what it should."""

    argv: tuple[str, ...]
    seconds: float = 60.0
    undo: tuple[str, ...] = ()
    """The program that takes it back, run where the heal has not helped; empty: there is no way back."""
    shell: bool = False
    """Whether a user asked for it to be run by ``/bin/sh -c``; ``argv`` is then the one line."""

    def describe(self) -> str:
        return f"run `{redact.command(self.argv)}`"


class DeleteHeal(msgspec.Struct, frozen=True, tag=HealKind.DELETE.value):
    """Delete old files in a folder; never outside it, and never through a symbolic link."""

    folder: str
    """Full path."""
    match: tuple[str, ...]
    """Globs of file names."""
    older: float
    """Seconds since a file was last written."""
    keep: int = 0
    """So many of the newest that match stay in any case."""
    deep: bool = False
    """Whether folders within it are gone through too."""

    def describe(self) -> str:
        return f"delete {', '.join(self.match)} older than {show_seconds(self.older)} in {self.folder}"


class RotateHeal(msgspec.Struct, frozen=True, tag=HealKind.ROTATE.value):
    """Give large files of a folder a number, compress the old ones, and keep so many of them."""

    folder: str
    match: tuple[str, ...]
    larger: int
    """Bytes from which on a file is rotated."""
    keep: int = 5
    truncate: bool = True
    """Copy and truncate, because whoever writes the file keeps it open; else it is renamed."""

    def describe(self) -> str:
        return f"rotate {', '.join(self.match)} in {self.folder}"


class PruneCheckpointsHeal(msgspec.Struct, frozen=True, tag=HealKind.PRUNE_CHECKPOINTS.value):
    """Remove the checkpoints that retention would not keep with this much less of everything."""

    keep: int = 5
    """Generations of each session that stay; never its newest good one is removed."""

    def describe(self) -> str:
        return f"prune checkpoints, keeping the newest {self.keep} of each session"


class DropCachesHeal(msgspec.Struct, frozen=True, tag=HealKind.DROP_CACHES.value):
    """Give back what the sidecar itself keeps in memory to be quick."""

    def describe(self) -> str:
        return "drop the sidecar's own caches"


class TrimStoreHeal(msgspec.Struct, frozen=True, tag=HealKind.TRIM_STORE.value):
    """Give the empty pages of the database back to the file system, and shorten its log."""

    def describe(self) -> str:
        return "trim the database"


class TrimHistoryHeal(msgspec.Struct, frozen=True, tag=HealKind.TRIM_HISTORY.value):
    """Have tmux forget the older scrollback of panes; what is stored in checkpoints stays."""

    session: str
    """Glob of session names."""
    lines: int
    """Panes with more lines of history than this are trimmed."""

    def describe(self) -> str:
        return f"clear the history of panes of {self.session} with more than {self.lines} lines"


class NotifyHeal(msgspec.Struct, frozen=True, tag=HealKind.NOTIFY.value):
    """Call a person, and do nothing else."""

    text: str = ""

    def describe(self) -> str:
        return "call a person"


class WebhookHeal(msgspec.Struct, frozen=True, tag=HealKind.WEBHOOK.value):
    """POST to a URL, which is to do the healing."""

    url: str
    seconds: float = 10.0
    token_file: str = ""
    """Full path of a file whose first line is sent as a bearer token; empty for none."""

    def describe(self) -> str:
        return f"POST to {self.host}"

    @property
    def host(self) -> str:
        """Whom it is sent to, without what may be a secret: a path often is one."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}"


Heal = (
    RestartHeal
    | RespawnHeal
    | UnitHeal
    | SignalHeal
    | CommandHeal
    | DeleteHeal
    | RotateHeal
    | PruneCheckpointsHeal
    | DropCachesHeal
    | TrimStoreHeal
    | TrimHistoryHeal
    | NotifyHeal
    | WebhookHeal
)


@dataclass(frozen=True, slots=True)
class HealCall:
    """One heal that is to be done, and on whose behalf."""

    heal: Heal
    mark: str
    """The word of the recovery that does it, and of no other."""
    check: str = ""
    """The check that asks for it."""
    subject: str = ""
    """Whose lease it has: a session, or the check."""
    facts: tuple[str, ...] = ()
    """What the check has found, for people."""
    again: bool = False
    """An earlier attempt under this mark may have had its effect, or some of it."""
    process: ProcessState | None = None
    """Whom a signal is for, where a pane was named."""
    servers: frozenset[int] = frozenset()
    """Pids of tmux servers: they are never signalled."""


def kind_of(heal: Heal) -> HealKind:
    """Which way to heal it is."""
    return HealKind(str(type(heal).__struct_config__.tag))


def target_of(heal: Heal) -> PaneTarget | None:
    """The pane that it works on; None for a heal that works on none."""
    return heal.target if isinstance(heal, RestartHeal | RespawnHeal | SignalHeal) else None
