"""All that bears on a decision, gathered: what is stored, what is allowed, how programs would come back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from sidecar.clock import Clock
from sidecar.decide.detect import Expected
from sidecar.decide.mend import by_itself
from sidecar.decide.quiet import holding
from sidecar.decide.restore import Resume, held
from sidecar.decide.resume import Spot, resumption
from sidecar.decide.situation import Limits, Situation
from sidecar.decide.wall import age
from sidecar.decide.workspace import resume_rules
from sidecar.flow.circuits import Circuits
from sidecar.flow.claims import gather_claims
from sidecar.flow.ports import Book, Host
from sidecar.flow.supervise import Supervisor
from sidecar.flow.ward import Case, Ward
from sidecar.model.check import name_of
from sidecar.model.incident import IncidentState, Unit
from sidecar.model.plan import Resumption
from sidecar.model.policy import Restore
from sidecar.model.session import Checkpoint, SavedPane, SessionImage, image_of
from sidecar.model.supervise import Spot as Place

_BESIDE = "the session that it comes from lives"


@dataclass(frozen=True, slots=True)
class Surveyor:
    """Gathers what a decision about one case needs."""

    ward: Ward
    book: Book
    host: Host
    clock: Clock
    circuits: Circuits
    supervisor: Supervisor

    async def situation(self, case: Case, incident: IncidentState) -> Situation:
        if case.finding.program:
            return await self._of_a_program(case, incident)
        settings, now = self.ward.settings.recovery, self.clock.wall()
        checked = case.finding.failure.check
        pace, period = settings.slow_retry, settings.per_session.period
        if not case.tried:
            case.footing = self.ward.footings.get((case.session, case.finding.failure.kind))
        checkpoint = await self._checkpoint(case)
        workspace = self.ward.workspace(case.session)
        folders = _folders(checkpoint.image) if checkpoint else set()
        declared = workspace.folders if workspace else frozenset()
        return Situation(
            finding=case.finding,
            asker=case.asker,
            managed=not _is_session(case) or self.ward.manages(case.session, case.before),
            released=case.session in self.ward.released,
            # Where a check names a heal, it is the leave for it.
            restore=Restore.ON_FAILURE if checked else self.ward.restore_policy(case.session),
            mode=settings.mode,
            ladder=self.ward.ladder(case.finding),
            limits=Limits(settings.per_session, settings.overall, pace, settings.circuit, settings.stable),
            now=now,
            look=self.ward.look,
            session=case.before,
            gone=self._entry(case).gone,
            checkpoint=checkpoint,
            older=await self._older(case, checkpoint),
            workspace=workspace,
            order=case.order,
            asked_strategy=case.strategy,
            recent=await self.book.recoveries_since(case.session, now - max(pace, period)),
            relapsed=await self.book.given_up_since(case.session, now - 2 * pace - period),
            origins=await self.book.origins_since(now - settings.overall.period),
            circuits=self.circuits.states,
            incident=incident,
            footing=case.footing,
            alert=case.alert,
            tried=case.tried,
            check=self.ward.check(checked),
            vain=self.ward.vain(checked),
            waits_for=self.ward.waiting.get(case.session, frozenset()),
            maintenance=holding(self.ward.hushes(now), case.session, checked),
            # A folder of a server that does not answer takes its time.
            missing=await asyncio.to_thread(self.host.missing_folders, folders | declared),
            folders=await asyncio.to_thread(self.host.real_folders, declared) if declared else (),
            standing=self.ward.standing(case.finding.failure),
            programs=self.supervisor.rules_of(case.before) if case.before else {},
        )

    async def _of_a_program(self, case: Case, incident: IncidentState) -> Situation:
        """What bears on the restart of one program by its rule: no checkpoint, and none of the budgets."""
        settings, now = self.ward.settings.recovery, self.clock.wall()
        member, ruling = await self.supervisor.ruling(case.finding.failure) or (None, None)
        return Situation(
            finding=case.finding,
            asker=case.asker,
            managed=self.ward.manages(case.session, case.before),
            released=case.session in self.ward.released,
            restore=self.ward.restore_policy(case.session),
            mode=settings.mode,
            ladder=self.ward.ladder(case.finding),
            limits=Limits(settings.per_session, settings.overall, settings.slow_retry, settings.circuit),
            now=now,
            look=self.ward.look,
            session=case.before,
            asked_strategy=case.strategy,
            circuits=self.circuits.states,
            incident=incident,
            tried=case.tried,
            waits_for=self.ward.waiting.get(case.session, frozenset()),
            maintenance=holding(self.ward.hushes(now), case.session),
            member=member,
            ruling=ruling,
        )

    def origins(self, situation: Situation) -> Mapping[str, float]:
        """The incidents of the budget's period: by the book, and those that are not in it yet."""
        period = situation.limits.overall.period
        for origin, moment in list(self.ward.spent.items()):
            if age(moment, situation.now, period) >= period:
                del self.ward.spent[origin]
        return {**self.ward.spent, **situation.origins}

    def pay(self, case: Case, now: float) -> bool:
        """Take the incident's unit of the budget. False: it was taken already."""
        if case.finding.program:
            # Its rule has an intensity of its own.
            return False
        new = case.finding.origin not in self.ward.spent
        self.ward.spent.setdefault(case.finding.origin, now)
        return new

    def pay_back(self, case: Case) -> None:
        """Nothing was done with what was just paid for."""
        if case.paid:
            self.ward.spent.pop(case.finding.origin, None)
            case.paid = False

    async def resume(self, case: Case, image: SessionImage | None) -> Resume:
        """How the programs of this image come back: by the user's rules, by what a workspace file
        starts, by ours; with all that other panes have a claim to."""
        claims = await gather_claims(self.ward, self.book, self.host, case, image)
        workspace = self.ward.workspace(case.session)
        rules = (*self.ward.settings.resume, *(resume_rules(workspace) if workspace else ()))

        names = {one.index: one.name for one in image.windows} if image else {}

        def resume_pane(pane: SavedPane, window: int, shell: str) -> Resumption | None:
            found = resumption(pane, Spot(case.session, window, shell, claims), rules)
            named = Place(case.session, names.get(window, ""), window, pane.index)
            found = self.supervisor.resumed(named, pane, found, shell)
            return held(found, _BESIDE) if case.order is not None and case.order.holds else found

        return resume_pane

    async def _checkpoint(self, case: Case) -> Checkpoint | None:
        if case.order is not None:
            return case.order.checkpoint
        wanted = self._incomplete(case)
        if wanted:
            return await self._with_windows(case, wanted)
        return await self.book.newest_checkpoint(case.session) if case.session else None

    def _incomplete(self, case: Case) -> dict[int, int]:
        """Windows that are lost, or that lost panes, by index, each with how many panes it had."""
        entry, broken = self._entry(case), case.finding.failure.broken
        gone = {part.pane for part in broken if part.gone}
        indexes = {part.window for part in broken if part.unit is Unit.WINDOW}
        # Of one window, what it was before the first pane of it was lost.
        panes = [
            (one.left.index, len(one.window.panes)) for one in reversed(entry.gone) if one.pane.id in gone
        ]
        windows = [(one.index, len(one.panes)) for one in entry.lost if one.index in indexes]
        return {index: 1 for index in indexes if index is not None} | dict([*windows, *panes])

    def _entry(self, case: Case) -> Expected:
        return self.ward.expected.get(case.session) or Expected(case.session)

    async def _with_windows(self, case: Case, windows: Mapping[int, int]) -> Checkpoint | None:
        """The newest of this life that still has what is lost: newer ones do without."""
        instance = self._entry(case).instance
        found = await self.book.newest_with_windows(case.session, instance, windows) if instance else None
        return by_itself(found) if found is not None else None

    async def _older(self, case: Case, checkpoint: Checkpoint | None) -> Checkpoint | None:
        """What is looked for only when the newest has not done."""
        if not case.tried or checkpoint is None:
            return None
        return await self.book.newest_checkpoint(case.session, before=checkpoint.id)


def image_for(case: Case, situation: Situation) -> SessionImage | None:
    """The session as its programs are to come back."""
    if case.before is not None and case.order is None:
        return image_of(case.before, width=0, height=0)
    return situation.checkpoint.image if situation.checkpoint else None


def _is_session(case: Case) -> bool:
    """Whether it is about one session, and not about the server as a whole or about something else."""
    return bool(case.session) and not name_of(case.session)


def _folders(image: SessionImage) -> set[str]:
    panes = {pane.cwd for window in image.windows for pane in window.panes}
    return panes | {image.path} if image.path else panes
