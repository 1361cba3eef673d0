"""Calling a person: in tmux at once, and through every channel that wants to hear of the matter."""

from __future__ import annotations

from sidecar.clock import Clock
from sidecar.errors import SidecarError
from sidecar.flow.notify import Notices
from sidecar.flow.ports import Logbook, Meter, Tmux
from sidecar.flow.ward import Ward
from sidecar.model.notice import GOOD_NEWS, ChannelKind, Delivery, Matter, Notice
from sidecar.model.record import Action


class Person:
    """Whoever looks after the sessions. A call never fails."""

    def __init__(
        self, ward: Ward, tmux: Tmux, notices: Notices, clock: Clock, meter: Meter, log: Logbook
    ) -> None:
        self._ward = ward
        self._tmux = tmux
        self._notices = notices
        self._clock = clock
        self._meter = meter
        self._log = log

    async def tell(self, matter: Matter, session: str, text: str, trace: str = "") -> None:
        """Say it about this session; ``session`` is empty for the tmux server."""
        await self._announce(matter, session, text)
        await self._notices.take(Notice(matter, session, text, self._clock.wall(), trace))

    async def _announce(self, matter: Matter, session: str, text: str) -> None:
        if not self._ward.settings.notify.tmux:
            return
        try:
            seen = await self._tmux.announce(session, f"sidecar: {text}")
        except SidecarError:
            seen = False
        self._meter.notified(ChannelKind.TMUX, Delivery.DELIVERED if seen else Delivery.NOBODY_THERE)
        level = "info" if matter in GOOD_NEWS else "error"
        self._log.say(Action.NOTIFIED, level=level, session=session, text=text, seen=seen)
