"""The ranking of causes: what speaks for and against each, a row for each kind of evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide import around
from sidecar.decide.causes import RULES, intent_of, rank
from sidecar.decide.clues import Clues, Context
from sidecar.decide.detect import Expected, instance_of
from sidecar.decide.diagnose import TOGETHER, diagnose
from sidecar.decide.resume import is_shell
from sidecar.model.incident import (
    Broken,
    Cause,
    Exit,
    Failure,
    FailureKind,
    Finding,
    Hypothesis,
    Intent,
    Role,
    Unit,
)
from sidecar.model.record import Pressure
from sidecar.model.stress import Room
from sidecar.model.surroundings import KernelLine, MemoryGroup, Surroundings
from tests.decide.builders import SERVER, absent, ended, look, pane, session

LIVE = session(pane(1, command="'make all'"))
ENTRY = Expected("web", SERVER, LIVE, instance_of(SERVER, LIVE))
DEAD = look(session(replace(pane(1, command="'make all'"), dead=True)))
OTHER = look(session(name="other", identity="$2"))
KILLED_LINE = "Memory cgroup out of memory: Killed process 201 (python) total-vm:9kB"
SEGFAULT = "make[201]: segfault at 0 ip 0000 sp 0000 error 4 in make"


def surroundings(*lines: str, free: float = 0.5, room: Room | None = None, pid: int = 201) -> Surroundings:
    kernel = tuple(KernelLine(pid, 40.0, line) for line in lines)
    rooms = {"pane folder": room} if room else {}
    return Surroundings(kernel, rooms=rooms, pressure=Pressure(free, 0.1))


def part(*exits: Exit, code: int | None = None, around: Surroundings | None = None) -> tuple[Hypothesis, ...]:
    """The causes of one dead pane that was started as a command."""
    broken = Broken(Unit.PANE, "%1", 201, exits[0].code if exits else code)
    return rank(Clues(broken, Context(DEAD, ENTRY, {e.pid: e for e in exits}, surroundings=around), is_shell))


def gone(*exits: Exit, seen: object = OTHER, **facts: object) -> tuple[Hypothesis, ...]:
    """The causes of a session that is not there any more."""
    by_pid = {e.pid: e for e in exits}
    context = Context(
        seen, ENTRY, by_pid, by_pid.get(SERVER.pid), boot_id="boot", **facts  # type: ignore[arg-type]
    )  # fmt: skip
    return rank(Clues(Broken(Unit.SESSION), context, is_shell))


def kill(*, oom: int = 0, group: int | None = None, role: Role = Role.PANE, pid: int = 201) -> Exit:
    return replace(ended(pid, -9, role, oom=oom), group="/sys/fs/cgroup/memory/web", group_kills=group)


@pytest.mark.parametrize(
    ("end", "told", "cause"),
    [
        (kill(), None, Cause.PROCESS_KILLED),
        (kill(), surroundings(), Cause.PROCESS_KILLED),
        (kill(group=0), surroundings(free=0.01), Cause.PROCESS_KILLED),
        (kill(oom=1), None, Cause.OUT_OF_MEMORY),
        (kill(oom=1, group=1), None, Cause.OUT_OF_MEMORY),
        # The machine has killed something for memory, and it was not in this one's group.
        (kill(oom=1, group=0), None, Cause.PROCESS_KILLED),
        # Nor does the kernel's log, which may be read, tell of it.
        (kill(oom=1), surroundings(), Cause.PROCESS_KILLED),
        (kill(oom=1, group=1), surroundings(), Cause.OUT_OF_MEMORY),
        (kill(oom=1), surroundings(KILLED_LINE), Cause.OUT_OF_MEMORY),
        # The kernel's own word stands also where counters were read too late.
        (kill(oom=1, group=0), surroundings(KILLED_LINE), Cause.OUT_OF_MEMORY),
        (kill(), surroundings(KILLED_LINE, pid=999), Cause.PROCESS_KILLED),
        (ended(201, -11), None, Cause.PROCESS_CRASHED),
        (ended(201, -11), surroundings(SEGFAULT), Cause.PROCESS_CRASHED),
        (ended(201, -6, oom=3), None, Cause.PROCESS_CRASHED),
        (ended(201, 2), None, Cause.COMMAND_FAILED),
        (ended(201, 2), surroundings(room=Room(0, 100)), Cause.COMMAND_FAILED),
        (ended(201, 0), None, Cause.PROCESS_ENDED),
        (ended(201, -15), None, Cause.PROCESS_ENDED),
    ],
)
def test_the_likeliest_cause_of_a_dead_pane(end: Exit, told: Surroundings | None, cause: Cause) -> None:
    assert part(end, around=told)[0].cause is cause


@pytest.mark.parametrize(
    ("exits", "facts", "cause"),
    [
        ([], {}, Cause.SESSION_CLOSED),
        ([ended(201, -1)], {}, Cause.SESSION_CLOSED),
        ([ended(201, -9)], {}, Cause.PROCESS_KILLED),
        ([ended(201, -9)], {"missed": 48.0}, Cause.SESSION_CLOSED),
        ([ended(201, -9)], {"missed": 49.5}, Cause.PROCESS_KILLED),
        ([kill(oom=1, role=Role.SERVER, pid=100), ended(201, -1)], {"seen": absent()}, Cause.OUT_OF_MEMORY),
        ([ended(100, -9, Role.SERVER), ended(201, -9)], {"seen": absent()}, Cause.SERVER_KILLED),
        ([ended(100, -11, Role.SERVER)], {"seen": absent()}, Cause.SERVER_CRASHED),
        ([ended(100, -6, Role.SERVER)], {"seen": absent()}, Cause.SERVER_CRASHED),
        ([ended(100, 0, Role.SERVER), ended(201, -9)], {"seen": absent()}, Cause.PROCESS_KILLED),
        ([ended(100, 0, Role.SERVER)], {"seen": absent()}, Cause.SERVER_STOPPED),
        ([ended(100, None, Role.SERVER)], {"seen": absent()}, Cause.UNKNOWN),
        (
            [],
            {
                "seen": absent(),
                "surroundings": surroundings("Out of memory: Killed process 100 (tmux)", pid=100),
            },
            Cause.OUT_OF_MEMORY,
        ),
    ],
)
def test_the_likeliest_cause_of_a_lost_session(
    exits: list[Exit], facts: dict[str, object], cause: Cause
) -> None:
    assert gone(*exits, **facts)[0].cause is cause


def test_what_speaks_for_and_against_is_kept_to_the_letter() -> None:
    killed, oom = part(kill(oom=1, group=0))
    assert (killed.cause, killed.score) == (Cause.PROCESS_KILLED, 5)
    assert killed.supports[0].fact == "pane's process 201 of %1 was ended by SIGKILL"
    assert (oom.cause, oom.score) == (Cause.OUT_OF_MEMORY, 2)
    assert oom.supports[0].fact == "the kernel has just killed 1 for memory"
    assert oom.contradicts[0].source == "control group"


def test_a_rejected_cause_is_named_too() -> None:
    assert [one.cause for one in part(kill())] == [Cause.PROCESS_KILLED, Cause.OUT_OF_MEMORY]
    assert part(kill())[1].score < 0


def test_unknown_is_a_result() -> None:
    broken = Broken(Unit.PANE, "%1", 201)
    (only,) = rank(Clues(broken, Context(look(session(pane(1))), None), is_shell))
    assert (only.cause, only.score, intent_of(only.cause)) == (Cause.UNKNOWN, 0, Intent.UNKNOWN)
    assert "could not be learnt" in only.supports[0].fact


def test_every_cause_of_the_table_is_a_failure_or_a_persons_doing() -> None:
    assert all(intent_of(rule.cause) is not Intent.UNKNOWN for rule in RULES)


def test_the_surroundings_stand_in_the_evidence() -> None:
    tight = Surroundings(
        None,
        {1: MemoryGroup("/g", 3, 1_000_000_000, 1_000_000_000), 2: MemoryGroup("/free", 0, None, 5)},
        {"state folder": Room(1_000_000, 100_000_000), "pane folder": Room(50, 100, 0)},
        Pressure(0.02, 1.0, 40.0, 5.0),
    )
    assert [(fact.source, fact.fact) for fact in around.told(tight)] == [
        ("kernel log", "not readable here"),
        ("control group", "/g: has held 1000 MB of at most 1000 MB"),
        ("/proc/meminfo", "2.0 % of the memory is available"),
        ("/proc/pressure/cpu", "some tasks waited 40 % of the last 10 s"),
        ("disk", "state folder: 1 MB of 100 MB are free"),
        ("disk", "pane folder: no file can be made there any more"),
    ]
    assert around.told(None) == around.told(Surroundings(())) == ()


def lost_to_memory(name: str, seen: float, *recent: Finding) -> Finding:
    failure = Failure(name, FailureKind.CRASHED, (Broken(Unit.PANE, "%1", 201, -9),), seen)
    context = Context(DEAD, ENTRY, {201: kill(oom=1)})
    (finding,) = diagnose(failure, context, is_shell, recent=recent)
    return finding


def test_one_shortage_of_memory_is_one_origin_for_all_its_sessions() -> None:
    first = lost_to_memory("web", 40.0)
    second = lost_to_memory("api", 40.0 + TOGETHER / 2, first)
    later = lost_to_memory("old", 40.0 + 3 * TOGETHER, first, second)
    assert first.origin == second.origin
    assert later.origin != first.origin
