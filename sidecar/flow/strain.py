"""What the machine is short of, looked at all the time, and what that changes.

The answer lies in ``Ward.stress``, where everybody reads it: checkpoints, recoveries, the turns of heavy
programs, the watch. It is looked at anew before anything is started, since memory goes in an instant.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

from sidecar.clock import Clock
from sidecar.decide import stress
from sidecar.errors import SidecarError
from sidecar.flow.ports import Book, Host, Logbook
from sidecar.flow.ward import Case, Ward
from sidecar.model.incident import Asker, Cause
from sidecar.model.plan import Plan, Refusal, RefusalReason
from sidecar.model.policy import Budget
from sidecar.model.record import Action
from sidecar.model.stress import CheckpointMode, Resource, Room, Stress

_USUAL_PAUSE = 5.0
_STRAINED_PAUSE = 1.0
_PRUNE_AGAIN = 300.0
"""Seconds between two attempts to make room within the database while the disk is short."""
_HISTORY = 50


class Strain:
    """Knows what is short, and says who has to wait for it."""

    def __init__(
        self, ward: Ward, book: Book, host: Host, clock: Clock, log: Logbook, on_change: Callable[[], None]
    ) -> None:
        """``on_change`` is called whenever something became short, or is not short any more."""
        self._ward = ward
        self._book = book
        self._host = host
        self._clock = clock
        self._log = log
        self._on_change = on_change
        self._killed = float("-inf")
        """Monotonic seconds of the last time that the kernel killed something of ours for memory."""
        self._refused = float("-inf")
        """Monotonic seconds of the last write that the disk has turned down."""
        self._pruned = float("-inf")
        self._waiting: dict[str, float] = {}
        """Since when recoveries wait for memory, by session, in monotonic seconds."""

    async def load(self) -> None:
        """Take as much care as an earlier run had reason to.

        Raises:
            StoreUnavailable: it is not known.
        """
        now, period = self._clock.wall(), self._ward.settings.resources.oom_period
        for row in await self._book.recoveries(_HISTORY):
            age = max(now - row.begun, 0.0)
            if row.cause is Cause.OUT_OF_MEMORY and age < period:
                self._killed = max(self._killed, self._clock.monotonic() - age)

    async def run(self) -> None:
        """Look every few seconds, for ever; more often while something is short."""
        while True:
            await self.look()
            now = self._ward.stress
            short = now.memory or now.cpu or now.disk
            await self._clock.sleep(_STRAINED_PAUSE if short else _USUAL_PAUSE)

    async def look(self) -> None:
        """Look at everything now."""
        await self.feel()
        mode, why = await self._mode()
        if mode is not CheckpointMode.FULL and await self._make_room():
            mode, why = await self._mode()
        self._take(replace(self._ward.stress, disk=why, checkpoints=mode))

    async def feel(self) -> None:
        """Look at memory and processor now."""
        server = self._ward.look.server
        pressure = await self._host.pressure(server.pid if server else 0)
        before, limits = self._ward.stress, self._ward.settings.resources
        self._take(
            replace(
                before,
                memory=stress.memory_short(pressure, limits, before=bool(before.memory)),
                cpu=stress.cpu_short(pressure, limits, before=bool(before.cpu)),
            )
        )

    def turned_down(self) -> None:
        """The disk has turned a write of a checkpoint down: store less from now on."""
        self._refused = self._clock.monotonic()
        before = self._ward.stress
        mode = stress.turned_down(before.checkpoints)
        self._take(replace(before, checkpoints=mode, disk=before.disk or stress.TURNED_DOWN))

    def killed(self) -> None:
        """The kernel has killed something of ours for memory."""
        self._killed = self._clock.monotonic()

    @property
    def careful(self) -> bool:
        """Whether memory has killed so lately that nothing is started but one at a time."""
        return self._clock.monotonic() - self._killed < self._ward.settings.resources.oom_period

    def lanes(self) -> int | None:
        """How many recoveries may run at once; None is any number."""
        return stress.lanes(self._ward.stress, self._ward.settings.resources, careful=self.careful)

    def starts(self) -> Budget:
        """How many heavy programs may start, in which time."""
        settings = self._ward.settings
        return settings.resources.oom_starts if self.careful else settings.recovery.starts

    async def memory(self) -> None:
        """Wait until there is memory for one more heavy program, but not for ever."""
        deadline = self._clock.monotonic() + self._ward.settings.resources.memory_wait
        while self._ward.stress.memory and self._clock.monotonic() < deadline:
            await self._clock.sleep(_STRAINED_PAUSE)

    async def admit(self, case: Case, decision: Plan | Refusal) -> Plan | Refusal:
        """The decision, or a refusal for now because there is no memory. A person who asks is not held up.

        Raises:
            StoreUnavailable: the session's history could not be read.
        """
        if isinstance(decision, Refusal) or case.asker is Asker.OPERATOR:
            return decision
        await self.feel()
        now, settings = self._clock.monotonic(), self._ward.settings.resources
        refusal = stress.admit(
            case.finding,
            decision.strategy,
            self._ward.stress,
            settings,
            deaths=await self._deaths(case, settings.oom_period),
            waited=now - self._waiting.get(case.session, now),
            now=self._clock.wall(),
        )
        if refusal is None:
            self._waiting.pop(case.session, None)
            return decision
        self._waiting.setdefault(case.session, now)
        return refusal

    async def _deaths(self, case: Case, period: float) -> list[float]:
        if case.finding.cause is not Cause.OUT_OF_MEMORY:
            return []
        since = self._clock.wall() - period
        rows = await self._book.recoveries(_HISTORY, session=case.session)
        return [row.begun for row in rows if row.cause is Cause.OUT_OF_MEMORY and row.begun >= since]

    async def _mode(self) -> tuple[CheckpointMode, str]:
        room = await self._room()
        refused = self._clock.monotonic() - self._refused < stress.REFUSED_FOR
        limits, before = self._ward.settings.resources, self._ward.stress.checkpoints
        return stress.checkpoint_mode(room, limits, before, refused=refused)

    async def _room(self) -> Room | None:
        room = await self._host.room()
        if room is None:
            return None
        # What cannot be read now is not counted on.
        with contextlib.suppress(SidecarError):
            return replace(room, spare=await self._book.spare_bytes())
        return room

    async def _make_room(self) -> bool:
        """Let go of old generations, half of what the largest session has; whether it was tried."""
        now = self._clock.monotonic()
        sizes = [total.size for total in self._ward.totals.values()]
        if now - self._pruned < _PRUNE_AGAIN or not sizes:
            return False
        self._pruned = now
        retention = self._ward.settings.checkpoints.retention
        half = min(retention.max_bytes, max(sizes) // 2)
        with contextlib.suppress(SidecarError):
            await self._book.prune(replace(retention, max_bytes=half), self._clock.wall())
        return True

    def _take(self, new: Stress) -> None:
        old, self._ward.stress = self._ward.stress, new
        for resource in Resource:
            was, why = old.why(resource), new.why(resource)
            if bool(was) != bool(why):
                action = Action.RESOURCE_SHORT if why else Action.RESOURCE_REGAINED
                self._log.say(action, level="warning" if why else "info", resource=resource, sentence=why)
        if old.checkpoints is not new.checkpoints:
            level = "info" if new.checkpoints is CheckpointMode.FULL else "warning"
            self._log.say(
                Action.CHECKPOINT_MODE,
                level=level,
                mode=new.checkpoints,
                sentence=new.disk,
                hint="" if level == "info" else "Free some space on the disk that holds the state folder.",
            )
        if old.memory and not new.memory:
            self._waiting.clear()
            self._ward.ask_again(RefusalReason.MEMORY_SHORT)
        if any(bool(old.why(one)) != bool(new.why(one)) for one in Resource):
            self._on_change()
