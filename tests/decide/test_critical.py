"""Which processes a session has to have and does not."""

from __future__ import annotations

from sidecar.decide.critical import absence, missing
from sidecar.model.incident import Cause, FailureKind, Unit


def test_each_pattern_wants_one_process() -> None:
    running = [("/usr/bin/node", "server.js"), ("redis-server", "*:6379"), ("-bash",)]
    assert missing(("^node ", "redis"), running) == ()
    assert missing(("^node ", "postgres", "^vim$"), running) == ("postgres", "^vim$")
    assert missing(("x",), ()) == ("x",)
    assert missing((), running) == ()


def test_the_finding_names_what_is_missing() -> None:
    found = absence("api", ("^node ", "redis"), 7.0)
    assert (found.cause, found.failure.kind, found.failure.unit) == (
        Cause.PROCESS_MISSING,
        FailureKind.UNHEALTHY,
        Unit.SESSION,
    )
    assert [fact.fact for fact in found.evidence] == [
        "no process of the session matches '^node '",
        "no process of the session matches 'redis'",
    ]
