"""Why it broke, and whether a person meant it: by evidence, never by guess.

Order outranks status. A pane that is still there, dead, ended by itself (managed windows keep
such panes); one that vanished together with its session was closed by tmux, whatever its exit
status. A server that was killed takes its sessions along; one that exited 0 was told to.
"Unknown" is a result.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.decide.detect import FATAL_SIGNALS, Expected
from sidecar.model.incident import (
    Broken,
    Cause,
    Evidence,
    Exit,
    Failure,
    Finding,
    Intent,
    Role,
    Unit,
)
from sidecar.model.session import Look, Pane, Presence

CRASH_SIGNALS = FATAL_SIGNALS - {-9}


@dataclass(frozen=True, slots=True)
class Context:
    """The evidence that is there when a failure is diagnosed."""

    look: Look
    expected: Expected | None
    exits: Mapping[int, Exit] = field(default_factory=dict)
    server_exit: Exit | None = None
    """The end of the server in which the session was last seen."""
    bell_words: str = ""
    """What the waiting tmux client said when the server left it; empty when nothing."""
    boot_id: str = ""
    recorded: Opinion | None = None
    """What an earlier run of ours had found out about this failure, before it ended in the middle of it."""


@dataclass(frozen=True, slots=True)
class Opinion:
    """The cause of one broken part."""

    cause: Cause
    intent: Intent
    evidence: tuple[Evidence, ...]
    origin: str = ""


def diagnose(
    failure: Failure, context: Context, is_shell: Callable[[Sequence[str]], bool]
) -> tuple[Finding, ...]:
    """One finding for each cause of a failure, graver intents first.

    Parts that share cause and intent stay together, so that one plan heals them. ``is_shell`` tells
    whether an argv is an interactive shell, whose own exit is a person's doing.
    """
    groups: dict[tuple[Cause, Intent, str], tuple[list[Broken], list[Evidence]]] = {}
    for part in failure.broken:
        opinion = _opinion(part, failure, context, is_shell)
        parts, evidence = groups.setdefault((opinion.cause, opinion.intent, opinion.origin), ([], []))
        parts.append(part)
        evidence.extend(fact for fact in opinion.evidence if fact not in evidence)
    findings = [
        Finding(
            Failure(failure.session, failure.kind, tuple(parts), failure.first_sign),
            cause,
            intent,
            tuple(evidence),
            origin or f"{failure.session}@{failure.first_sign:.6f}",
        )
        for (cause, intent, origin), (parts, evidence) in groups.items()
    ]
    order = (Intent.FAILURE, Intent.UNKNOWN, Intent.PERSON)
    return tuple(sorted(findings, key=lambda finding: order.index(finding.intent)))


def _opinion(
    part: Broken, failure: Failure, context: Context, is_shell: Callable[[Sequence[str]], bool]
) -> Opinion:
    opinion = _present_opinion(part, failure, context, is_shell)
    if opinion.cause is Cause.UNKNOWN and context.recorded is not None:
        return context.recorded
    return opinion


def _present_opinion(
    part: Broken, failure: Failure, context: Context, is_shell: Callable[[Sequence[str]], bool]
) -> Opinion:
    if part.unit is Unit.SESSION:
        return _session_opinion(context)
    return _process_opinion(part, context, is_shell)


def _session_opinion(context: Context) -> Opinion:
    expected = context.expected
    if expected is None or not expected.instance:
        fact = Evidence("record", "the session is declared and was never seen")
        # All that a start has to create is one incident.
        return Opinion(Cause.NEVER_STARTED, Intent.FAILURE, (fact,), origin="declared, never started")
    if context.boot_id and not expected.instance.startswith(f"{context.boot_id}/"):
        fact = Evidence("kernel", f"boot id is {context.boot_id}, the session was last seen in another boot")
        return Opinion(Cause.HOST_REBOOTED, Intent.FAILURE, (fact,), origin=f"boot {context.boot_id}")
    killed = _killed_panes(expected, context)
    if killed:
        return killed
    if _same_server_lives(expected, context):
        return _closed_in_server(expected)
    return _server_opinion(expected, context)


def _killed_panes(expected: Expected, context: Context) -> Opinion | None:
    """The last processes of the session were killed before tmux let go of it."""
    if expected.session is None or _server_was_killed(context):
        return None
    bad = [
        context.exits[pane.pid]
        for pane in expected.session.panes()
        if pane.pid in context.exits and context.exits[pane.pid].code in FATAL_SIGNALS
    ]
    if not bad:
        return None
    evidence = tuple(_exit_fact(ended) for ended in bad)
    return Opinion(_signal_cause(bad[0].code, bad), Intent.FAILURE, evidence)


def _server_was_killed(context: Context) -> bool:
    ended = context.server_exit
    return ended is not None and ended.code in FATAL_SIGNALS


def _same_server_lives(expected: Expected, context: Context) -> bool:
    look = context.look
    return (
        look.presence is Presence.PRESENT
        and look.server is not None
        and expected.instance.startswith(f"{look.server}/")
    )


def _closed_in_server(expected: Expected) -> Opinion:
    if expected.session is None:
        fact = Evidence("record", "the session went while no sidecar watched; its server lives")
        return Opinion(Cause.UNKNOWN, Intent.UNKNOWN, (fact,))
    fact = Evidence("order", "tmux removed the session and its server lives; no process of it was killed")
    return Opinion(Cause.SESSION_CLOSED, Intent.PERSON, (fact,))


def _server_opinion(expected: Expected, context: Context) -> Opinion:
    life = expected.instance.rpartition("/")[0]
    origin = f"server {life}"
    ended = context.server_exit
    words = (Evidence("tmux client", context.bell_words),) if context.bell_words else ()
    if ended is not None and ended.code is not None:
        evidence = (_exit_fact(ended), *words)
        if ended.code == 0:
            return Opinion(Cause.SERVER_STOPPED, Intent.PERSON, evidence, origin)
        if ended.code == -9:
            cause = Cause.OUT_OF_MEMORY if ended.oom_kills else Cause.SERVER_KILLED
            return Opinion(cause, Intent.FAILURE, evidence, origin)
        if ended.code in (-1, -2, -15):
            return Opinion(Cause.SERVER_STOPPED, Intent.PERSON, evidence, origin)
        return Opinion(Cause.SERVER_CRASHED, Intent.FAILURE, evidence, origin)
    if context.bell_words:
        return Opinion(Cause.SERVER_CRASHED, Intent.FAILURE, words, origin)
    fact = Evidence("record", "the server went and how it ended could not be learnt")
    return Opinion(Cause.UNKNOWN, Intent.UNKNOWN, (fact,), origin)


def _process_opinion(part: Broken, context: Context, is_shell: Callable[[Sequence[str]], bool]) -> Opinion:
    ended = context.exits.get(part.pid)
    pane = _known_pane(part, context)
    evidence = [_exit_fact(ended)] if ended else []
    if part.unit is Unit.PANE:
        evidence.append(Evidence("tmux", f"pane {part.pane} is dead, its process was {part.pid}"))
    if part.code is None:
        return _unknown_end(pane, evidence)
    if part.code in FATAL_SIGNALS:
        cause = _signal_cause(part.code, [ended] if ended else [])
        return Opinion(cause, Intent.FAILURE, tuple(evidence))
    if part.code < 0:
        return Opinion(Cause.PROCESS_ENDED, Intent.PERSON, tuple(evidence))
    if pane is not None and _runs_shell(pane, is_shell):
        evidence.append(Evidence("argv", f"an interactive shell ended by itself with {part.code}"))
        return Opinion(Cause.PROCESS_ENDED, Intent.PERSON, tuple(evidence))
    if part.code == 0:
        return Opinion(Cause.PROCESS_ENDED, Intent.PERSON, tuple(evidence))
    evidence.append(Evidence("exit status", f"a command ended by itself with {part.code}"))
    return Opinion(Cause.COMMAND_FAILED, Intent.FAILURE, tuple(evidence))


def _unknown_end(pane: Pane | None, evidence: list[Evidence]) -> Opinion:
    if pane is not None and pane.start_command:
        # tmux keeps a pane under `failed` only after a signal or a status other than 0.
        evidence.append(Evidence("tmux", "the pane was started as a command and was kept as failed"))
        return Opinion(Cause.COMMAND_FAILED, Intent.FAILURE, tuple(evidence))
    return Opinion(Cause.UNKNOWN, Intent.UNKNOWN, tuple(evidence))


def _runs_shell(pane: Pane, is_shell: Callable[[Sequence[str]], bool]) -> bool:
    return is_shell(pane.argv) if pane.argv else not pane.start_command


def _known_pane(part: Broken, context: Context) -> Pane | None:
    if context.expected is not None and context.expected.session is not None:
        for pane in context.expected.session.panes():
            if pane.id == part.pane:
                return pane
    return context.look.pane(part.pane)


def _signal_cause(code: int | None, ends: Sequence[Exit]) -> Cause:
    if code == -9:
        return Cause.OUT_OF_MEMORY if any(end.oom_kills for end in ends) else Cause.PROCESS_KILLED
    return Cause.PROCESS_CRASHED


def _exit_fact(ended: Exit) -> Evidence:
    who = {Role.SERVER: "tmux server", Role.PANE: "pane's process", Role.PROGRAM: "program"}[ended.role]
    where = f" of {ended.pane}" if ended.pane else ""
    return Evidence(ended.source, f"{who} {ended.pid}{where} {describe_code(ended.code)}{_oom(ended)}")


def _oom(ended: Exit) -> str:
    return f"; the kernel killed {ended.oom_kills} for memory" if ended.oom_kills else ""


def describe_code(code: int | None) -> str:
    """An exit code for people."""
    if code is None:
        return "ended in a way that could not be learnt"
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
