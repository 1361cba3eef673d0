"""What rules ask, over and over: each question in its own time, and none in another's way."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from sidecar.clock import Clock, Dice
from sidecar.decide import backoff
from sidecar.decide.heartbeat import Standing
from sidecar.decide.weather import REMEMBERED, Weather, failures_in_a_row, loss, passing, weather
from sidecar.flow.ports import Logbook, Prober, RoundsMeter
from sidecar.model.heartbeat import Heartbeat
from sidecar.model.policy import Jitter, RetryPolicy
from sidecar.model.probe import Probe, ProbeResult
from sidecar.model.record import Action

_LONG, _MOMENT = 2.0, 0.25
"""Seconds: longer pauses end at multiples of a moment."""
_JITTER = 0.1
"""Pauses are longer or shorter by up to this share, so that questions do not come in step."""


class Rule(Protocol):
    """What has to be known of a rule to ask its questions. All but ``after`` are seconds."""

    @property
    def interval(self) -> float: ...

    @property
    def retry_interval(self) -> float: ...

    @property
    def timeout(self) -> float: ...

    @property
    def after(self) -> int: ...

    @property
    def slow_from(self) -> float: ...


R = TypeVar("R", bound=Rule)


class Places(Protocol):
    """How many questions are asked at once."""

    def place(self, probe: Probe, last: ProbeResult | None) -> AbstractAsyncContextManager[object]:
        """Where this one waits for its turn; ``last`` is what its last try gave."""


class Seats:
    """So many places for all questions together."""

    def __init__(self, count: int = 64) -> None:
        self._places = asyncio.Semaphore(count)

    def place(self, probe: Probe, last: ProbeResult | None) -> AbstractAsyncContextManager[object]:
        return self._places


@dataclass(frozen=True, slots=True)
class Question(Generic[R]):
    """One probe of one rule."""

    label: str
    """What the rule is called."""
    rule: R
    probe: Probe
    session: str = ""
    """Whom it is asked for; empty where the answer is the same for all."""
    _hash: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        # It is looked up many times for each try, and a rule has many fields.
        object.__setattr__(self, "_hash", hash((self.label, self.rule, self.probe, self.session)))

    def __hash__(self) -> int:
        return self._hash


@dataclass(slots=True)
class _Memory:
    tries: tuple[ProbeResult, ...] = ()
    begun: float = float("-inf")
    """Monotonic seconds at which the last finished try began."""
    since: float | None = None
    due: float | None = None
    """Monotonic seconds of the next try; None while it is under way."""
    weather: Weather = Weather.CLEAR
    asking: asyncio.Lock = field(default_factory=asyncio.Lock)
    alarm: asyncio.Future[None] | None = None
    """Rings at the next try; there while it is waited for."""
    hurried: bool = False
    """Whether the next rest is left out."""

    def hurry(self) -> None:
        if self.alarm is not None:
            self.alarm.cancel()
        else:
            self.hurried = True


class Rounds(Generic[R]):
    """Asks, and remembers the last answers."""

    def __init__(
        self,
        prober: Prober,
        clock: Clock,
        dice: Dice,
        meter: RoundsMeter,
        log: Logbook,
        places: Places | None = None,
        remembered: int = REMEMBERED,
    ) -> None:
        """``remembered`` is how many of the last tries of each question are."""
        self._prober = prober
        self._remembered = remembered
        self._clock = clock
        self._dice = dice
        self._meter = meter
        self._log = log
        self._places = places or Seats()
        self._memories: dict[Question[R], _Memory] = {}

    def keep(self, questions: Collection[Question[R]]) -> None:
        """Remember these, and forget all others."""
        for gone in self._memories.keys() - set(questions):
            del self._memories[gone]
        for question in questions:
            self._memories.setdefault(question, _Memory())
        self._meter.probing({(each.label, each.probe.kind) for each in questions})

    def standing(self, question: Question[R]) -> Standing:
        """How it stands by the last tries."""
        memory = self._memories.get(question) or _Memory()
        return Standing(question.probe, memory.tries, memory.weather, memory.since)

    def asked(self, question: Question[R]) -> float:
        """Monotonic seconds at which the last answered try began."""
        memory = self._memories.get(question)
        return memory.begun if memory else float("-inf")

    def due(self, question: Question[R]) -> float | None:
        """Monotonic seconds of the next try; None while it is under way."""
        memory = self._memories.get(question)
        return memory.due if memory else None

    def start_anew(self, question: Question[R]) -> None:
        """What was found so far says nothing any more; ask at once."""
        memory = self._memories.get(question)
        if memory is not None:
            memory.tries, memory.since, memory.weather = (), None, Weather.CLEAR
            memory.hurry()

    def hurry(self, question: Question[R]) -> None:
        """Do not wait any longer before the next try."""
        memory = self._memories.get(question)
        if memory is not None:
            memory.hurry()

    async def ask(self, question: Question[R], *, since: float = float("inf")) -> Standing:
        """One try, unless one that began at ``since`` or later (monotonic seconds) is known already."""
        memory = self._memories.setdefault(question, _Memory())
        async with memory.asking:
            if memory.begun < since:
                async with self._places.place(question.probe, memory.tries[-1] if memory.tries else None):
                    await self._try(question, memory)
        return self.standing(question)

    async def rest(self, question: Question[R], seconds: float | None = None) -> None:
        """Wait until the next try, or for ``seconds``; in either case no longer than until it is hurried."""
        memory = self._memories.setdefault(question, _Memory())
        if memory.hurried:
            memory.hurried = False
            return
        pause = self._pause(question, memory) if seconds is None else seconds
        now = self._clock.monotonic()
        # What is asked in the same moment costs less than what wakes us for itself each time.
        pause = pause if pause < _LONG else math.ceil((now + pause) / _MOMENT) * _MOMENT - now
        memory.due = now + pause
        alarm = memory.alarm = asyncio.ensure_future(self._clock.sleep(pause))
        try:
            await asyncio.wait({alarm})
        finally:
            alarm.cancel()
            memory.alarm = None
            memory.due = None

    async def _try(self, question: Question[R], memory: _Memory) -> None:
        began = self._clock.monotonic()
        about = {"SIDECAR_SESSION": question.session} if question.session else {}
        result = await self._prober.probe(question.probe, question.rule.timeout, about)
        memory.begun = began
        memory.tries = (*memory.tries, result)[-self._remembered :]
        if result.fault is None:
            memory.since = None
        elif memory.since is None:
            memory.since = began
        self._tell(question, memory, weather(memory.tries, question.rule.after, question.rule.slow_from))
        self._meter.probed(
            question.label, question.probe.kind, result.fault or "", result.took, loss(memory.tries)
        )

    def _tell(self, question: Question[R], memory: _Memory, now: Weather) -> None:
        before, memory.weather = memory.weather, now
        if now is before:
            return
        self._log.say(
            Action.PROBE_CHANGED,
            level="info" if now is Weather.CLEAR else "warning",
            session=question.session,
            rule=question.label,
            probe=question.probe.describe(),
            was=before,
            now=now,
            found=memory.tries[-1].fact,
            loss=round(loss(memory.tries), 3),
        )

    def _pause(self, question: Question[R], memory: _Memory) -> float:
        rule, row = question.rule, failures_in_a_row(memory.tries)
        if not memory.tries:
            # The first time, all of them come in together.
            return self._dice.roll() * rule.retry_interval
        if row == 0:
            pause = rule.interval
        else:
            attempt = row if passing(memory.tries) else max(row - rule.after + 1, 1)
            growing = RetryPolicy(1, rule.retry_interval, rule.interval, jitter=Jitter.NONE)
            pause = backoff.delay(growing, attempt, 0.0)
        return self.jittered(pause)

    def jittered(self, pause: float) -> float:
        """The same, a little longer or shorter."""
        return pause * (1.0 + _JITTER * (2.0 * self._dice.roll() - 1.0))


def questions_of(label: str, rule: Heartbeat, sessions: Collection[str]) -> list[Question[Heartbeat]]:
    """What a rule asks while these sessions are there; only a command is asked for each of them."""
    own = [Question(label, rule, rule.command, name) for name in sessions] if rule.command else []
    common = [Question(label, rule, probe) for probe in rule.probes if probe is not rule.command]
    return own + common if sessions else []
