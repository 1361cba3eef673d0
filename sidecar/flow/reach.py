"""The examiner of the way to the server: a server that lives and cannot be reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from sidecar.decide.detect import Expected, server_of
from sidecar.decide.disconnect import CAUSES, disconnection, hands_off
from sidecar.flow.ports import SocketFile, Tmux
from sidecar.model.incident import Cause, Finding
from sidecar.model.reach import Reach
from sidecar.model.session import Look, Presence


class SocketExaminer:
    """Implements :class:`sidecar.flow.ports.Examiner`."""

    causes: frozenset[Cause] = CAUSES

    def __init__(self, tmux: Tmux, file: SocketFile, boot_id: str) -> None:
        self._tmux = tmux
        self._file = file
        self._boot = f"{boot_id}/"

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        """Nothing is asked while the server of all expected sessions answers."""
        held = {server_of(entry.instance) for entry in free.values() if entry.instance.startswith(self._boot)}
        if look.presence is Presence.PRESENT and held <= {look.server.pid if look.server else 0}:
            return ()
        found = disconnection(look, await self._reach(), held)
        if found is not None and found.cause is Cause.SOCKET_STALE:
            # A server that is being born is bound to its path a moment before it listens there.
            found = disconnection(look, await self._reach(), held)
        return () if found is None else (found,)

    async def _reach(self) -> Reach:
        # Asked first: the folder comes back with the first client that calls.
        wiped = self._file.wiped
        return replace(await self._tmux.reach(), wiped=wiped)

    async def still(self, finding: Finding, look: Look) -> bool:
        """Whether the same server is still out of reach, and nobody else has taken its place."""
        servers = {part.pid for part in finding.failure.broken}
        if look.presence is Presence.PRESENT and look.server is not None and look.server.pid in servers:
            return False
        now = disconnection(look, await self._reach(), servers)
        return now is not None and now.failure.broken == finding.failure.broken and hands_off(now) is None
