"""The examiner of heartbeats: what rules ask and measure in their own time, and what follows from it.

Every probe and every measurement runs in a task of its own; a cycle of the watch only reads what is
known, so that nothing that hangs holds up a look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Coroutine, Hashable, Mapping, Sequence
from functools import partial
from typing import Any

from sidecar.clock import Clock, Dice
from sidecar.decide import heartbeat as rules
from sidecar.decide.detect import Expected
from sidecar.decide.heartbeat import Stillness, Subject
from sidecar.decide.weather import Weather
from sidecar.flow.dependencies import Dependencies
from sidecar.flow.ports import Logbook, ProbeMeter, Senses
from sidecar.flow.rounds import Question, Rounds, questions_of
from sidecar.flow.ward import Ward
from sidecar.flow.workers import Work, Workers
from sidecar.model.heartbeat import Heartbeat
from sidecar.model.incident import Cause, Finding
from sidecar.model.session import Look, Pane, Presence, Session
from sidecar.model.supervise import Spot
from sidecar.model.vitals import Vitals

_FRESH = 0.25
"""Seconds for which an answer counts as one of now."""
_STARTING = 8.0
"""Seconds that a program with more grace than this is given to answer, before it counts as started."""

Key = tuple[str, str]
"""A rule by its label, and a pane by its id."""


class Heartbeats:
    """Finds programs that miss their heartbeats, and whatever they wait for."""

    causes = frozenset({Cause.HEARTBEAT_MISSED, Cause.NETWORK_OUTAGE, Cause.DEPENDENCY_DOWN})

    def __init__(
        self,
        ward: Ward,
        rounds: Rounds[Heartbeat],
        dependencies: Dependencies,
        senses: Senses,
        clock: Clock,
        dice: Dice,
        meter: ProbeMeter,
        log: Logbook,
        notice: Callable[[], None],
    ) -> None:
        """``notice`` puts a reason to look into the watch's inbox."""
        self._ward = ward
        self._rounds = rounds
        self._dependencies = dependencies
        self._senses = senses
        self._clock = clock
        self._dice = dice
        self._meter = meter
        self._notice = notice
        self._rules: Mapping[str, Heartbeat] = {}
        self._questions: Mapping[str, Sequence[Question[Heartbeat]]] = {}
        self._sessions: Mapping[str, Session] = {}
        self._seen: dict[Key, Stillness] = {}
        self._workers = Workers("heartbeat", self._work, clock, log)

    async def run(self) -> None:
        """Keep one task for each question and for each rule that measures, for ever."""
        await self._workers.run()

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        self._follow(look)
        found = await self._dependencies.findings()
        missed: dict[str, int] = {}
        if look.presence is Presence.PRESENT:
            for label, rule in self._rules.items():
                own = [
                    one
                    for name, session in self._sessions.items()
                    if name in free and rule.speaks_of(name)
                    for one in self._judge(label, rule, session)
                ]
                missed[label] = len(own)
                found.extend(own)
        self._meter.heartbeats(missed)
        return found

    def ailing(self, spot: Spot, pane: Pane, since: float) -> str:
        """See :class:`sidecar.flow.ports.Wellness`. What nobody has asked since it began is asked at once."""
        for label, rule in self._rules.items():
            if not (rule.speaks_of(spot.session) and rule.points_at(spot.window, spot.index, spot.pane)):
                continue
            for question in self._questions.get(label, ()):
                if question.session not in ("", spot.session):
                    continue
                if self._rounds.asked(question) < since:
                    self._rounds.hurry(question)
                    return f"has not answered the heartbeat {label} yet"
                if self._rounds.standing(question).since is not None:
                    return f"does not answer the heartbeat {label}"
            seen, now = self._seen.get((label, pane.id)), self._clock.monotonic()
            if seen is not None and any(rule.silences) and rules.silences(rule, seen, now):
                return f"misses the heartbeat {label}"
        return ""

    async def still(self, finding: Finding, look: Look) -> bool:
        if finding.cause is Cause.DEPENDENCY_DOWN:
            down = await self._dependencies.findings()
            return any(one.failure.session == finding.failure.session for one in down)
        label = rules.rule_of(finding)
        rule, session = self._rules.get(label), look.find(finding.failure.session)
        if rule is None or session is None:
            return False
        wanted = {part.pane for part in finding.failure.broken}
        panes = [pane for pane in _panes(rule, session) if pane.id in wanted]
        before = {part.pane: part.pid for part in finding.failure.broken}
        now = await self._measure(label, panes)
        if not any(pane.id in now for pane in panes):
            return False
        if all(pane.id in now and now[pane.id].pid == before[pane.id] for pane in panes):
            await self._ask_again(label, rule, session.name)
            return bool(self._judge(label, rule, session))
        return await self._starts_badly(label, rule, session.name, now)

    async def _starts_badly(
        self, label: str, rule: Heartbeat, session: str, now: Mapping[str, Vitals]
    ) -> bool:
        """Whether a program that was started anew does not answer yet, and is still waited for."""
        if not rule.probes:
            return False
        age = min(vitals.age for vitals in now.values())
        if rule.grace > _STARTING and age >= _STARTING:
            # Whatever it is then will be found by the rule itself, once its grace is over.
            return False
        return not await self._ask_again(label, rule, session)

    async def _ask_again(self, label: str, rule: Heartbeat, session: str) -> bool:
        """Ask all questions about this session once more. Whether any answer was good."""
        since = self._clock.monotonic() - _FRESH
        questions = [q for q in self._questions.get(label, ()) if q.session in ("", session)]
        standings = await asyncio.gather(*(self._rounds.ask(q, since=since) for q in questions))
        return any(standing.since is None for standing in standings)

    def _follow(self, look: Look) -> None:
        """The rules and sessions as they are now; the tasks follow."""
        if look.presence is not Presence.PRESENT:
            return
        listed = enumerate(self._ward.settings.heartbeats)
        rules = {rule.name or f"heartbeats[{number}]": rule for number, rule in listed}
        self._sessions = {live.name: live for live in look.sessions if live.name in self._ward.expected}
        questions = {
            label: questions_of(label, rule, [name for name in self._sessions if rule.speaks_of(name)])
            for label, rule in rules.items()
        }
        everything = [question for each in questions.values() for question in each]
        needs: dict[str, list[tuple[Question[Heartbeat], tuple[str, ...]]]] = {}
        for question in everything:
            needs.setdefault(question.probe.address, []).append((question, self._asked_for(question)))
        self._dependencies.need(needs)
        if rules == self._rules and questions == self._questions:
            return
        self._rules, self._questions = rules, questions
        self._rounds.keep(everything)
        self._seen = {key: one for key, one in self._seen.items() if key[0] in rules}
        self._workers.follow()

    def _judge(self, label: str, rule: Heartbeat, session: Session) -> tuple[Finding, ...]:
        """What the rule says of the session by all that is known of it now."""
        questions = [each for each in self._questions.get(label, ()) if each.session in ("", session.name)]
        failed = rules.failures([self._rounds.standing(each) for each in questions])
        if rule.probes and (failed is None or self._lies_elsewhere(session.name, questions)):
            return ()
        subjects = [
            Subject(pane, self._seen[label, pane.id])
            for pane in _panes(rule, session)
            if (label, pane.id) in self._seen
        ]
        return rules.findings(label, rule, session.name, subjects, failed, self._clock.monotonic())

    def _lies_elsewhere(self, session: str, questions: Sequence[Question[Heartbeat]]) -> bool:
        """Whether it is an address that is down for others too, or that may be."""
        waiting = self._ward.waiting.get(session, frozenset())
        if any(each.probe.address in waiting for each in questions):
            return True
        asked = [self._dependencies.doubtful(each) for each in questions if each.probe.address]
        return any(asked)

    def _asked_for(self, question: Question[Heartbeat]) -> tuple[str, ...]:
        if question.session:
            return (question.session,)
        return tuple(name for name in self._sessions if question.rule.speaks_of(name))

    def _work(self) -> Work:
        work: dict[Hashable, Callable[[], Coroutine[Any, Any, None]]] = {}
        for label, rule in self._rules.items():
            for question in self._questions[label]:
                work[question] = partial(self._pursue, question)
            if any(rule.silences):
                work[label, rule] = partial(self._listen, label, rule)
        return work

    async def _pursue(self, question: Question[Heartbeat]) -> None:
        """One try of a question, and the rest until the next."""
        wait = await self._dependencies.wait(question)
        if wait:
            await self._rounds.rest(question, wait)
            return
        before = self._rounds.standing(question).weather
        if not self._rounds.standing(question).tries:
            await self._rounds.rest(question)
        now = await self._rounds.ask(question)
        if now.weather in (Weather.FAILING, Weather.OUTAGE):
            for name in self._asked_for(question):
                await self._measure(question.label, _panes(question.rule, self._sessions[name]))
        await self._dependencies.heard(question)
        if now.weather is not before:
            self._notice()
        await self._rounds.rest(question)

    async def _listen(self, label: str, rule: Heartbeat) -> None:
        """One measurement of all panes of a rule, and the rest until the next."""
        sessions = [session for name, session in self._sessions.items() if rule.speaks_of(name)]
        panes = [pane for session in sessions for pane in _panes(rule, session)]
        await self._measure(label, panes)
        now = self._clock.monotonic()
        seen = [self._seen[label, pane.id] for pane in panes if (label, pane.id) in self._seen]
        if any(rules.silences(rule, one, now) for one in seen):
            self._notice()
        await self._clock.sleep(rule.interval * (0.9 + 0.2 * self._dice.roll()))

    async def _measure(self, label: str, panes: Collection[Pane]) -> Mapping[str, Vitals]:
        now = self._clock.monotonic()
        found = await self._senses.measure(panes) if panes else {}
        for pane in panes:
            if pane.id in found:
                self._seen[label, pane.id] = rules.observe(
                    self._seen.get((label, pane.id)), found[pane.id], now
                )
            else:
                self._seen.pop((label, pane.id), None)
        return found


def _panes(rule: Heartbeat, session: Session) -> list[Pane]:
    """The living panes of a session that a rule is about."""
    return [
        pane
        for window in session.windows
        for pane in window.panes
        if not pane.dead and rule.points_at(window.name, window.index, pane.index)
    ]
