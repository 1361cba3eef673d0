"""Heartbeats in the corridor: who is accused of what, who is told, and what is left alone."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from sidecar.config import RecoverySettings, Settings
from sidecar.flow.dependencies import Dependencies
from sidecar.flow.heartbeat import Heartbeats
from sidecar.flow.records import Records
from sidecar.flow.rounds import Rounds
from sidecar.model.heartbeat import Heartbeat, May
from sidecar.model.incident import IncidentState, SignalKind
from sidecar.model.policy import BreakerPolicy, Circuit
from sidecar.model.probe import CommandProbe, HttpProbe, ProbeFault, ProbeResult, TcpProbe
from sidecar.model.record import Action
from sidecar.model.session import Pane
from sidecar.model.vitals import Attitude, Vitals
from tests.decide.builders import pane, session
from tests.flow.answers import Answers
from tests.flow.corridor import Certain, Corridor, HandClock, corridor

HTTP = HttpProbe("http://127.0.0.1:8000/")
DB = TcpProbe("db.example", 5432)
GOOD = ProbeResult(None, 0.01, "fine")
REFUSED = ProbeResult(ProbeFault.REFUSED, 0.001, "connection refused")
LOST = ProbeResult(ProbeFault.TIMED_OUT, 5.0, "no connection within 5 s")


@dataclass
class Bedside:
    """Vitals of our choice, by pane; others are busy."""

    clock: HandClock
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    async def measure(self, panes: Iterable[Pane]) -> Mapping[str, Vitals]:
        return {one.id: self._of(one) for one in panes}

    def _of(self, one: Pane) -> Vitals:
        pid = one.program.pid if one.program else one.pid
        now = self.clock.now
        vitals = Vitals(pid, 5, 1_000.0, now, int(now), 0.0, Attitude.WORKING, "it works")
        return replace(vitals, **self.facts.get(one.id, {}))


@dataclass
class World:
    corridor: Corridor
    answers: Answers
    bedside: Bedside
    heartbeats: Heartbeats

    async def pass_time(self, seconds: float) -> None:
        await self.corridor.pass_time(seconds)

    async def incidents(self) -> dict[str, tuple[str, IncidentState]]:
        rows = await self.corridor.store.incidents(50)
        return {row.session: (row.cause, row.state) for row in reversed(rows)}

    def calls(self) -> list[str]:
        return [text for _, _, text in self.corridor.tmux.called("announce")]

    def circuit(self, name: str) -> Circuit:
        return self.corridor.circuits.state(name).circuit


class _Late:
    """The examiner of a corridor that is made after it."""

    causes = Heartbeats.causes
    real: Heartbeats

    async def examine(self, look: Any, free: Any) -> Any:
        return await self.real.examine(look, free)

    async def still(self, finding: Any, look: Any) -> bool:
        return await self.real.still(finding, look)


@asynccontextmanager
async def world(folder: Path, *rules: Heartbeat, names: tuple[str, ...] = ("web",)) -> AsyncIterator[World]:
    """Sessions, each with a program in front of its shell, and these rules about them."""
    recovery = RecoverySettings(circuit=BreakerPolicy(recovery_timeout=20.0))
    late = _Late()
    made: list[World] = []

    async def prepare(one: Corridor) -> None:
        answers, bedside = Answers(one.clock), Bedside(one.clock)
        meter = one.meter.probes
        rounds = Rounds(answers, one.clock, Certain(), meter, one.log)

        def notice() -> None:
            one.watch.signal(SignalKind.STOPPED)

        dependencies = Dependencies(one.ward, one.circuits, rounds, one.clock, notice, one.watch.dismiss)
        late.real = Heartbeats(
            one.ward, rounds, dependencies, bedside, one.clock, Certain(), meter, one.log, notice
        )
        made.append(World(one, answers, bedside, late.real))
        one.spawn("heartbeats", late.real.run())

    settings = Settings(heartbeats=rules, recovery=recovery)
    async with corridor(folder, settings, prepare, examiners=(late,)) as one:
        for number, name in enumerate(names, 1):
            live = session(pane(number, program=900 + number), name=name, identity=f"${number}")
            await one.adopt(live)
        one.watch.signal(SignalKind.TICK)
        await one.quiet()
        yield made[0]


async def test_a_program_that_answers_is_left_alone(tmp_path: Path) -> None:
    async with world(tmp_path, Heartbeat("web", http=HTTP, may=(May.RESPAWN,))) as here:
        here.answers.always[HTTP] = GOOD
        await here.pass_time(600.0)
        assert 19 <= here.answers.count(HTTP) <= 23
        assert await here.incidents() == {}


async def test_without_leave_it_is_reported_once_and_held(tmp_path: Path) -> None:
    async with world(tmp_path, Heartbeat("web", name="api", http=HTTP)) as here:
        here.answers.given[HTTP] = [GOOD, GOOD]
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(120.0)
        assert await here.incidents() == {"web": ("heartbeat_missed", IncidentState.HELD)}
        [row] = await here.corridor.store.incidents(5)
        facts = " ".join(fact["fact"] for fact in row.evidence)
        assert "rule api is broken" in facts
        assert "GET http://127.0.0.1:8000/: connection refused (refused, 3 in a row" in facts
        [said] = here.calls()
        assert "lets nothing be done" in said
        assert "report_only" in here.corridor.ward.standstills["web"].reason
        here.answers.always[HTTP] = GOOD
        await here.pass_time(60.0)
        assert await here.incidents() == {"web": ("heartbeat_missed", IncidentState.DISMISSED)}
        assert here.corridor.ward.standstills == {}


async def test_a_refused_port_is_seen_within_seconds(tmp_path: Path) -> None:
    async with world(tmp_path, Heartbeat("web", http=HTTP)) as here:
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(4.0)
        assert "web" in await here.incidents()
        assert here.answers.count(HTTP) <= 5


async def test_faults_that_may_pass_are_asked_about_more_and_more_slowly(tmp_path: Path) -> None:
    async with world(tmp_path, Heartbeat("web", tcp=DB, may=(May.RESPAWN,))) as here:
        here.answers.given[DB] = [GOOD] * 3
        here.answers.always[DB] = LOST
        await here.pass_time(400.0)
        assert 12 <= here.answers.count(DB) <= 18
        assert await here.incidents() == {"web": ("network_outage", IncidentState.HELD)}
        assert len(here.calls()) == 1
        here.answers.always[DB] = GOOD
        await here.pass_time(60.0)
        assert await here.incidents() == {"web": ("network_outage", IncidentState.DISMISSED)}
        assert here.corridor.tmux.called("respawn") == []


async def test_loss_leads_to_nothing(tmp_path: Path) -> None:
    async with world(tmp_path, Heartbeat("web", tcp=DB, may=(May.RESPAWN,))) as here:
        here.answers.given[DB] = [GOOD, LOST, GOOD, GOOD, LOST, LOST] * 8
        here.answers.always[DB] = GOOD
        await here.pass_time(600.0)
        assert await here.incidents() == {}
        told = [line["now"] for line in here.corridor.log.of(Action.PROBE_CHANGED)]
        assert told[0] == "loss"
        assert "outage" not in told
        page = here.corridor.meter.render("")[0].decode()
        assert 'sidecar_probe_loss_ratio{probe="tcp",rule="heartbeats[0]"}' in page
        assert 'sidecar_probe_faults_total{fault="timed_out",probe="tcp"}' in page


async def test_one_probe_that_hangs_delays_no_other(tmp_path: Path) -> None:
    async with world(tmp_path, Heartbeat("web", http=HTTP), Heartbeat("web", tcp=DB)) as here:
        here.answers.always[DB] = REFUSED
        await here.pass_time(30.0)
        assert here.answers.count(HTTP) == 1
        assert here.answers.count(DB) > 3


async def test_silence_counts_only_as_a_whole(tmp_path: Path) -> None:
    rule = Heartbeat("web", output_age=600.0, cpu_flat=300.0, io_flat=300.0)
    async with world(tmp_path, rule) as here:
        still: dict[str, Any] = {"silent": 700.0, "cpu": 5.0}
        here.bedside.facts["%1"] = still
        await here.pass_time(400.0)
        assert await here.incidents() == {}, "it still reads and writes"
        still["io"] = 77
        await here.pass_time(280.0)
        assert await here.incidents() == {}
        await here.pass_time(60.0)
        [row] = await here.corridor.store.incidents(5)
        assert (row.cause, row.state) == ("heartbeat_missed", IncidentState.HELD)
        facts = [fact["fact"] for fact in row.evidence]
        assert "it has printed nothing for 700 s (limit 600 s)" in facts
        assert sum("(limit 300 s)" in fact for fact in facts) == 2
        here.bedside.facts["%1"] = {}
        await here.pass_time(40.0)
        assert (await here.incidents())["web"][1] is IncidentState.DISMISSED


async def test_whoever_waits_for_input_is_well(tmp_path: Path) -> None:
    rule = Heartbeat("web", output_age=600.0, cpu_flat=60.0)
    for attitude in (Attitude.READING, Attitude.LISTENING, Attitude.STOPPED, Attitude.HELD_UP):
        async with world(tmp_path / attitude, rule) as here:
            here.bedside.facts["%1"] = {"silent": 9_999.0, "cpu": 5.0, "attitude": attitude}
            await here.pass_time(300.0)
            assert await here.incidents() == {}, attitude


async def test_what_could_take_keys_still_has_to_answer_probes(tmp_path: Path) -> None:
    async with world(tmp_path, Heartbeat("web", http=HTTP)) as here:
        here.answers.always[HTTP] = REFUSED
        here.bedside.facts["%1"] = {"attitude": Attitude.LISTENING}
        await here.pass_time(30.0)
        assert "web" in await here.incidents()


async def test_a_shell_and_a_young_program_are_not_judged(tmp_path: Path) -> None:
    async with world(tmp_path, Heartbeat("*", http=HTTP), names=("web",)) as here:
        here.answers.always[HTTP] = REFUSED
        here.bedside.facts["%1"] = {"age": 10.0}
        await here.pass_time(20.0)
        assert await here.incidents() == {}
        here.corridor.tmux.change("%1", program=None)
        here.bedside.facts["%1"] = {}
        await here.pass_time(60.0)
        assert await here.incidents() == {}


async def test_a_dependency_of_several_is_one_finding(tmp_path: Path) -> None:
    names = ("train-1", "train-2", "train-3")
    rule = Heartbeat("train-*", tcp=DB, may=(May.RESPAWN,))
    async with world(tmp_path, rule, names=names) as here:
        here.answers.given[DB] = [GOOD] * 3
        here.answers.always[DB] = REFUSED
        await here.pass_time(150.0)
        found = await here.incidents()
        assert found == {"dependency:db.example:5432": ("dependency_down", IncidentState.HELD)}
        assert here.circuit("dependency:db.example:5432") is not Circuit.CLOSED
        [said] = here.calls()
        assert "train-1, train-2, train-3 wait for db.example:5432" in said
        assert set(here.corridor.ward.waiting) == set(names)
        before = here.answers.count(DB)
        await here.pass_time(60.0)
        assert here.answers.count(DB) - before <= 4, "only probes of the circuit"
        here.answers.always[DB] = GOOD
        await here.pass_time(40.0)
        assert here.circuit("dependency:db.example:5432") is Circuit.CLOSED
        assert (await here.incidents())["dependency:db.example:5432"][1] is IncidentState.DISMISSED
        assert here.corridor.ward.waiting == {}


async def test_a_dependency_that_a_person_holds_open_is_waited_for_and_not_asked(tmp_path: Path) -> None:
    names, circuit = ("train-1", "train-2"), "dependency:db.example:5432"
    async with world(tmp_path, Heartbeat("train-*", tcp=DB, may=(May.RESPAWN,)), names=names) as here:
        here.answers.always[DB] = GOOD
        await here.pass_time(60.0)
        records = Records(
            here.corridor.ward, here.corridor.store, here.corridor.circuits, here.corridor.clock,
            here.corridor.watch,
        )  # fmt: skip
        assert (await records.force_open(circuit)).forced
        await here.corridor.quiet()
        assert set(here.corridor.ward.waiting) == set(names)
        assert await here.incidents() == {circuit: ("dependency_down", IncidentState.HELD)}
        [row] = await here.corridor.store.incidents(5)
        assert "its circuit is held open by hand" in [fact["fact"] for fact in row.evidence]
        await here.pass_time(30.0)
        before = here.answers.count(DB)
        here.answers.always[DB] = REFUSED
        await here.pass_time(120.0)
        assert here.answers.count(DB) == before
        here.answers.always[DB] = GOOD
        await records.reset(circuit)
        await here.pass_time(40.0)
        assert here.answers.count(DB) > before
        assert here.corridor.ward.waiting == {}
        assert (await here.incidents())[circuit][1] is IncidentState.DISMISSED


async def test_a_dependency_that_is_reset_is_judged_by_new_answers_alone(tmp_path: Path) -> None:
    names, circuit = ("train-1", "train-2"), "dependency:db.example:5432"
    async with world(tmp_path, Heartbeat("train-*", tcp=DB, may=(May.RESPAWN,)), names=names) as here:
        here.answers.given[DB] = [GOOD] * 2
        here.answers.always[DB] = REFUSED
        await here.pass_time(150.0)
        assert here.circuit(circuit) is not Circuit.CLOSED
        here.answers.always[DB] = GOOD
        await here.corridor.circuits.reset(circuit)
        here.corridor.watch.signal(SignalKind.REQUEST)
        await here.corridor.quiet()
        await here.pass_time(40.0)
        assert here.circuit(circuit) is Circuit.CLOSED
        assert await here.incidents() == {circuit: ("dependency_down", IncidentState.DISMISSED)}


async def test_who_alone_may_be_acted_on_is_the_one_that_answers_there(tmp_path: Path) -> None:
    serves = Heartbeat("api", tcp=DB, may=(May.RESPAWN,))
    async with world(tmp_path, serves, Heartbeat("web", tcp=DB), names=("api", "web")) as here:
        here.answers.always[DB] = REFUSED
        await here.pass_time(120.0)
        found = await here.incidents()
        assert set(found) == {"api", "dependency:db.example:5432"}
        assert set(here.corridor.ward.waiting) == {"web"}


async def test_others_are_asked_before_one_is_accused(tmp_path: Path) -> None:
    """The second session was fine when it was last asked; by now it is not."""
    slow = Heartbeat("web", tcp=DB, interval=600.0)
    quick = Heartbeat("api", tcp=DB, interval=20.0)
    async with world(tmp_path, quick, slow, names=("api", "web")) as here:
        here.answers.given[DB] = [GOOD] * 4
        here.answers.always[DB] = REFUSED
        await here.pass_time(100.0)
        assert set(await here.incidents()) == {"dependency:db.example:5432"}


async def test_a_command_is_asked_for_each_session(tmp_path: Path) -> None:
    check = CommandProbe(("check",))
    names = ("train-1", "train-2")
    async with world(tmp_path, Heartbeat("train-*", command=check), names=names) as here:
        here.answers.always[check] = ProbeResult(ProbeFault.COMMAND_FAILED, 0.1, "ended with 1: no")
        await here.pass_time(20.0)
        assert {name for _, name in here.answers.asked} == set(names)
        assert set(await here.incidents()) == set(names)
        assert here.corridor.ward.waiting == {}


async def test_a_rule_that_goes_takes_its_findings_and_series_along(tmp_path: Path) -> None:
    async with world(tmp_path, Heartbeat("web", name="gone", http=HTTP)) as here:
        here.answers.always[HTTP] = REFUSED
        await here.pass_time(20.0)
        assert "web" in await here.incidents()
        here.corridor.ward.settings = Settings()
        await here.pass_time(10.0)
        assert (await here.incidents())["web"][1] is IncidentState.DISMISSED
        assert 'rule="gone"' not in here.corridor.meter.render("")[0].decode()
        asked = here.answers.count(HTTP)
        await here.pass_time(60.0)
        assert here.answers.count(HTTP) == asked
