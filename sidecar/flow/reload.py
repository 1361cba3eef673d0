"""Taking up a changed configuration without a restart: as a whole, or not at all.

A file with faults changes nothing. What only a start can change (which server, which address) keeps
its old value, and the log says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, fields, replace

from sidecar.clock import Clock
from sidecar.config import Settings
from sidecar.decide.changes import changes
from sidecar.errors import ConfigInvalid, Fault, SidecarError
from sidecar.flow.ports import Book, Logbook
from sidecar.flow.ward import Loaded, Ward
from sidecar.model.record import Action

AT_START_ONLY = ("tmux", "http")
"""Sections that a running service cannot follow."""

_NO_SECTIONS = ("source", "text")


class Reloader:
    """Reads the configuration again on request; one at a time."""

    def __init__(
        self,
        ward: Ward,
        read: Callable[[], Settings],
        book: Book,
        clock: Clock,
        log: Logbook,
        keep: Callable[[Settings], None],
    ) -> None:
        """
        Args:
            read: gives the settings as at the start, command line included; it blocks.
            keep: stores those that are in force for a start that finds a broken file; it blocks.
        """
        self._ward = ward
        self._read = read
        self._book = book
        self._clock = clock
        self._log = log
        self._keep = keep
        self._one = asyncio.Lock()

    async def reload(self) -> None:
        """Take the settings up.

        Raises:
            ConfigInvalid: every fault; the old settings stay in force.
            StoreUnavailable: the change could not be put on record, so it is not made.
        """
        async with self._one:
            try:
                settings = await asyncio.to_thread(self._read)
            except ConfigInvalid as error:
                await self._refuse(error)
                raise
            await self._accept(settings)

    async def _refuse(self, error: ConfigInvalid) -> None:
        self._ward.loaded = replace(self._ward.loaded, good=False)
        faults = [str(fault) for fault in error.faults]
        self._log.say(Action.CONFIG_REFUSED, level="error", faults=faults, hint=error.hint)
        await self._book.audit(
            Action.CONFIG_REFUSED,
            self._clock.wall(),
            actor="operator",
            detail={"faults": [asdict(fault) for fault in error.faults]},
        )

    async def _accept(self, settings: Settings) -> None:
        old, now = self._ward.settings, self._clock.wall()
        settings = replace(settings, declared=settings.declared.keeping(old.declared))
        different = [
            field.name
            for field in fields(Settings)
            if field.name not in _NO_SECTIONS and getattr(old, field.name) != getattr(settings, field.name)
        ]
        changed = [name for name in different if name not in AT_START_ONLY]
        waiting = [name for name in different if name in AT_START_ONLY]
        keys = changes(old, settings)
        await self._book.audit(
            Action.CONFIG_RELOADED,
            now,
            actor="operator",
            detail={
                "changed": changed,
                "after_restart": waiting,
                "before": {key: before for key, (before, _) in keys.items()},
                "after": {key: after for key, (_, after) in keys.items()},
            },
        )
        self._ward.settings = replace(settings, **{name: getattr(old, name) for name in AT_START_ONLY})
        self._ward.declare()
        self._ward.loaded = Loaded(good=True, at=now)
        self._ward.ask_again()
        self._log.say(
            Action.CONFIG_RELOADED,
            changed=changed,
            after_restart=waiting,
            hint=f"Restart to take up: {', '.join(waiting)}." if waiting else "",
        )
        await self.tell_workspace_faults()
        await self.keep()

    async def fall_back(self, faults: Sequence[Fault], loaded: float) -> None:
        """The file was broken at the start: what is in force is what was last good, at ``loaded``."""
        self._ward.loaded = Loaded(good=False, at=loaded)
        self._log.say(
            Action.CONFIG_FELL_BACK,
            level="error",
            faults=[str(fault) for fault in faults],
            hint="The configuration that was last good is in force. Mend the named lines, then reload.",
        )
        await self._book.audit(
            Action.CONFIG_FELL_BACK,
            self._clock.wall(),
            detail={"faults": [asdict(fault) for fault in faults], "last_good": loaded},
        )

    async def keep(self) -> None:
        """Store the settings that are in force; say so if that cannot be done."""
        try:
            await asyncio.to_thread(self._keep, self._ward.settings)
        except SidecarError as error:
            self._log.say(
                Action.TASK_FAILED, level="warning", task="configuration", error=str(error), hint=error.hint
            )

    async def tell_workspace_faults(self) -> None:
        """Put on record what is wrong in the workspace files; the sessions of the good ones are declared."""
        faults = self._ward.settings.declared.faults
        for fault in faults:
            self._log.say(
                Action.WORKSPACE_REFUSED,
                level="warning",
                fault=str(fault),
                hint="`sidecar config check` names every one.",
            )
        if faults:
            await self._book.audit(
                Action.WORKSPACE_REFUSED,
                self._clock.wall(),
                detail={"faults": [asdict(fault) for fault in faults]},
            )
