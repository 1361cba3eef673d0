"""The examiner of a server that is there and does not answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sidecar.clock import Clock
from sidecar.decide import frozen
from sidecar.decide.detect import Expected
from sidecar.flow.ports import LookAgain, Stopped, Tmux
from sidecar.flow.ward import Ward
from sidecar.model.incident import Cause, Finding
from sidecar.model.running import ProcessState, Running
from sidecar.model.session import Look, Presence

_POLL = 0.1
"""Seconds between two glances at the server's process. Reading costs next to nothing, waking up for it
a hundred microseconds."""
_SILENT = 2
"""Looks in a row without an answer, before a server that is not stopped counts as silent."""


class ServerExaminer:
    """Why a server that lives does not answer. One incident, however many sessions it holds."""

    causes = frozenset(
        {Cause.SERVER_SUSPENDED, Cause.SERVER_BLOCKED, Cause.SERVER_UNRESPONSIVE, Cause.CLIENT_WEDGED}
    )

    def __init__(self, ward: Ward, tmux: Tmux, stopped: Stopped, clock: Clock, notice: LookAgain) -> None:
        self._ward = ward
        self._tmux = tmux
        self._stopped = stopped
        self._clock = clock
        self._notice = notice
        self._known: ProcessState | None = None
        """The server as it last answered, or as it was found."""
        self._first_sign: float | None = None
        self._silent = 0
        self._last: Cause | None = None

    async def glance(self) -> None:
        """LookAgain that the server's process was stopped, for ever: nothing else tells of that."""
        was = False
        while True:
            await self._clock.sleep(_POLL)
            now = self._stopped.state(self._known.pid) if self._known else None
            stopped = now is not None and now.stopped and now.same(self._known)
            if stopped and not was:
                self._first_sign = self._clock.monotonic()
                self._notice()
            was = stopped

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        if not look.silent:
            self._remember(look)
            return ()
        self._silent += 1
        server = await self._server()
        outside = await self._stopped.server(server.pid) if server else None
        if server is None or outside is None or not server.same(outside.now):
            return ()
        found = frozen.suspect(outside, look.reason)
        if found.cause is not Cause.SERVER_SUSPENDED and self._silent < _SILENT:
            self._notice()
            return ()
        runs = outside.now.running is Running.RUNNING
        if found.cause is Cause.SERVER_UNRESPONSIVE and runs and self._ward.stress.cpu:
            # On an overloaded machine whatever wants to run is late: that says nothing about the server.
            return ()
        if found.cause is not self._last and "" not in self._ward.cases:
            # What was said about another cause does not hold any more.
            self._ward.standstills.pop("", None)
        self._last = found.cause
        if self._first_sign is None:
            self._first_sign = look.taken
        life = f"{server.pid}/{server.started}"
        return (frozen.server_finding(found, server, self._first_sign, life),)

    async def still(self, finding: Finding, look: Look) -> bool:
        if look.presence is Presence.PRESENT:
            return False
        [part] = finding.failure.broken
        now = self._stopped.state(part.pid)
        return now is not None and now.started == part.started and now.stopped

    def _remember(self, look: Look) -> None:
        self._silent, self._last, self._first_sign = 0, None, None
        if look.server is not None:
            self._known = self._stopped.state(look.server.pid)

    async def _server(self) -> ProcessState | None:
        """The process that has to answer; also one that an earlier run of ours has known."""
        if self._known is None or not self._known.same(self._stopped.state(self._known.pid)):
            pid = await self._tmux.live_server()
            self._known = self._stopped.state(pid) if pid else None
        return self._known
