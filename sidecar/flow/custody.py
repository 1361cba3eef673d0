"""Taking a session out of our care and into it again, as a person says; and what we make of it now."""

from __future__ import annotations

from dataclasses import replace

from sidecar.clock import Clock
from sidecar.decide.by_hand import asking
from sidecar.decide.detect import Expected, instance_of
from sidecar.decide.quiet import covering
from sidecar.errors import SidecarError
from sidecar.flow.picture import health_of
from sidecar.flow.ports import Book, Logbook, Meter, Tmux
from sidecar.flow.ward import DRAINING, Case, Ward, busy
from sidecar.flow.watch import Watch
from sidecar.model.care import Care, Duty, Explanation, Subject
from sidecar.model.check import Check, CheckState, name_of
from sidecar.model.incident import Asker, Failure, Finding, SignalKind
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.record import Action, KnownSession, Standing
from sidecar.model.session import Look, Session, armed_in
from sidecar.model.status import DryRun, UnknownSession


class Custody:
    """Implements :class:`sidecar.web.ports.Custody`."""

    def __init__(
        self,
        ward: Ward,
        tmux: Tmux,
        book: Book,
        clock: Clock,
        meter: Meter,
        log: Logbook,
        watch: Watch,
    ) -> None:
        self._ward = ward
        self._tmux = tmux
        self._book = book
        self._clock = clock
        self._meter = meter
        self._log = log
        self._watch = watch

    async def release(self, name: str) -> Care | Refusal | UnknownSession:
        """Look after the session no longer: nothing is recovered or stored until it is adopted."""
        refusal = self._hindrance(name)
        if refusal is not None:
            return await self._refused(name, refusal)
        look = await self._tmux.look()
        live = look.find(name)
        if name in self._ward.released:
            return Care(name, Standing.RELEASED, live is not None, changed=False)
        entry = self._ward.expected.get(name)
        if entry is None and live is None:
            return UnknownSession(name)
        instance = _instance(live, look) or (entry.instance if entry else "")
        await self._let_go(name, entry, instance)
        if live is not None:
            await self._tmux.disarm(*armed_in([live]))
        return Care(name, Standing.RELEASED, live is not None, changed=True)

    async def adopt(self, name: str) -> Care | Refusal | UnknownSession:
        """Look after the session again."""
        refusal = self._hindrance(name)
        if refusal is not None:
            return await self._refused(name, refusal)
        look = await self._tmux.look()
        live = look.find(name)
        released = name in self._ward.released
        if not released and live is None and name not in self._ward.expected:
            return UnknownSession(name)
        if live is not None and not self._ward.manages(name, live):
            unmanaged = Refusal(
                RefusalReason.NOT_MANAGED,
                f"{name} is not managed: sessions.manage, sessions.ignore or its option @sidecar says so",
                hint=f"Change the configuration, or: tmux set-option -u -t '={name}' @sidecar",
            )
            return await self._refused(name, unmanaged)
        if released:
            await self._take_up(name, live, look)
        return Care(name, Standing.LIVE, live is not None, changed=released)

    async def explain(self, name: str) -> Explanation | UnknownSession:
        """What is wrong, why, and what would be done: by itself, and on request. Changes nothing."""
        check = self._ward.check(name_of(name))
        if check is not None:
            return await self._explain_check(check, name)
        case = self._ward.cases.get(name)
        newest = await self._book.newest_checkpoint(name)
        live = self._ward.look.find(name)
        if case is None and live is None and newest is None and name not in self._ward.expected:
            return UnknownSession(name)
        health, duty = health_of(self._ward, name, live), self._duty(name, live)
        quiet = covering(self._ward.hushes(self._clock.wall()), name)
        subject = Subject(name, health, duty, live is not None, newest, quiet)
        asked = None if case is not None else await self._watch.ask(name)
        found = await self._explained(subject, case, asked)
        return replace(found, incident=next(iter(await self._book.incidents(1, None, name, True)), None))

    async def _explain_check(self, check: Check, name: str) -> Explanation:
        quiet = covering(self._ward.hushes(self._clock.wall()), check.about, check.name)
        case = self._ward.cases.get(check.subject)
        asked = None if case is not None else await self._watch.ask(name)
        health = CheckState.HEALING if case else CheckState.FAILING if asked else CheckState.PASSING
        subject = Subject(name, health, Duty.EXPECTED, live=True, checkpoint=None, quiet=quiet)
        found = await self._explained(subject, case, asked)
        waiting = await self._book.incidents(1, None, check.subject, True)
        return replace(found, incident=next(iter(waiting), None))

    async def _explained(
        self, subject: Subject, case: Case | None, asked: tuple[Failure, Look] | Refusal | None
    ) -> Explanation:
        name = subject.name
        if case is not None:
            return Explanation(subject, case.finding, busy(name), busy(name))
        if isinstance(asked, Refusal):
            return Explanation(subject, None, asked, asked)
        if asked is None:
            healthy = Refusal(RefusalReason.HEALTHY, f"{name} is in good order: nothing to recover")
            return Explanation(subject, None, healthy, healthy)
        return await self._diagnosed(subject, *asked)

    async def _diagnosed(self, subject: Subject, failure: Failure, look: Look) -> Explanation:
        finding: Finding = self._watch.case_for(failure, look, Asker.OPERATOR).finding
        on_request = await self._watch.dry_run(failure, look, asker=Asker.OPERATOR)
        by_itself: DryRun | Refusal
        if subject.duty is Duty.NOT_EXPECTED:
            by_itself = Refusal(
                RefusalReason.NOT_MANAGED,
                f"{subject.name} is not expected to be there",
                hint=f"`{asking('recover', subject.name)}` brings it back.",
            )
        else:
            by_itself = await self._watch.dry_run(failure, look, asker=Asker.WATCHER)
        return Explanation(subject, finding, by_itself, on_request)

    def _duty(self, name: str, live: Session | None) -> Duty:
        if name in self._ward.released:
            return Duty.RELEASED
        if not self._ward.manages(name, live):
            return Duty.NOT_MANAGED
        return Duty.EXPECTED if live or name in self._ward.expected else Duty.NOT_EXPECTED

    def _hindrance(self, name: str) -> Refusal | None:
        if self._ward.draining:
            return DRAINING
        return busy(name) if name in self._ward.cases else None

    async def _refused(self, name: str, refusal: Refusal) -> Refusal:
        await self._book.refuse(name, refusal, Asker.OPERATOR, self._clock.wall(), None, None)
        self._meter.refusal(refusal.reason)
        return refusal

    async def _let_go(self, name: str, entry: Expected | None, instance: str) -> None:
        # First in memory: a cycle that comes in between must not take it up again.
        self._ward.released[name] = instance
        known = KnownSession(
            name,
            Standing.RELEASED,
            instance,
            entry.declared if entry else False,
            self._clock.wall(),
        )
        try:
            await self._book.remember(known, Action.SESSION_RELEASED, "asked for", Asker.OPERATOR)
        except SidecarError:
            self._ward.released.pop(name, None)
            raise
        self._watch.forget(name)
        await self._watch.dismiss(name, "a person released it")
        self._log.say(
            Action.SESSION_RELEASED, session=name, hint=f"`{asking('adopt', name)}` takes it up again."
        )
        self._watch.signal(SignalKind.REQUEST, session=name)

    async def _take_up(self, name: str, live: Session | None, look: Look) -> None:
        declared = any(known.name == name and known.declared for known in await self._book.known_sessions())
        if live is not None or declared:
            known = KnownSession(name, Standing.LIVE, _instance(live, look), declared, self._clock.wall())
            await self._watch.take_up(known)
        else:
            await self._book.forget(
                name, Action.SESSION_ADOPTED, "asked for; it is not there", Asker.OPERATOR
            )
        self._ward.released.pop(name, None)
        self._log.say(Action.SESSION_ADOPTED, session=name)
        self._watch.signal(SignalKind.REQUEST, session=name)


def _instance(live: Session | None, look: Look) -> str:
    return instance_of(look.server, live) if live is not None and look.server is not None else ""
