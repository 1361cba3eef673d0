"""What does not go on although it is there: the cause, by evidence, and the gentlest cure.

Silence proves nothing. A server is frozen only by what the kernel says of its process, a program only
when it was stopped from outside: one that a shell has stopped gave its terminal back. What a debugger
holds is never touched, and nothing here ends a process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from sidecar.model.incident import Broken, Cause, Evidence, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import Expectation, Refusal, RefusalReason, Step, StepKind
from sidecar.model.running import Flow, Jam, ProcessState, Running, ServerState
from sidecar.model.session import Pane, Session

ASK_AGAIN = 60.0
"""Seconds after which a server that nothing could be done about is looked into again."""

_DOES = {
    Running.RUNNING: "runs (state R)",
    Running.SLEEPING: "sleeps (state S)",
    Running.BLOCKED: "waits for the kernel and cannot be signalled (state D)",
    Running.STOPPED: "was stopped by a signal (state T)",
    Running.TRACED: "is held by a debugger (state t)",
    Running.OTHER: "is in a state of its own",
}


@dataclass(frozen=True, slots=True)
class Suspect:
    """The cause of a server's silence, and the process to which something may be done about it."""

    cause: Cause
    evidence: tuple[Evidence, ...]
    stopped: ProcessState | None = None


def suspect(server: ServerState, reason: str) -> Suspect:
    """Why a server that lives has not answered; ``reason`` is what the look says."""
    facts = (Evidence("tmux client", reason), *_facts(server))
    if server.earlier.stopped and server.now.stopped:
        return Suspect(Cause.SERVER_SUSPENDED, facts, server.now)
    if Running.BLOCKED in (server.earlier.running, server.now.running):
        if server.earlier.running is server.now.running:
            return Suspect(Cause.SERVER_BLOCKED, facts)
    elif server.jams and _idle(server):
        return _wedged(server.jams, facts)
    return Suspect(Cause.SERVER_UNRESPONSIVE, facts)


def server_finding(found: Suspect, server: ProcessState, first_sign: float, life: str) -> Finding:
    """All sessions under one silent server are one incident. ``life`` names the server's life."""
    aim = found.stopped
    part = Broken(Unit.SERVER, pid=aim.pid if aim else server.pid, started=aim.started if aim else 0)
    failure = Failure("", FailureKind.FROZEN, (part,), first_sign)
    return Finding(failure, found.cause, Intent.FAILURE, found.evidence, f"server {life}")


def stopped_in_front(state: ProcessState) -> bool:
    """Whether a process is stopped although its group has its terminal."""
    return state.stopped and state.group == state.front


def program_finding(session: str, stopped: Mapping[ProcessState, str], first_sign: float) -> Finding:
    """Programs of one session that were stopped from outside, each with its pane."""
    parts = tuple(
        Broken(Unit.PROGRAM, pane, state.pid, started=state.started) for state, pane in stopped.items()
    )
    evidence = tuple(
        Evidence(
            f"/proc/{state.pid}/stat",
            f"process {state.pid} `{state.command}` in {pane} {_DOES[state.running]} while its group has the "
            "terminal: no shell has stopped it",
        )
        for state, pane in stopped.items()
    )
    failure = Failure(session, FailureKind.FROZEN, parts, first_sign)
    origin = f"{session}@{first_sign:.6f}"
    return Finding(failure, Cause.PROCESS_SUSPENDED, Intent.FAILURE, evidence, origin)


@dataclass(frozen=True, slots=True)
class Block:
    """A pane whose terminal has been stopped for longer than its rule allows."""

    pane: Pane
    flow: Flow
    after: float


def follow(before: Flow | None, now: Flow) -> Flow:
    """What is known of a terminal that takes nothing, after another look at it.

    Where a program prints faster than tmux reads, its window prints and its processes run; where either
    stands still, nothing goes on. Another pane of the window may print, and so may the program run on.
    """
    if before is None or (before.printed != now.printed and before.ticks != now.ticks):
        return now
    return replace(now, since=before.since)


def terminal_finding(session: str, blocks: Sequence[Block], now: float) -> Finding:
    """Terminals of one session that are stopped against its rule."""
    parts = tuple(Broken(Unit.TERMINAL, block.pane.id, block.pane.pid) for block in blocks)
    evidence = tuple(
        Evidence(
            block.pane.tty,
            f"the terminal of {block.pane.id} takes no output and nothing went on in it for "
            f"{now - block.flow.since:.0f} s, as after Ctrl-S; unblock_terminal allows {block.after:g} s",
        )
        for block in blocks
    )
    # Until then it was a person's own business.
    first_sign = min(block.flow.since + block.after for block in blocks)
    failure = Failure(session, FailureKind.FROZEN, parts, first_sign)
    return Finding(failure, Cause.TERMINAL_STOPPED, Intent.FAILURE, evidence, f"{session}@{first_sign:.6f}")


def unblock_plan(
    finding: Finding, session: Session, standing: Iterable[tuple[str, int]]
) -> tuple[tuple[Step, ...], Expectation]:
    """Ctrl-Q for each terminal that is stopped, without typing anything."""
    panes = {pane.id: pane for pane in session.panes()}
    steps = (
        Step(StepKind.UNBLOCK, part.pane, part.pid, what=panes[part.pane].tty)
        for part in finding.failure.broken
        if part.pane in panes
    )
    return (Step(StepKind.SAVE), *steps), Expectation(image=None, untouched=tuple(standing))


def hopeless(finding: Finding) -> Refusal | None:
    """Where nothing may be done, whatever the ladder says: what a person has to know."""
    cause, part = finding.cause, finding.failure.broken[0]
    if cause not in _HOPELESS or part.started:
        return None
    sentence, hint = _HOPELESS[cause]
    return Refusal(RefusalReason.NO_CURE, sentence, hint, retry_after=ASK_AGAIN)


def continue_plan(
    finding: Finding, standing: Iterable[tuple[str, int]]
) -> tuple[tuple[Step, ...], Expectation]:
    """SIGCONT to what is stopped; ``standing`` are panes and processes that have to outlive it."""
    signals = (
        Step(StepKind.CONTINUE, part.pane, part.pid, started=part.started) for part in finding.failure.broken
    )
    # A server that does not answer has nothing that could be stored.
    first = () if finding.failure.unit is Unit.SERVER else (Step(StepKind.SAVE),)
    return (*first, *signals), Expectation(image=None, untouched=tuple(standing))


_HOPELESS = {
    Cause.SERVER_BLOCKED: (
        "the tmux server waits for the kernel; no signal reaches it, and it goes on when the kernel does",
        "A disk or a network file system may hang: `dmesg` and `cat /proc/mounts` may tell.",
    ),
    Cause.SERVER_UNRESPONSIVE: (
        "the tmux server lives and does not answer; it is never killed, as all sessions would go with it",
        "The evidence says what it does; if it is beyond help, end it by hand and the sessions come back.",
    ),
    Cause.CLIENT_WEDGED: (
        "the tmux server waits for the terminal of a client that takes no more, and nothing there is stopped",
        "Close that terminal, or end the process that should read it; the evidence names both.",
    ),
}


def _idle(server: ServerState) -> bool:
    sleeps = server.earlier.running is server.now.running is Running.SLEEPING
    return sleeps and server.earlier.ticks == server.now.ticks


def _wedged(jams: tuple[Jam, ...], facts: tuple[Evidence, ...]) -> Suspect:
    stopped = [holder.process for jam in jams for holder in jam.holders if holder.process.stopped]
    return Suspect(
        Cause.CLIENT_WEDGED, (*facts, *_jam_facts(jams)), min(stopped, key=lambda one: one.pid, default=None)
    )


def _facts(server: ServerState) -> Iterator[Evidence]:
    now = server.now
    place = f" in {server.waits_in}" if server.waits_in and now.running is not Running.RUNNING else ""
    yield Evidence(f"/proc/{now.pid}/stat", f"tmux server {now.pid} {_DOES[now.running]}{place}")
    if now.tracer:
        yield Evidence(f"/proc/{now.pid}/status", f"process {now.tracer} is attached to it as a debugger")
    used = now.ticks - server.earlier.ticks
    yield Evidence(f"/proc/{now.pid}/stat", f"it used {used} ticks of processor in {server.apart:.2f} s")
    if server.pressure:
        yield Evidence("/proc/pressure", server.pressure)


def _jam_facts(jams: Iterable[Jam]) -> Iterator[Evidence]:
    for jam in jams:
        yield Evidence(jam.terminal, "it takes no more, and the server would wait for it")
        for holder in jam.holders:
            role = "tmux client" if holder.is_client else "reader of that terminal"
            does = _DOES[holder.process.running]
            yield Evidence(jam.terminal, f"{role} {holder.process.pid} `{holder.command}` {does}")
