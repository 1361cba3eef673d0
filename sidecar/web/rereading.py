"""What decides who gets in is read again when it changes: the web-config file, its certificates, tokens.

A web-config file with faults changes nothing, and is told once. Whether the service speaks TLS at all is
settled at the start: whoever knows its address knows that too.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from sidecar.clock import Clock
from sidecar.errors import ConfigInvalid, Fault, Permanent, SidecarError
from sidecar.model.access import StoredToken, WebSettings
from sidecar.model.record import Action
from sidecar.web.ports import Chronicle
from sidecar.web.tls import Loaded
from sidecar.web.tokens import Tokens

EVERY = 2.0
"""Seconds between two looks at the files."""


class Rereader:
    """Holds what is in force."""

    def __init__(
        self,
        file: Path | None,
        load: Callable[[], Loaded],
        tokens: Tokens,
        clock: Clock,
        chronicle: Chronicle,
    ) -> None:
        """
        Args:
            file: the web-config file; None if there is none.
            load: reads it; blocks, raises ``ConfigInvalid`` with every fault, or ``Permanent`` where it
                would let everybody in.
        """
        self._file = file
        self._load = load
        self._tokens = tokens
        self._clock = clock
        self._chronicle = chronicle
        self._loaded = Loaded(WebSettings())
        self._seen: object = None
        self._faults: tuple[str, ...] = ()
        self._begun = False

    @property
    def settings(self) -> WebSettings:
        return self._loaded.settings

    @property
    def context(self) -> ssl.SSLContext | None:
        """For connections that come from now on."""
        return self._loaded.context

    async def begin(self) -> None:
        """Read everything for the first time.

        Raises:
            ConfigInvalid: the web-config file has faults.
            Permanent: it, or its absence, would let everybody in.
        """
        self._take(await self.check())
        self._begun = True
        await self._tokens.refresh()
        # Those were made before, and are no news.
        self._tokens.changes.clear()
        await self._look_at_tokens()

    async def check(self) -> Loaded:
        """The file as it is now, without taking it up.

        Raises:
            ConfigInvalid: it has faults, or asks for what only a start can give.
            Permanent: it would let everybody in.
        """
        if self._file is None and self._begun:
            return self._loaded
        loaded = await asyncio.to_thread(self._load)
        if self._begun and (loaded.context is None) is not (self.context is None):
            sentence = "tls_server_config came or went, which takes a restart"
            raise ConfigInvalid([Fault(str(self._file), 0, "", sentence)])
        return loaded

    async def take_up(self, loaded: Loaded) -> None:
        """From now on this is in force."""
        different = loaded.settings != self.settings
        renewed = loaded.context is not None
        self._take(loaded)
        if different or renewed:
            detail = {"file": str(self._file), "users": sorted(loaded.settings.users), "tls": renewed}
            await self._tell(Action.WEB_CONFIG_RELOADED, "info", detail)

    async def run(self) -> None:
        """Look, for ever."""
        while True:
            await self._clock.sleep(EVERY)
            await self._look_at_file()
            await self._look_at_tokens()

    def _take(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._seen = self._signature()

    async def _look_at_file(self) -> None:
        signature = self._signature()
        if signature == self._seen:
            return
        self._seen = signature
        try:
            await self.take_up(await self.check())
        except Permanent as error:
            await self.refuse(error)

    async def refuse(self, error: Permanent) -> None:
        """Tell that the file on disk is not what is in force."""
        found = (
            error.faults if isinstance(error, ConfigInvalid) else (Fault(str(self._file), 0, "", str(error)),)
        )
        detail = {"faults": [asdict(fault) for fault in found]}
        self._chronicle.say(
            Action.WEB_CONFIG_REFUSED,
            level="error",
            faults=[str(fault) for fault in found],
            hint="What was read before stays in force. Mend the named lines.",
        )
        with contextlib.suppress(SidecarError):
            await self._chronicle.audit(Action.WEB_CONFIG_REFUSED, self._clock.wall(), detail=detail)

    async def _look_at_tokens(self) -> None:
        await self._tokens.refresh()
        while self._tokens.changes:
            change = self._tokens.changes.pop(0)
            detail = {"made": _words(change.made), "revoked": _words(change.revoked)}
            await self._tell(Action.TOKENS_CHANGED, "info", detail)
        if self._tokens.faults != self._faults:
            self._faults = self._tokens.faults
            for sentence in self._faults:
                self._chronicle.say(
                    Action.TOKENS_REFUSED,
                    level="warning",
                    fault=sentence,
                    hint="Mend it, or remove it.",
                )

    async def _tell(self, action: Action, level: str, detail: Mapping[str, object]) -> None:
        self._chronicle.say(action, level=level, **detail)
        with contextlib.suppress(SidecarError):
            await self._chronicle.audit(action, self._clock.wall(), detail=detail)

    def _signature(self) -> object:
        """What differs whenever a file has been changed or replaced."""
        if self._file is None:
            return None
        tls = self.settings.tls
        return tuple(_facts(path) for path in (str(self._file), *(tls.files if tls else ())))


def _facts(path: str) -> tuple[int, ...]:
    try:
        facts = os.stat(path)
    except OSError:
        return ()
    return (facts.st_mtime_ns, facts.st_ino, facts.st_size)


def _words(tokens: Sequence[StoredToken]) -> Sequence[str]:
    return [f"{each.name} ({each.scope})" for each in tokens]
