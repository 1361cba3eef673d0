"""The cause, and whether a person meant it: a row for each kind of evidence."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.clues import Context, describe_code
from sidecar.decide.detect import Expected, instance_of
from sidecar.decide.diagnose import diagnose
from sidecar.decide.resume import is_shell
from sidecar.model.incident import (
    Broken,
    Cause,
    Exit,
    Failure,
    FailureKind,
    Finding,
    Intent,
    Role,
    Unit,
)
from sidecar.model.session import Look, Pane, Session
from tests.decide.builders import SERVER, absent, ended, look, pane, session


def entry(live: Session | None = None, *, watched: bool = True) -> Expected:
    live = live or session()
    return Expected(
        live.name, SERVER if watched else None, live if watched else None, instance_of(SERVER, live)
    )


def gone(
    seen: Look, *exits: Exit, known: Expected | None = None, words: str = "", boot: str = "boot"
) -> Finding:
    failure = Failure("web", FailureKind.CRASHED, (Broken(Unit.SESSION),), 49.0)
    known = known or entry()
    by_pid = {e.pid: e for e in exits}
    context = Context(seen, known, by_pid, by_pid.get(SERVER.pid), words, boot)
    (finding,) = diagnose(failure, context, is_shell)
    return finding


@pytest.mark.parametrize(
    ("code", "oom", "cause", "intent"),
    [
        (-9, 0, Cause.SERVER_KILLED, Intent.FAILURE),
        (-9, 1, Cause.OUT_OF_MEMORY, Intent.FAILURE),
        (-11, 0, Cause.SERVER_CRASHED, Intent.FAILURE),
        (1, 0, Cause.SERVER_CRASHED, Intent.FAILURE),
        (0, 0, Cause.SERVER_STOPPED, Intent.PERSON),
        (-15, 0, Cause.SERVER_STOPPED, Intent.PERSON),
        (None, 0, Cause.UNKNOWN, Intent.UNKNOWN),
    ],
)
def test_the_end_of_the_server(code: int | None, oom: int, cause: Cause, intent: Intent) -> None:
    finding = gone(absent(), ended(100, code, Role.SERVER, oom=oom), ended(201, -1))
    assert (finding.cause, finding.intent) == (cause, intent)


def test_sessions_of_one_dead_server_share_an_origin() -> None:
    server = ended(100, -9, Role.SERVER)
    assert gone(absent(), server).origin == gone(absent(), server).origin == "server boot/100/1000"


def test_the_waiting_client_tells_when_the_exit_code_does_not() -> None:
    finding = gone(absent(), words="server exited unexpectedly")
    assert (finding.cause, finding.intent) == (Cause.SERVER_CRASHED, Intent.FAILURE)


def test_a_session_closed_in_a_living_server_is_a_persons_doing() -> None:
    other = look(session(name="other", identity="$2"))
    finding = gone(other, ended(201, -1))
    assert (finding.cause, finding.intent) == (Cause.SESSION_CLOSED, Intent.PERSON)


def test_a_session_whose_processes_were_killed_first_is_a_failure() -> None:
    finding = gone(look(session(name="other", identity="$2")), ended(201, -9))
    assert (finding.cause, finding.intent) == (Cause.PROCESS_KILLED, Intent.FAILURE)
    assert "SIGKILL" in finding.evidence[0].fact


def test_the_last_killed_process_takes_an_orderly_server_along() -> None:
    finding = gone(absent(), ended(201, -9), ended(100, 0, Role.SERVER))
    assert (finding.cause, finding.intent) == (Cause.PROCESS_KILLED, Intent.FAILURE)


def test_what_nobody_watched_is_unknown() -> None:
    known = entry(watched=False)
    assert gone(look(session(name="other", identity="$2")), known=known).intent is Intent.UNKNOWN
    assert gone(absent(), known=known).intent is Intent.UNKNOWN


def test_another_boot_is_a_reboot() -> None:
    finding = gone(absent(), known=entry(watched=False), boot="later")
    assert (finding.cause, finding.intent) == (Cause.HOST_REBOOTED, Intent.FAILURE)


def test_a_declared_session_that_was_never_there_is_to_be_started() -> None:
    finding = gone(absent(), known=Expected("web", declared=True))
    assert (finding.cause, finding.intent) == (Cause.NEVER_STARTED, Intent.FAILURE)


def part(dead: Pane, before: Pane, *exits: Exit, unit: Unit = Unit.PANE, code: int | None = None) -> Finding:
    failure = Failure("web", FailureKind.CRASHED, (Broken(unit, dead.id, dead.pid, code),), 49.0)
    context = Context(look(session(dead)), entry(session(before)), {e.pid: e for e in exits})
    (finding,) = diagnose(failure, context, is_shell)
    return finding


SHELL, COMMAND = pane(1), pane(1, command="'sleep 9'")


@pytest.mark.parametrize(
    ("before", "code", "cause", "intent"),
    [
        (SHELL, -9, Cause.PROCESS_KILLED, Intent.FAILURE),
        (SHELL, -11, Cause.PROCESS_CRASHED, Intent.FAILURE),
        (SHELL, 3, Cause.PROCESS_ENDED, Intent.PERSON),
        (SHELL, -1, Cause.PROCESS_ENDED, Intent.PERSON),
        (SHELL, None, Cause.UNKNOWN, Intent.UNKNOWN),
        (COMMAND, 3, Cause.COMMAND_FAILED, Intent.FAILURE),
        (COMMAND, 0, Cause.PROCESS_ENDED, Intent.PERSON),
        (COMMAND, -15, Cause.PROCESS_ENDED, Intent.PERSON),
        (COMMAND, None, Cause.COMMAND_FAILED, Intent.FAILURE),
    ],
)
def test_a_dead_pane(before: Pane, code: int | None, cause: Cause, intent: Intent) -> None:
    exits = [] if code is None else [ended(201, code)]
    finding = part(replace(before, dead=True), before, *exits, code=code)
    assert (finding.cause, finding.intent) == (cause, intent)


def test_parts_of_different_intent_become_findings_of_their_own_gravest_first() -> None:
    panes = pane(1, dead=True), pane(2, dead=True)
    broken = Broken(Unit.PANE, "%1", 201, 1), Broken(Unit.PANE, "%2", 202, -9)
    failure = Failure("web", FailureKind.CRASHED, broken, 49.0)
    context = Context(look(session(*panes)), entry(session(pane(1), pane(2))))
    findings = diagnose(failure, context, is_shell)
    assert [finding.intent for finding in findings] == [Intent.FAILURE, Intent.PERSON]
    assert [finding.failure.broken for finding in findings] == [broken[1:], broken[:1]]


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (0, "exited with 0"),
        (-9, "was ended by SIGKILL"),
        (-99, "was ended by signal 99"),
        (None, "could not be learnt"),
    ],
)
def test_codes_for_people(code: int | None, words: str) -> None:
    assert words in describe_code(code)
