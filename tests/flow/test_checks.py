"""Health checks in the corridor: what counts as failing, what is done then, and when a person is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sidecar.config import RecoverySettings, Settings
from sidecar.decide import retain
from sidecar.decide.defaults import Premises, defaults
from sidecar.edges.store import Store
from sidecar.flow.checks import Checks
from sidecar.flow.own_prober import OwnProber
from sidecar.flow.places import Room
from sidecar.flow.rounds import Rounds
from sidecar.model.check import Check, CheckState
from sidecar.model.heal import CommandHeal, Heal, HealCall, NotifyHeal, PaneTarget, RespawnHeal, RestartHeal
from sidecar.model.incident import Asker, IncidentState, SignalKind
from sidecar.model.plan import Refusal, RefusalReason
from sidecar.model.policy import Budget, Mode
from sidecar.model.probe import CommandProbe, HttpProbe, Probe, ProbeFault, ProbeResult
from sidecar.model.probe_own import Own, OwnProbe
from sidecar.model.record import Action
from sidecar.model.running import ProcessState, Running, Sending
from sidecar.model.session import Presence, Process, Session
from sidecar.model.status import RecoverRequest
from tests.decide.builders import pane, session
from tests.flow.answers import Answers
from tests.flow.corridor import Certain, Corridor, HandClock, ValueTmux, corridor

HTTP = HttpProbe("http://127.0.0.1:8000/")
GOOD = ProbeResult(None, 0.01, "fine")
REFUSED = ProbeResult(ProbeFault.REFUSED, 0.001, "connection refused")
BAD = ProbeResult(ProbeFault.BAD_STATUS, 0.001, "it answered 503")
WEB = PaneTarget("web", "main", 1)
COMMAND = CommandHeal(("systemctl", "restart", "api"))


@dataclass
class Programs:
    """Processes that end when they are told to, and take the place that they had in tmux along."""

    tmux: ValueTmux
    gone: set[int] = field(default_factory=set)
    on_end: Callable[[], None] = lambda: None

    def state(self, pid: int) -> ProcessState | None:
        if pid in self.gone:
            return None
        leads = any(pid == each.pid for one in self.tmux.sessions.values() for each in one.panes())
        return ProcessState(pid, pid + 7, Running.SLEEPING, pid, pid if leads else 1, pid, 0)

    async def send_to_group(self, state: ProcessState, what: Sending) -> bool:
        self.tmux.effects.append((what.value, state.pid))
        self.gone.add(state.pid)
        for one in list(self.tmux.sessions.values()):
            for each in one.panes():
                if each.pid == state.pid:
                    self.tmux.change(each.id, dead=True, program=None, argv=())
                elif each.program is not None and each.program.pid == state.pid:
                    self.tmux.change(each.id, program=None)
        self.on_end()
        return True


@dataclass
class Healer:
    """Notes what is done beyond tmux."""

    worlds: list[World]

    async def heal(self, call: HealCall) -> str:
        [here] = self.worlds
        here.heals.append(call.heal.describe())
        here.again.append(call.again)
        here.on_heal()
        if here.heal_takes:
            await here.corridor.clock.sleep(here.heal_takes)
        return "done"

    async def foresee(self, heal: Heal) -> str:
        return "2 files: a, b"

    async def take_back(self, call: HealCall) -> str:
        self.worlds[0].heals.append("taken back")
        return "taken back"


@dataclass
class World:
    corridor: Corridor
    answers: Answers
    programs: Programs
    checks: Checks
    heals: list[str] = field(default_factory=list)
    """What was done beyond tmux."""
    again: list[bool] = field(default_factory=list)
    """Of each, whether it was told that an attempt before it may have done it."""
    on_heal: Callable[[], None] = lambda: None
    heal_takes: float = 0.0
    """Seconds."""

    async def pass_time(self, seconds: float) -> None:
        await self.corridor.pass_time(seconds)

    def state(self, name: str = "api") -> CheckState:
        return next(one.state for one in self.checks.statuses() if one.check.name == name)

    def calls(self) -> list[str]:
        return [text for _, _, text in self.corridor.tmux.called("announce")]

    async def incidents(self) -> list[tuple[str, str, IncidentState]]:
        rows = await self.corridor.store.incidents(50)
        return [(row.session, row.cause, row.state) for row in reversed(rows)]

    def metric(self, name: str, **labels: str) -> float | None:
        return self.corridor.meter._registry.get_sample_value(f"sidecar_{name}", labels)


@asynccontextmanager
async def world(
    folder: Path,
    *checks: Check,
    live: Session | None = None,
    recovery: RecoverySettings | None = None,
    tmux: ValueTmux | None = None,
    always: dict[Probe, ProbeResult] | None = None,
    on_heal: Callable[[], None] = lambda: None,
    survey: Callable[[], Awaitable[Premises]] | None = None,
) -> AsyncIterator[World]:
    """A session ``web``, and these checks. ``always`` and ``on_heal`` are there before anything is asked."""
    tmux = tmux or ValueTmux(HandClock())
    answers, programs = Answers(tmux.clock, always={} if always is None else always), Programs(tmux)
    made: list[World] = []

    class Late:
        causes = Checks.causes

        async def examine(self, look: Any, free: Any) -> Any:
            return await made[0].checks.examine(look, free)

        async def still(self, finding: Any, look: Any) -> bool:
            return await made[0].checks.still(finding, look)

        async def ask(self, check: Check, look: Any) -> Any:
            return await made[0].checks.ask(check, look)

    async def prepare(one: Corridor) -> None:
        one.host.stopped = programs
        one.host.healer = Healer(made)
        meter = one.meter.checks
        rounds: Rounds[Check] = Rounds(answers, one.clock, Certain(), meter, one.log, Room())

        def notice() -> None:
            one.watch.signal(SignalKind.STOPPED)

        found = Checks(
            one.ward, rounds, one.store, programs, one.person, one.clock, meter, one.log, notice,
            one.watch.dismiss, survey,
        )  # fmt: skip
        made.append(World(one, answers, programs, found, on_heal=on_heal))
        one.spawn("checks", found.run())

    settings = Settings(checks=checks, recovery=recovery or RecoverySettings())
    late = Late()
    async with corridor(folder, settings, prepare, (late,), tmux, late) as one:
        if "web" not in one.tmux.sessions:
            await one.adopt(live or session(pane(1, command="serve")))
        one.watch.signal(SignalKind.TICK)
        await one.quiet()
        yield made[0]


def api(*heal: Heal, **more: Any) -> Check:
    return replace(Check("api", HTTP, heal), **more)


async def test_what_passes_is_asked_at_its_interval_and_leads_to_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, api(COMMAND)) as here:
        here.answers.always[HTTP] = GOOD
        await here.pass_time(600.0)
        assert 19 <= here.answers.count(HTTP) <= 23
        assert await here.incidents() == []
        assert here.state() is CheckState.PASSING
        assert here.metric("health_check_status", check="api") == 1.0


async def test_a_refused_port_needs_no_repeat(tmp_path: Path) -> None:
    async with world(tmp_path, api(COMMAND)) as here:
        here.answers.given[HTTP] = [GOOD]
        here.answers.always[HTTP] = REFUSED
        here.on_heal = lambda: here.answers.always.update({HTTP: GOOD})
        await here.pass_time(29.0)
        assert here.heals == []
        await here.pass_time(3.0)
        assert here.heals == ["run `systemctl restart api`"]
        assert await here.incidents() == [("check:api", "check_failed", IncidentState.RECOVERED)]
        assert here.state() is CheckState.PASSING
        [row] = await here.corridor.recoveries("check:api")
        assert (row.strategy, row.state) == ("heal_check", "verified")
        assert "api asks for GET http://127.0.0.1:8000/" in row.evidence[0]["fact"]
        assert "connection refused (refused, took 0.00 s)" in row.evidence[1]["fact"]
        assert here.metric("heals_total", check="api", outcome="verified") == 1.0
        assert here.metric("failures_total", session="check:api", failure="unhealthy") in (1.0, None)


async def test_a_bad_answer_is_repeated_before_it_counts(tmp_path: Path) -> None:
    async with world(tmp_path, api(COMMAND)) as here:
        here.answers.given[HTTP] = [BAD, BAD, GOOD, BAD]
        here.answers.always[HTTP] = GOOD
        await here.pass_time(120.0)
        assert here.heals == []
        assert await here.incidents() == []
        asked = here.answers.count(HTTP)
        here.answers.given[HTTP] = [BAD, BAD, BAD]
        here.on_heal = lambda: here.answers.given.update({HTTP: []})
        await here.pass_time(34.0)
        assert here.answers.count(HTTP) - asked >= 4
        assert len(here.heals) == 1


async def test_the_program_of_a_pane_is_ended_and_started_again(tmp_path: Path) -> None:
    async with world(tmp_path, api(RestartHeal(WEB))) as here:
        here.answers.always[HTTP] = GOOD
        await here.pass_time(5.0)
        here.answers.always[HTTP] = BAD
        here.programs.on_end = lambda: here.answers.always.update({HTTP: GOOD})
        await here.pass_time(40.0)
        row = await here.corridor.recovered()
        assert (row.session, row.strategy, row.state) == ("web", "heal_check", "verified")
        assert here.corridor.tmux.effects == [("SIGTERM", 201), ("respawn", "%1")]
        assert here.corridor.store is not None
        assert await here.incidents() == [("web", "check_failed", IncidentState.RECOVERED)]


async def test_a_program_in_a_shell_is_ended_and_typed_again(tmp_path: Path) -> None:
    live = session(pane(1, program=900))
    async with world(tmp_path, api(RestartHeal(WEB)), live=live) as here:
        here.answers.always[HTTP] = GOOD
        await here.pass_time(5.0)
        here.answers.always[HTTP] = BAD
        here.programs.on_end = lambda: here.answers.always.update({HTTP: GOOD})
        await here.pass_time(40.0)
        await here.corridor.recovered()
        assert here.corridor.tmux.effects == [("SIGTERM", 900), ("enter", "top")]


async def test_a_program_that_has_ended_by_itself_is_typed_again(tmp_path: Path) -> None:
    live = session(pane(1, program=900))
    async with world(tmp_path, api(RestartHeal(WEB)), live=live) as here:
        here.answers.always[HTTP] = GOOD
        await here.pass_time(35.0)
        here.answers.always[HTTP] = REFUSED
        here.programs.gone.add(900)
        here.corridor.tmux.change("%1", program=None)
        await here.pass_time(30.0)
        here.answers.always[HTTP] = GOOD
        await here.pass_time(10.0)
        row = await here.corridor.recovered()
        assert here.corridor.tmux.effects == [("enter", "top")]
        assert (row.strategy, row.state) == ("heal_check", "verified")


async def test_the_end_of_a_program_gives_no_time_to_start(tmp_path: Path) -> None:
    live = session(pane(1, program=900))
    async with world(tmp_path, api(RestartHeal(WEB), interval=2.0, timeout=1.0), live=live) as here:
        here.answers.always[HTTP] = GOOD
        await here.pass_time(35.0)
        here.answers.always[HTTP] = REFUSED
        here.programs.gone.add(900)
        here.corridor.tmux.change("%1", program=None)
        here.corridor.watch.signal(SignalKind.TICK)
        await here.corridor.quiet()
        await here.pass_time(1.5)
        assert here.corridor.tmux.effects == []
        await here.pass_time(3.0)
        assert here.corridor.tmux.effects == [("enter", "top")]


async def test_whoever_uses_the_pane_for_something_else_is_left_alone(tmp_path: Path) -> None:
    live = session(pane(1, program=900))
    async with world(tmp_path, api(RestartHeal(WEB)), live=live) as here:
        here.answers.always[HTTP] = GOOD
        await here.pass_time(35.0)
        here.corridor.tmux.change("%1", program=Process(901, ("vim", "notes")))
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(60.0)
        assert here.corridor.tmux.effects == []
        [said] = here.calls()
        assert "something else runs in pane %1 than when it passed: `vim notes`" in said


async def test_a_respawn_ends_what_is_in_front_and_the_shell(tmp_path: Path) -> None:
    live = session(pane(1, program=900))
    async with world(tmp_path, api(RespawnHeal(WEB)), live=live) as here:
        here.answers.always[HTTP] = REFUSED
        here.programs.on_end = lambda: here.answers.always.update({HTTP: GOOD})
        await here.pass_time(5.0)
        await here.corridor.recovered()
        assert here.corridor.tmux.effects == [("SIGTERM", 900), ("SIGKILL", 201), ("respawn", "%1")]


async def test_heals_that_do_not_help_end_with_a_call_to_a_person(tmp_path: Path) -> None:
    async with world(tmp_path, api(COMMAND, CommandHeal(("reboot",)))) as here:
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(3_000.0)
        assert here.heals == ["run `systemctl restart api`", "run `reboot`", "run `reboot`"]
        assert (await here.incidents())[-1] == ("check:api", "check_failed", IncidentState.GIVEN_UP)
        assert here.state() is CheckState.GIVEN_UP
        [said] = [text for text in here.calls() if "none is tried any more" in text]
        assert "3 heals of check api have not helped" in said
        answer = await here.corridor.desk.request(RecoverRequest("check:api"))
        assert not isinstance(answer, Refusal)
        await here.pass_time(60.0)
        assert len(here.heals) == 4, "a person may ask for one more"
        here.answers.always[HTTP] = GOOD
        await here.pass_time(60.0)
        assert (await here.incidents())[-1][2] is IncidentState.DISMISSED
        assert "check api passes again" in here.calls()[-1]
        assert here.corridor.ward.vain("api") == 0
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(700.0)
        assert len(here.heals) > 4, "it counts from the beginning"


async def test_what_was_in_vain_is_known_after_a_restart(tmp_path: Path) -> None:
    async with world(tmp_path, api(COMMAND)) as here:
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(300.0)
        assert len(here.heals) == 3
        tmux = here.corridor.tmux
    async with world(tmp_path, api(COMMAND), tmux=tmux) as again:
        again.answers.always[HTTP] = REFUSED
        await again.pass_time(1_000.0)
        assert again.heals == []
        assert again.state() is CheckState.GIVEN_UP
        again.answers.always[HTTP] = GOOD
        await again.pass_time(60.0)
        assert (await again.incidents())[-1][2] is IncidentState.DISMISSED


async def test_without_a_heal_a_person_is_told_once_and_when_it_passes(tmp_path: Path) -> None:
    for heal in ((), (NotifyHeal("the door is shut"),)):
        async with world(tmp_path / str(len(heal)), api(*heal)) as here:
            here.answers.always[HTTP] = REFUSED
            await here.pass_time(2_000.0)
            [said] = here.calls()
            assert ("the door is shut" in said) is bool(heal)
            assert await here.incidents() == [("check:api", "check_failed", IncidentState.HELD)]
            assert await here.corridor.recoveries("check:api") == []
            assert here.state() is CheckState.FAILING
            here.answers.always[HTTP] = GOOD
            await here.pass_time(60.0)
            assert len(here.calls()) == 2
            assert (await here.incidents())[-1][2] is IncidentState.DISMISSED
            answer = await here.corridor.desk.request(RecoverRequest("check:api"))
            assert isinstance(answer, Refusal)
            assert answer.reason is RefusalReason.HEALTHY


async def test_a_heal_that_has_to_show_in_several_answers(tmp_path: Path) -> None:
    async with world(tmp_path, api(COMMAND, recovers=3)) as here:
        here.answers.always[HTTP] = REFUSED

        def healed() -> None:
            here.answers.given[HTTP] = [GOOD, GOOD, BAD]
            here.answers.always[HTTP] = GOOD

        here.on_heal = healed
        await here.pass_time(60.0)
        assert len(here.heals) == 1
        assert here.state() is CheckState.PASSING


async def test_grace_holds_failures_back(tmp_path: Path) -> None:
    async with world(tmp_path, api(COMMAND, grace=60.0)) as here:
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(58.0)
        assert here.heals == []
        assert here.state() is CheckState.STARTING
        await here.pass_time(35.0)
        assert len(here.heals) == 1
        here.answers.always[HTTP] = GOOD
        await here.pass_time(5.0)
        assert (await here.incidents())[-1][2] is IncidentState.RECOVERED


async def test_observe_mode_and_budgets_hold_for_checks_too(tmp_path: Path) -> None:
    observe = RecoverySettings(mode=Mode.OBSERVE)
    async with world(tmp_path / "1", api(COMMAND), recovery=observe) as here:
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(60.0)
        assert here.heals == []
        [row] = await here.corridor.store.incidents(5)
        assert row.reason == "observe_mode"
    few = RecoverySettings(per_session=Budget(2, 600.0))
    async with world(tmp_path / "2", api(COMMAND), recovery=few) as here:
        here.answers.given[HTTP] = [REFUSED]
        here.answers.always[HTTP] = GOOD
        for _ in range(4):
            await here.pass_time(35.0)
            here.answers.given[HTTP] = [REFUSED, REFUSED]
            here.on_heal = lambda: here.answers.given.update({HTTP: []})
        await here.pass_time(20.0)
        assert len(here.heals) == 2


async def test_a_session_that_is_not_there_has_no_say(tmp_path: Path) -> None:
    async with world(tmp_path, api(session="other")) as here:
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(90.0)
        assert here.answers.count(HTTP) == 0
        assert here.state() is CheckState.UNKNOWN
        await here.corridor.adopt(session(pane(2), name="other", identity="$2"))
        await here.pass_time(20.0)
        assert here.answers.count(HTTP) > 0
        assert (await here.incidents())[-1][:2] == ("other", "check_failed")


async def test_what_was_started_a_moment_ago_has_time_to_start(tmp_path: Path) -> None:
    async with world(tmp_path, api(RespawnHeal(WEB), interval=5.0, timeout=2.0)) as here:
        here.answers.always[HTTP] = GOOD
        await here.pass_time(20.0)
        here.corridor.kill_pane_process()
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(8.0)
        here.answers.always[HTTP] = GOOD
        await here.pass_time(20.0)
        assert [row.strategy for row in await here.corridor.recoveries()] == ["respawn_pane"]


async def test_a_failure_of_what_has_ended_is_none_of_what_was_started_since(tmp_path: Path) -> None:
    async with world(tmp_path, api(RespawnHeal(WEB), interval=5.0, timeout=2.0)) as here:
        here.answers.always[HTTP] = GOOD
        await here.pass_time(20.0)
        here.answers.always[HTTP] = REFUSED
        here.corridor.kill_pane_process()
        status = await here.checks.run_now("api")
        assert status is not None
        assert status.state is CheckState.FAILING
        await here.pass_time(8.0)
        here.answers.always[HTTP] = GOOD
        await here.pass_time(20.0)
        assert [row.strategy for row in await here.corridor.recoveries()] == ["respawn_pane"]
        assert here.state() is CheckState.PASSING


async def test_a_person_who_asks_heals_what_does_not_count_yet(tmp_path: Path) -> None:
    async with world(tmp_path, api(COMMAND, grace=600.0)) as here:
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(5.0)
        found = await here.corridor.desk.request(RecoverRequest("check:api", dry_run=True))
        assert found.steps == ("run `systemctl restart api`: 2 files: a, b",)  # type: ignore[union-attr]
        here.on_heal = lambda: here.answers.always.update({HTTP: GOOD})
        await here.corridor.desk.request(RecoverRequest("check:api"))
        await here.pass_time(5.0)
        [row] = await here.corridor.recoveries("check:api")
        assert (row.asker, row.state) == (Asker.OPERATOR, "verified")


async def test_hanging_checks_delay_no_other(tmp_path: Path) -> None:
    hanging = [Check(f"h{n}", CommandProbe(("sleep", str(n)))) for n in range(6)]
    hanging += [Check(f"w{n}", HttpProbe(f"http://127.0.0.1:{n}/")) for n in range(1, 101)]
    good = [
        Check(f"g{n}", HttpProbe(f"http://127.0.0.1:{n}/"), interval=5.0, timeout=2.0)
        for n in range(1_001, 1_101)
    ]
    async with world(tmp_path, *hanging, *good) as here:
        here.answers.always.update({one.probe: GOOD for one in good})
        await here.pass_time(30.0)
        counts = [here.answers.count(one.probe) for one in good]
        assert min(counts) >= 5
        assert await here.incidents() == []


async def test_a_reload_keeps_what_is_known_of_the_unchanged(tmp_path: Path) -> None:
    other = Check("other", HttpProbe("http://127.0.0.1:1/"))
    async with world(tmp_path, api(), other) as here:
        here.answers.always.update({HTTP: REFUSED, other.probe: REFUSED})
        await here.pass_time(60.0)
        since = {one.check.name: one.since for one in here.checks.statuses()}
        ward = here.corridor.ward
        ward.settings = replace(ward.settings, checks=(other,))
        await here.pass_time(20.0)
        [left] = here.checks.statuses()
        assert left.since == since["other"]
        states = {session: state for session, _, state in await here.incidents()}
        assert states == {"check:api": IncidentState.DISMISSED, "check:other": IncidentState.HELD}
        assert here.metric("health_check_status", check="api") is None


async def test_the_heal_of_a_check_that_is_taken_out_of_the_file_comes_to_its_end(tmp_path: Path) -> None:
    async with world(tmp_path, api(COMMAND)) as here:

        def take_out() -> None:
            here.corridor.ward.settings = replace(here.corridor.ward.settings, checks=())

        here.on_heal, here.heal_takes = take_out, 8.0
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(30.0)
        assert here.heals == [COMMAND.describe()]
        [row] = await here.corridor.recoveries("check:api")
        assert row.state == "verified"
        assert await here.incidents() == [("check:api", "check_failed", IncidentState.RECOVERED)]


async def test_turns_are_on_record(tmp_path: Path) -> None:
    async with world(tmp_path, api()) as here:
        here.answers.given[HTTP] = [REFUSED] * 4
        here.answers.always[HTTP] = GOOD
        await here.pass_time(120.0)
        rows = await here.corridor.store.audit_rows(100, session="check:api")
        words = [row.action for row in reversed(rows)]
        assert words.index(Action.CHECK_FAILED) < words.index(Action.CHECK_PASSED)
        assert here.corridor.log.of(Action.CHECK_FAILED)[0]["found"] == "connection refused"


async def test_what_has_not_helped_is_taken_back_where_it_can_be(tmp_path: Path) -> None:
    undoable = CommandHeal(("scale", "up"), undo=("scale", "down"))
    async with world(tmp_path, api(undoable)) as here:
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(400.0)
        assert here.heals == ["run `scale up`", "taken back"] * 3
        states = {row.state for row in await here.corridor.recoveries("check:api")}
        assert states == {"compensated"}
        assert here.state() is CheckState.GIVEN_UP
    async with world(tmp_path / "helps", api(undoable)) as here:
        here.answers.always[HTTP] = REFUSED
        here.on_heal = lambda: here.answers.always.update({HTTP: GOOD})
        await here.pass_time(60.0)
        assert here.heals == ["run `scale up`"]


async def test_what_cannot_be_measured_is_neither_good_nor_bad(tmp_path: Path) -> None:
    async with world(tmp_path, api(COMMAND)) as here:
        here.answers.given[HTTP] = [GOOD]
        here.answers.always[HTTP] = ProbeResult(ProbeFault.NOT_MEASURED, 0.0, "there is no such file")
        await here.pass_time(120.0)
        assert here.state() is CheckState.UNKNOWN
        assert here.heals == []
        assert await here.incidents() == []


async def test_the_defaults_are_asked_and_one_that_is_switched_off_is_not(tmp_path: Path) -> None:
    off = Check("loop", HTTP, off=True)
    async with world(tmp_path, off, survey=survey) as here:
        here.answers.always.update({check.probe: GOOD for check in defaults(await survey())})
        await here.pass_time(100.0)
        assert set(here.checks.states()) == {"memory", "disk", "store", "programs:web"}
        assert set(here.checks.states().values()) == {CheckState.PASSING}


async def survey() -> Premises:
    return Premises("/state", sessions=("web",))


async def test_the_sidecar_asks_itself(tmp_path: Path) -> None:
    async with world(tmp_path) as here:
        one = here.corridor
        own = OwnProber(here.answers, one.ward, one.store, one.clock)
        programs = OwnProbe(Own.PROGRAMS, "web")

        async def ask(what: OwnProbe) -> ProbeResult:
            asking = asyncio.create_task(own.probe(what, 5.0, {}))
            await one.quiet()
            return await asking

        assert (await ask(programs)).fault is None
        one.tmux.sessions.clear()
        one.ward.look = await one.tmux.look()
        assert (await ask(programs)).fault is ProbeFault.NOT_RUNNING
        assert (await ask(OwnProbe(Own.STORE))).fault is None
        one.ward.lags.extend([0.0, 2.5, 0.1])
        late = await ask(OwnProbe(Own.LOOP, above=1.0))
        assert (late.fault, late.value) == (ProbeFault.ABOVE_LIMIT, 2.5)
        assert (await ask(OwnProbe(Own.LOOP, above=3.0))).fault is None
        one.tmux.presence = Presence.UNKNOWN
        one.ward.look = await one.tmux.look()
        assert (await ask(programs)).fault is ProbeFault.NOT_MEASURED


async def test_a_database_that_has_gone_is_noticed(tmp_path: Path) -> None:
    clock = HandClock()
    store = Store(tmp_path, clock, retain.keep, on_corrupt=int, on_write=float, on_audit=int)
    try:
        assert await store.damage(deep=True) == ""
        (tmp_path / "sidecar.db").rename(tmp_path / "elsewhere.db")
        assert "is not the file any more" in await store.damage(deep=False)
    finally:
        store.close()


async def test_whoever_was_called_hears_that_it_passes_also_about_a_session(tmp_path: Path) -> None:
    async with world(tmp_path, api(session="web")) as here:
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(60.0)
        assert await here.incidents() == [("web", "check_failed", IncidentState.HELD)]
        here.answers.always[HTTP] = GOOD
        await here.pass_time(60.0)
        assert (await here.incidents())[-1][2] is IncidentState.DISMISSED
        assert "check api passes again" in here.calls()[-1]


async def test_a_check_whose_session_is_gone_leads_to_the_session(tmp_path: Path) -> None:
    async with world(tmp_path, api(RestartHeal(WEB))) as here:
        here.answers.always[HTTP] = GOOD
        await here.pass_time(5.0)
        here.corridor.tmux.sessions.clear()
        await here.corridor.desk.request(RecoverRequest("check:api"))
        row = await here.corridor.recovered()
        assert (row.session, row.strategy) == ("web", "restore_checkpoint")
