"""Why the way to a living server is cut off: a row for each thing that can stand at the socket's path."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sidecar.decide.disconnect import cut_off, disconnection, hands_off
from sidecar.model.incident import Broken, Cause, Finding, Intent, Unit
from sidecar.model.plan import RefusalReason
from sidecar.model.reach import Kind, Peer, Place, Reach
from sidecar.model.session import ServerId
from tests.decide.builders import absent, look

OURS, OURS_TOO, THEIRS = 100, 101, 900
ME, YOU = 1000, 1001
FOLDER, FILE = Place(Kind.FOLDER, ME, 0o700), Place(Kind.SOCKET, ME, 0o660)
MISSING, HIDDEN = Place(Kind.MISSING), Place(Kind.HIDDEN)
WELL = Reach("/tmp/tmux-1000/it's", ME, FOLDER, FILE, True, (OURS,), Peer(OURS, ME))
SHUT = replace(WELL, listener=None, complaint="Permission denied")
REFUSED = replace(WELL, listener=None, complaint="Connection refused")


def found(reach: Reach, held: int = OURS) -> Finding | None:
    return disconnection(absent(), reach, {held})


@pytest.mark.parametrize(
    ("reach", "cause"),
    [
        (WELL, None),
        (replace(REFUSED, servers=()), None),
        (replace(REFUSED, servers=(), file=MISSING), None),
        (replace(REFUSED, servers=(), file=MISSING, folder=MISSING), None),
        (replace(REFUSED, file=MISSING), Cause.SOCKET_REMOVED),
        (replace(REFUSED, file=MISSING, folder=MISSING), Cause.SOCKET_FOLDER_REMOVED),
        (replace(REFUSED, file=MISSING, wiped=True), Cause.SOCKET_FOLDER_REMOVED),
        (REFUSED, Cause.SOCKET_STALE),
        (replace(REFUSED, complaint="Resource temporarily unavailable", full=True), None),
        (replace(REFUSED, file=Place(Kind.OTHER, ME, 0o600)), Cause.SOCKET_STALE),
        (replace(SHUT, file=replace(FILE, mode=0)), Cause.SOCKET_FORBIDDEN),
        (replace(SHUT, folder=replace(FOLDER, mode=0o600), file=HIDDEN), Cause.SOCKET_FORBIDDEN),
        (replace(WELL, folder=replace(FOLDER, mode=0o701)), Cause.SOCKET_FORBIDDEN),
        (replace(WELL, folder=replace(FOLDER, mode=0o777), of_tmux=False), None),
        (replace(WELL, file=replace(FILE, uid=YOU)), Cause.SOCKET_FORBIDDEN),
        (replace(WELL, listener=Peer(THEIRS, YOU)), Cause.FOREIGN_SERVER),
        (replace(WELL, listener=Peer(THEIRS, YOU), servers=()), Cause.FOREIGN_SERVER),
        (replace(SHUT, file=replace(FILE, uid=YOU), servers=()), Cause.FOREIGN_SERVER),
        (replace(WELL, listener=Peer(OURS_TOO, ME), servers=(OURS_TOO, OURS)), Cause.SOCKET_TAKEN),
        (replace(WELL, listener=Peer(77, ME)), Cause.SOCKET_TAKEN),
    ],
)
def test_what_stands_at_the_path(reach: Reach, cause: Cause | None) -> None:
    finding = found(reach)
    assert (finding.cause if finding else None) is cause
    if finding:
        assert finding.intent is Intent.FAILURE
        assert finding.failure.unit is Unit.SOCKET


def test_an_old_server_without_sessions_of_ours_is_no_matter() -> None:
    assert found(replace(WELL, listener=Peer(OURS_TOO, ME), servers=(OURS_TOO, OURS)), held=OURS_TOO) is None


def test_what_has_changed_since_the_look_makes_no_session_of_a_living_server_gone() -> None:
    other = look(server=ServerId("boot", OURS_TOO, 2_000))
    finding = disconnection(other, replace(WELL, servers=(OURS, OURS_TOO)), {OURS})
    assert finding
    assert (finding.cause, cut_off([finding])) == (Cause.SOCKET_TAKEN, {OURS})


def test_the_server_that_is_cut_off_is_named() -> None:
    taken = found(replace(WELL, listener=Peer(OURS_TOO, ME), servers=(OURS_TOO, OURS)))
    removed = found(replace(REFUSED, file=MISSING, servers=(OURS_TOO, OURS)))
    for finding in (taken, removed):
        assert finding
        assert finding.failure.broken == (Broken(Unit.SOCKET, pid=OURS),)
        assert cut_off([finding]) == {OURS}


def test_the_evidence_says_what_is_there_and_who_lives() -> None:
    finding = found(replace(SHUT, file=replace(FILE, uid=YOU)))
    assert finding
    facts = [fact.fact for fact in finding.evidence]
    assert "the socket is a socket of uid 1001 with mode 0660" in facts
    assert "Permission denied" in facts
    assert f"tmux server {OURS} of ours lives and was bound to this path" in facts


def test_a_path_that_somebody_else_uses_is_never_taken_from_him() -> None:
    taken = found(replace(WELL, listener=Peer(OURS_TOO, ME), servers=(OURS_TOO, OURS)))
    foreign = found(replace(WELL, listener=Peer(THEIRS, YOU)))
    assert taken
    assert foreign
    refusal = hands_off(taken)
    assert refusal
    assert refusal.reason is RefusalReason.SOCKET_TAKEN
    path = """'/tmp/tmux-1000/it'"'"'s'"""
    assert f"""mv {path} '/tmp/tmux-1000/it'"'"'s-2' && kill -USR1 {OURS}""" in refusal.hint
    refusal = hands_off(foreign)
    assert refusal
    assert refusal.reason is RefusalReason.FOREIGN_SERVER


def test_what_is_ours_is_mended() -> None:
    finding = found(replace(REFUSED, file=MISSING))
    assert finding
    assert hands_off(finding) is None
