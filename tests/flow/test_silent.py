"""A server that does not answer, as a value: what is found, and when it is decided anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

from sidecar.config import Settings
from sidecar.flow.frozen import ServerExaminer
from sidecar.flow.ports import Stopped
from sidecar.flow.ward import Standstill, Ward
from sidecar.model.incident import Cause, FailureKind, Finding
from sidecar.model.plan import RefusalReason
from sidecar.model.running import ProcessState, Running, ServerState
from sidecar.model.session import Look, Presence
from tests.clocks import SetClock
from tests.decide.builders import SERVER, look, session

SILENT = Look(Presence.UNKNOWN, 60.0, reason="tmux did not answer", silent=True)


AWAKE = ProcessState(SERVER.pid, 7, Running.SLEEPING, 100, 100, -1, 5)


@dataclass
class Outside:
    """The server's process, as a value."""

    server_state: ProcessState | None = AWAKE

    def be(self, running: Running) -> None:
        assert self.server_state is not None
        self.server_state = replace(self.server_state, running=running)

    def state(self, pid: int) -> ProcessState | None:
        return self.server_state if pid == SERVER.pid else None

    async def server(self, pid: int) -> ServerState | None:
        now = self.state(pid)
        return None if now is None else ServerState(now, now, 0.05)


class OneServer:
    """tmux, of which only the server's pid is asked."""

    async def live_server(self) -> int:
        return SERVER.pid


@dataclass
class Bench:
    outside: Outside = field(default_factory=Outside)
    notices: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ward = Ward(Settings())
        self.examiner = ServerExaminer(
            self.ward, cast(Any, OneServer()), cast(Stopped, self.outside), SetClock(), self._notice
        )

    def _notice(self, after: float = 0.0) -> None:
        self.notices.append(after)

    async def found(self, at: Look = SILENT) -> list[Cause]:
        return [finding.cause for finding in await self.examine(at)]

    async def examine(self, at: Look = SILENT) -> Sequence[Finding]:
        return await self.examiner.examine(at, {})


async def test_one_time_out_alone_says_nothing_unless_the_server_is_stopped() -> None:
    bench = Bench()
    assert await bench.found(look(session())) == []
    assert await bench.found() == []
    assert bench.notices == [0.0], "asked again at once"
    assert await bench.found() == [Cause.SERVER_UNRESPONSIVE]
    assert await bench.found(look(session())) == []
    bench.outside.be(Running.STOPPED)
    assert await bench.found() == [Cause.SERVER_SUSPENDED]


async def test_an_unknown_answer_that_is_no_silence_is_not_its_business() -> None:
    bench = Bench()
    refused = Look(Presence.UNKNOWN, 60.0, reason="error connecting (Permission denied)")
    assert [await bench.found(refused) for _ in range(3)] == [[], [], []]


async def test_a_server_that_an_earlier_run_has_known_is_found_by_its_socket() -> None:
    bench = Bench()
    bench.outside.be(Running.STOPPED)
    [finding] = await bench.examine()
    assert (finding.failure.session, finding.failure.broken[0].pid) == ("", SERVER.pid)
    assert await bench.examiner.still(finding, SILENT)
    assert not await bench.examiner.still(finding, look(session()))
    bench.outside.server_state = replace(cast(ProcessState, bench.outside.server_state), started=8)
    assert not await bench.examiner.still(finding, SILENT), "another process has its pid"


async def test_a_server_that_is_gone_is_not_frozen() -> None:
    bench = Bench()
    bench.outside.server_state = None
    assert [await bench.found() for _ in range(3)] == [[], [], []]


async def test_another_cause_is_decided_anew() -> None:
    bench = Bench()
    bench.outside.be(Running.BLOCKED)
    assert [await bench.found() for _ in range(2)] == [[], [Cause.SERVER_BLOCKED]]
    bench.ward.standstills[""] = Standstill((), FailureKind.FROZEN, RefusalReason.NO_CURE, "it waits", None)
    assert await bench.found() == [Cause.SERVER_BLOCKED]
    assert "" in bench.ward.standstills
    bench.outside.be(Running.STOPPED)
    assert await bench.found() == [Cause.SERVER_SUSPENDED]
    assert "" not in bench.ward.standstills
