"""Programs come back together, in turns where they are heavy, and never twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest

from sidecar.config import Settings
from sidecar.decide.detect import Expected
from sidecar.errors import Temporary, TmuxUnknown
from sidecar.flow.claims import gather_claims
from sidecar.flow.pace import Pace
from sidecar.flow.steps import STEPS
from sidecar.flow.surgery import Surgery
from sidecar.flow.ward import Ward
from sidecar.model.plan import Entry, Expectation, Resumption, Start, Step, StepKind
from sidecar.model.policy import Budget
from sidecar.model.saga import Marks
from sidecar.model.session import Look, Process, Session, SessionImage, image_of
from tests.decide.builders import SERVER, absent, look, pane, session

TWO_AT_ONCE = Budget(2, 5.0)
ID = "0b9c1f0e-58a4-4b1e-9f43-0a4f6f9b2c11"


class HeldClock:
    """Time passes only when somebody sleeps, and everybody else has done what they can."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return 1_000_000.0 + self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        until = self.now + seconds
        for _ in range(100):
            await asyncio.sleep(0)
        self.now = max(self.now, until)


@dataclass
class RecordingTmux:
    """Writes down what it is asked to do."""

    live: Session
    fails: dict[str, Exception] = field(default_factory=dict)
    done: list[tuple[Any, ...]] = field(default_factory=list)
    others: list[Session] = field(default_factory=list)

    async def look(self) -> Look:
        return look(self.live, *self.others)

    async def enter(self, pane_id: str, pid: int, resumption: Resumption, mark: str = "") -> None:
        error = self.fails.pop(pane_id, None)
        if error is not None:
            raise error
        self.done.append(("enter", pane_id, resumption.line))

    async def marks(self, mark: str) -> Marks:
        return Marks(typed={told[0]: 1 for kind, *told in self.done if kind == "enter"})

    async def respawn(
        self, pane_id: str, pid: int, cwd: str, instead: tuple[str, ...] = (), mark: str = ""
    ) -> bool:
        self.done.append(("respawn", pane_id, instead))
        return True

    async def report(self, conversations: dict[str, str]) -> None:
        self.done.append(("report", conversations))
        error = self.fails.pop("report", None)
        if error is not None:
            raise error

    async def rebuild(self, image: SessionImage, texts: object, starts: list[Start], mark: str) -> str:
        self.done.append(("rebuild", *starts))
        return self.live.id


def typed(number: int, **changes: Any) -> Resumption:
    plain = Resumption(0, number, Entry.TYPED, f"line {number}", ("claude",), "a rule")
    return replace(plain, **changes)


async def enough() -> None:
    """There is always memory."""


def surgery(
    *resumptions: Resumption, fails: dict[str, Exception] | None = None, starts: Budget = TWO_AT_ONCE
) -> tuple[Surgery, RecordingTmux, HeldClock]:
    clock, tmux = HeldClock(), RecordingTmux(session(*map(pane, range(1, 7))), fails or {})
    checkpoint = SimpleNamespace(image=image_of(tmux.live, width=80, height=24))
    plan = SimpleNamespace(expectation=Expectation(None, resumptions), checkpoint=checkpoint)
    parts: Any = (tmux, None, None, None, Pace(clock, lambda: starts, enough), clock, None, plan)
    return Surgery(*parts), tmux, clock


async def run(work: Surgery, *kinds: StepKind) -> None:
    for kind in kinds:
        await STEPS[kind].do(work, Step(kind))


BOTH = (StepKind.REBUILD_SESSION, StepKind.START_PROGRAMS)


async def test_light_programs_do_not_wait_for_heavy_ones() -> None:
    heavy = [typed(number, heavy=True) for number in range(1, 5)]
    work, tmux, clock = surgery(*heavy, typed(5), typed(6, entry=Entry.HELD, heavy=True))
    await run(work, *BOTH)
    entered = [name for kind, name, *_ in tmux.done[1:] if kind == "enter"]
    assert set(entered[:4]) == {"%1", "%2", "%5", "%6"}
    assert set(entered[4:]) == {"%3", "%4"}
    assert [seconds for seconds in clock.slept if seconds] == [5.0, 5.0]


async def test_a_session_without_heavy_programs_waits_for_nothing() -> None:
    work, tmux, clock = surgery(*map(typed, range(1, 7)))
    await run(work, *BOTH)
    assert len(tmux.done) == 7
    assert not any(clock.slept)


async def test_own_commands_take_their_turns_within_the_rebuild() -> None:
    own = [typed(n, entry=Entry.STARTED, heavy=True, command=("claude", str(n))) for n in range(1, 4)]
    work, tmux, clock = surgery(*own, typed(4))
    await run(work, StepKind.REBUILD_SESSION)
    assert tmux.done == [
        ("rebuild", *(Start(0, n, ("claude", str(n)), 0.0 if n < 3 else 5.0) for n in range(1, 4)))
    ]
    assert clock.slept == []
    await run(work, StepKind.START_PROGRAMS)
    assert tmux.done[1:] == [("enter", "%4", "line 4")]
    assert clock.slept == [5.0]


async def test_a_pane_of_a_linked_window_is_left_to_the_session_that_had_it_first() -> None:
    work, tmux, _ = surgery(typed(1), typed(2))
    tmux.others = [replace(session(pane(1)), id="$0", name="first")]
    await run(work, *BOTH)
    assert tmux.done[1:] == [("enter", "%2", "line 2")]


async def test_what_was_typed_is_not_typed_again_when_the_step_is_repeated() -> None:
    slow = Temporary("the shell was not ready", hint="")
    work, tmux, _ = surgery(*map(typed, range(1, 5)), fails={"%2": slow})
    with pytest.raises(Temporary):
        await run(work, *BOTH)
    work.progress.again = True
    await run(work, StepKind.START_PROGRAMS)
    assert sorted(name for kind, name, *_ in tmux.done[1:] if kind == "enter") == ["%1", "%2", "%3", "%4"]
    assert tmux.done[-1] == ("enter", "%2", "line 2")


async def test_a_conversation_that_was_given_is_noted_even_if_that_fails() -> None:
    work, tmux, _ = surgery(
        typed(1, conversation=ID),
        typed(2, entry=Entry.STARTED, conversation=ID, command=("claude", "-r", ID)),
        typed(3, argv=("unknown",), conversation=ID),
        fails={"report": TmuxUnknown("no answer", hint="")},
    )
    await run(work, *BOTH)
    said = f"claude:{ID}"
    assert [told for kind, told, *_ in tmux.done if kind == "report"] == [{"%2": said}, {"%1": said}]


async def test_a_respawned_agent_waits_for_its_turn() -> None:
    own = typed(1, entry=Entry.STARTED, heavy=True, command=("claude", "-r", ID), conversation=ID)
    work, tmux, clock = surgery(starts=Budget(1, 3.0))
    for _ in range(2):
        step = Step(StepKind.RESPAWN_PANE, "%1", 201, "/srv", own)
        await STEPS[step.kind].do(work, step)
    assert [kind for kind, *_ in tmux.done] == ["respawn", "report"] * 2
    assert tmux.done[0] == ("respawn", "%1", ("claude", "-r", ID))
    assert clock.slept == [3.0]


class TestClaims:
    """Who is asked about a conversation."""

    def agent(self, name: str, *, conversation: str = ID, identity: str = "$1", number: int = 1) -> Session:
        one = replace(pane(number, program=301), conversation=conversation, cwd="/srv/x")
        one = replace(one, program=Process(301, ("claude",)))
        return session(one, name=name, identity=identity)

    async def gather(self, ward: Ward, name: str, lost: Session, stored: dict[str, Any]) -> Any:
        async def newest(session_name: str) -> Any:
            return stored.get(session_name)

        async def transcripts(image: SessionImage) -> dict[str, frozenset[str]]:
            return {"/srv/x": frozenset({ID})}

        book: Any = SimpleNamespace(newest_checkpoint=newest)
        host: Any = SimpleNamespace(transcripts=transcripts)
        case: Any = SimpleNamespace(session=name, before=None, order=None)
        return await gather_claims(ward, book, host, case, image_of(lost, width=1, height=1))

    def ward(self, seen: Look, **expected: Session | None) -> Ward:
        ward = Ward(Settings())
        ward.look = seen
        ward.expected = {name: Expected(name, SERVER, lost) for name, lost in expected.items()}
        return ward

    async def test_nobody_is_asked_where_there_is_no_agent(self) -> None:
        plain = session(pane(1, program=301), name="web")
        found = await self.gather(self.ward(absent()), "web", plain, {})
        assert (found.owners, found.folders, found.transcripts) == ({}, {}, {})

    async def test_a_lost_session_that_comes_before_has_it(self) -> None:
        web, api = self.agent("web"), self.agent("api", identity="$2")
        found = await self.gather(self.ward(absent(), web=web, api=api), "web", web, {})
        assert found.owners == {ID: ("api", 0, 1)}
        assert found.shared("/srv/x", ("web", 0, 1))
        assert not found.lost(ID, "/srv/x")

    async def test_one_that_only_an_earlier_run_has_seen_is_read_from_its_checkpoint(self) -> None:
        web = self.agent("web")
        stored = SimpleNamespace(image=image_of(self.agent("api"), width=1, height=1))
        ward = self.ward(absent(), web=web, api=None, new=None)
        found = await self.gather(ward, "web", web, {"api": stored})
        assert found.owners == {ID: ("api", 0, 1)}

    async def test_what_lives_has_it_before_what_is_lost(self) -> None:
        web, zoo = self.agent("web"), self.agent("zoo", number=2)
        found = await self.gather(self.ward(look(zoo), web=web, zoo=zoo), "web", web, {})
        assert found.owners == {ID: ("zoo", 0, 2)}

    async def test_what_is_being_healed_counts_as_it_was(self) -> None:
        web, api = self.agent("web"), self.agent("api", number=2)
        rebuilt = self.agent("api", conversation="", number=2)
        ward = self.ward(look(rebuilt), web=web, api=api)
        ward.cases["api"] = SimpleNamespace()  # type: ignore[assignment]
        found = await self.gather(ward, "web", web, {})
        assert found.owners == {ID: ("api", 0, 2)}

    async def test_a_linked_window_shares_nothing_with_itself(self) -> None:
        web = self.agent("web")
        one, two = self.agent("a", conversation="", number=7), self.agent("b", conversation="", number=7)
        found = await self.gather(self.ward(look(one, two), web=web), "web", web, {})
        assert found.folders["/srv/x"] == {("a", 0, 7), ("web", 0, 1)}
