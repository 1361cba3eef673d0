"""Why a server is silent, by evidence, and what may be done about it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.fitting import fitting
from sidecar.decide.frozen import continue_plan, hopeless, server_finding, suspect
from sidecar.model.incident import Cause
from sidecar.model.plan import RefusalReason, StepKind, Strategy
from sidecar.model.running import Holder, Jam, ProcessState, Running, ServerState

SERVER = ProcessState(100, 7_000, Running.SLEEPING, 100, 100, -1, 50)
READER = ProcessState(300, 9_000, Running.SLEEPING, 300, 300, 300, 5)


def seen(
    first: Running, then: Running, used: int = 0, tracer: int = 0, jam: Jam | None = None
) -> ServerState:
    earlier = replace(SERVER, running=first, tracer=tracer)
    later = replace(SERVER, running=then, ticks=SERVER.ticks + used, tracer=tracer)
    return ServerState(earlier, later, 0.05, "do_wait", (jam,) if jam else (), "load 0.5")


def jam(reader: Running) -> Jam:
    client = Holder(replace(READER, pid=200), "tmux attach", is_client=True)
    return Jam("/dev/pts/4", (client, Holder(replace(READER, running=reader), "sshd: me", is_client=False)))


R, S, D, T, TRACED = Running.RUNNING, Running.SLEEPING, Running.BLOCKED, Running.STOPPED, Running.TRACED
SILENT = Cause.SERVER_UNRESPONSIVE

CASES = [
    ("stopped", seen(T, T), Cause.SERVER_SUSPENDED, 100, "was stopped by a signal (state T)"),
    ("stopped only just now", seen(S, T), SILENT, 0, "state T"),
    ("goes on again", seen(T, R), SILENT, 0, "state R"),
    ("in a debugger", seen(TRACED, TRACED), SILENT, 0, "held by a debugger"),
    ("stopped in a debugger", seen(T, T, tracer=9), SILENT, 0, "process 9 is attached"),
    ("in the kernel", seen(D, D), Cause.SERVER_BLOCKED, 0, "cannot be signalled (state D) in do_wait"),
    ("in the kernel for a moment", seen(D, R, used=5), SILENT, 0, "used 5 ticks"),
    ("busy", seen(R, R, used=5), SILENT, 0, "used 5 ticks of processor in 0.05 s"),
    ("asleep", seen(S, S), SILENT, 0, "sleeps (state S) in do_wait"),
    ("before a full terminal", seen(S, S, jam=jam(S)), Cause.CLIENT_WEDGED, 0, "200 `tmux attach` sleeps"),
    ("before a stopped reader", seen(S, S, jam=jam(T)), Cause.CLIENT_WEDGED, 300, "`sshd: me` was stopped"),
    ("busy beside a full terminal", seen(S, S, used=1, jam=jam(T)), SILENT, 0, "used 1 tick"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("server", "cause", "aim", "words"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_silent_server_is_judged_by_its_process(
    server: ServerState, cause: Cause, aim: int, words: str
) -> None:
    found = suspect(server, "tmux did not answer")
    assert found.cause is cause
    assert (found.stopped.pid if found.stopped else 0) == aim
    assert words in " | ".join(fact.fact for fact in found.evidence)
    finding = server_finding(found, SERVER, 1.0, "100/7000")
    refusal = hopeless(finding)
    if aim:
        assert refusal is None
        assert fitting(finding.failure, cause) == (Strategy.CONTINUE_PROCESS,)
        (step,), expectation = continue_plan(finding, [("%1", 201)])
        assert (step.kind, step.pid) == (StepKind.CONTINUE, aim)
        assert step.started in (SERVER.started, READER.started)
        assert expectation.untouched == (("%1", 201),)
    else:
        assert refusal is not None
        assert refusal.reason is RefusalReason.NO_CURE
        assert not set(fitting(finding.failure, cause)) - {Strategy.CONTINUE_PROCESS}
