"""Calling a person: where the settings say so, counted, and written down whether or not anyone saw it."""

from __future__ import annotations

from sidecar.errors import SidecarError
from sidecar.flow.ports import Logbook, Meter, Tmux
from sidecar.flow.ward import Ward
from sidecar.model.record import Action


class Person:
    """Whoever looks after the sessions. A call never fails."""

    def __init__(self, ward: Ward, tmux: Tmux, meter: Meter, log: Logbook) -> None:
        self._ward = ward
        self._tmux = tmux
        self._meter = meter
        self._log = log

    async def call(self, session: str, text: str) -> None:
        """Say it about this session."""
        if not self._ward.settings.notify.tmux:
            return
        try:
            seen = await self._tmux.announce(session, text)
        except SidecarError:
            seen = False
        self._meter.notified("tmux", "delivered" if seen else "nobody_there")
        self._log.say(Action.NOTIFIED, level="error", session=session, text=text, seen=seen)
