"""The examiner of shapes: each living declared session against its workspace file, look after look.

What it sees once it only notes; what is still so a moment later, it reports. ``decide.shape`` has the rule
about what is damage and what is a person's work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sidecar.clock import Clock, settled
from sidecar.decide.detect import Expected, instance_of
from sidecar.decide.shape import Deviation, Scene, deviations, runs
from sidecar.decide.shape_memory import Memory, learn
from sidecar.flow.ports import Host
from sidecar.flow.ward import Ward
from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.policy import Restore, Shape
from sidecar.model.session import Look, Presence, Session
from sidecar.model.workspace import Workspace

CAUSES = frozenset(
    {
        Cause.SHAPE_DIFFERS,
        Cause.FOLDER_DIFFERS,
        Cause.LAYOUT_DIFFERS,
        Cause.PROGRAM_DIFFERS,
        Cause.DEAD_PANE_LEFT,
    }
)

CONFIRM = 1.0
"""Seconds for which something has to be so before it counts: the end of a process may be told after the
look that misses its pane, and people do things in several steps."""

_DISK_SECONDS = 0.1

_Key = tuple[Cause, Unit, tuple[int, int] | None, int]


@dataclass(slots=True)
class _Case:
    """One declared session as it is remembered."""

    memory: Memory
    since: dict[_Key, float]
    """Monotonic seconds since when each difference has been seen without a break."""


class ShapeExaminer:
    """Implements :class:`sidecar.flow.ports.Examiner`."""

    def __init__(self, ward: Ward, host: Host, clock: Clock, look_after: Callable[[float], None]) -> None:
        """``look_after`` has the watch look again after so many seconds."""
        self._ward = ward
        self._host = host
        self._clock = clock
        self._look_after = look_after
        self._known: dict[str, _Case] = {}
        self._due = float("-inf")
        """Monotonic seconds of the look that has been asked for."""
        self._real: Mapping[str, str] = {}
        self._asked: asyncio.Future[dict[str, str]] | None = None
        """A question to the disk that is not answered yet."""

    @property
    def causes(self) -> frozenset[Cause]:
        return CAUSES

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        """What is not as it is declared, and has not been for a moment."""
        if look.presence is not Presence.PRESENT or look.server is None:
            return ()
        subjects = [
            (live, workspace)
            for name in free
            if (live := look.find(name)) is not None and (workspace := self._held_to(live)) is not None
        ]
        for name in free.keys() - {live.name for live, _ in subjects}:
            self._ward.shapes.pop(name, None)
        folders = await self._folders() if subjects else {}
        findings: list[Finding] = []
        for live, workspace in subjects:
            findings.extend(self._examine(look, live, workspace, folders))
        for name in self._known.keys() - self._ward.settings.declared.sessions.keys():
            del self._known[name]
        return findings

    async def still(self, finding: Finding, look: Look) -> bool:
        """Whether any of it is so at this look."""
        live = look.find(finding.failure.session) if look.presence is Presence.PRESENT else None
        workspace = self._held_to(live) if live is not None else None
        if live is None or workspace is None or look.server is None:
            return False
        folders = await self._folders()
        case = self._case(look, live, workspace)
        places = {(part.unit, part.place) for part in finding.failure.broken}
        return any(
            (one.part.unit, one.part.place) in places and one.cause is finding.cause
            for one in deviations(self._scene(look, live, case.memory, folders))
        )

    def _held_to(self, live: Session) -> Workspace | None:
        """The file that the session is held to, if it is to any."""
        workspace = self._ward.workspace(live.name)
        held = self._ward.shape_of(live.name) is not Shape.OFF
        held = held and self._ward.restore_policy(live.name) is not Restore.NEVER
        return workspace if held and self._ward.manages(live.name, live) else None

    def _examine(
        self, look: Look, live: Session, workspace: Workspace, folders: Mapping[str, str]
    ) -> Iterator[Finding]:
        case = self._case(look, live, workspace)
        found = deviations(self._scene(look, live, case.memory, folders))
        now = look.taken
        case.since = {_key(one): case.since.get(_key(one), now) for one in found}
        ripe = [one for one in found if now - case.since[_key(one)] >= CONFIRM]
        if len(ripe) < len(found):
            self._confirm_soon(now)
        case.memory = case.memory.close(one.part for one in ripe if one.intent is Intent.PERSON)
        ripe = [one for one in ripe if one.intent is not Intent.PERSON]
        if ripe:
            self._ward.shapes[live.name] = tuple(one.difference for one in ripe)
        else:
            self._ward.shapes.pop(live.name, None)
        yield from _findings(live.name, ripe, case.since)

    def _case(self, look: Look, live: Session, workspace: Workspace) -> _Case:
        assert look.server is not None
        case = self._known.get(live.name)
        memory = learn(case.memory if case else None, workspace, live, instance_of(look.server, live), runs)
        if case is None or case.memory.instance != memory.instance or case.memory.workspace != workspace:
            case = self._known[live.name] = _Case(memory, {})
        case.memory = memory
        return case

    def _scene(self, look: Look, live: Session, memory: Memory, folders: Mapping[str, str]) -> Scene:
        return Scene(
            workspace=memory.workspace,
            session=live,
            look=look,
            memory=memory,
            exits=self._ward.exits,
            strictness=self._ward.shape_of(live.name),
            restore=self._ward.restore_policy(live.name),
            folders=folders,
        )

    async def _folders(self) -> Mapping[str, str]:
        """The declared folders that exist, each with the one that it really is.

        A folder of a server that does not answer holds up its own question only: until it is answered,
        what was known before stands, and no look waits for it.
        """
        declared = self._ward.settings.declared.sessions.values()
        wanted = frozenset[str]().union(*(workspace.folders for workspace in declared))
        if self._asked is None and wanted:
            self._asked = asyncio.ensure_future(asyncio.to_thread(self._existing, wanted))
            await settled(self._clock, self._asked, _DISK_SECONDS)
        if self._asked is not None and self._asked.done():
            asked, self._asked = self._asked, None
            self._real = asked.result()
        return self._real

    def _existing(self, wanted: frozenset[str]) -> dict[str, str]:
        return dict(self._host.real_folders(wanted - set(self._host.missing_folders(wanted))))

    def _confirm_soon(self, now: float) -> None:
        if now >= self._due:
            self._due = now + CONFIRM
            self._look_after(CONFIRM)


def _key(one: Deviation) -> _Key:
    return one.cause, one.part.unit, one.part.place, one.part.pid


def _findings(session: str, found: Sequence[Deviation], since: Mapping[_Key, float]) -> Iterator[Finding]:
    """One for each cause, unit and intent, so that one plan puts back all that is alike."""
    groups: dict[tuple[Cause, Unit, Intent], list[Deviation]] = {}
    for one in found:
        groups.setdefault((one.cause, one.part.unit, one.intent), []).append(one)
    for (cause, _, intent), alike in groups.items():
        first = min(min(since[_key(one)], one.first_sign or float("inf")) for one in alike)
        parts: tuple[Broken, ...] = tuple(one.part for one in alike)
        evidence = dict.fromkeys(fact for one in alike for fact in (_told(one), *one.evidence))
        yield Finding(
            Failure(session, FailureKind.CORRUPTED, parts, first),
            cause,
            intent,
            tuple(evidence),
            f"{session}@{first:.6f}",
        )


def _told(one: Deviation) -> Evidence:
    gap = one.difference
    return Evidence("declared", f"{gap.where}: {gap.field} is {gap.found}, declared {gap.wanted}")
