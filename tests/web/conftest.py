"""The windows on 127.0.0.1, looking upon a desk that only notes what it is asked."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientResponse, web
from aiohttp.test_utils import TestClient
from pytest_aiohttp import AiohttpClient

from sidecar.clock import Clock, SystemClock
from sidecar.config import AlertRoute, Settings
from sidecar.errors import SidecarError
from sidecar.model.access import WebSettings
from sidecar.model.archive import GenerationFilter, RestoreRequest
from sidecar.model.audit import AuditFilter
from sidecar.model.diagnostics import Diagnostics
from sidecar.model.incident import Asker, Cause, FailureKind, IncidentState, Intent
from sidecar.model.plan import Strategy
from sidecar.model.policy import BreakerState, Circuit
from sidecar.model.quiet import SilenceRequest
from sidecar.model.record import (
    Action,
    AlertIntake,
    AlertRow,
    AuditRow,
    IncidentRow,
    Receipt,
    RecoveryRow,
)
from sidecar.model.session import Health
from sidecar.model.status import Answer, RecoverRequest, SessionStatus, Status, Ticket
from sidecar.web.gate import Gate
from sidecar.web.routes import Service, make_app
from sidecar.web.throttle import Throttle
from sidecar.web.tokens import Tokens

TOKEN = "right"
JSON = {"Content-Type": "application/json"}


def recovery(number: int = 7, session: str = "web", **more: Any) -> RecoveryRow:
    return RecoveryRow(
        id=number, incident=1, trace="t1", session=session, failure=FailureKind.CRASHED,
        cause=Cause.PROCESS_KILLED, strategy=Strategy.RESPAWN_PANE, asker=Asker.OPERATOR, checkpoint=None,
        state="running", begun=1.0, ended=None, duration=None, time_to_recovery=None, **more,
    )  # fmt: skip


def incident(**more: Any) -> IncidentRow:
    return IncidentRow(
        id=1, trace="t1", session="web", failure=FailureKind.CRASHED, unit="pane",
        cause=Cause.PROCESS_KILLED, intent=Intent.FAILURE, origin="o", state=IncidentState.OPEN,
        evidence=({"source": "pidfd", "fact": "killed by signal 9"},), first_sign=1.0, opened=1.0,
        closed=None, **more,
    )  # fmt: skip


@dataclass
class FakeDesk:
    """Implements ``sidecar.web.ports.Desk`` in memory."""

    answer: Answer | SidecarError | Exception = field(default_factory=lambda: Ticket(recovery()))
    rows: list[RecoveryRow] = field(default_factory=list)
    asked: list[RecoverRequest] = field(default_factory=list)
    taken: list[AlertIntake] = field(default_factory=list)
    kept: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    closed: SidecarError | None = None
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.gate.set()

    async def request(self, request: RecoverRequest) -> Answer:
        self.asked.append(request)
        self.entered.set()
        await self.gate.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def accept_alerts(self, alerts: Sequence[AlertIntake]) -> Sequence[Receipt]:
        if self.closed is not None:
            raise self.closed
        self.taken.extend(alerts)
        return [
            Receipt(one.fingerprint, one.skip, None if one.skip else _row(number, one))
            for number, one in enumerate(alerts, 1)
        ]

    async def recall(self, key: str) -> Mapping[str, Any] | None:
        return self.kept.get(key)

    async def keep_answer(self, key: str, answer: Mapping[str, Any]) -> None:
        self.kept[key] = answer

    async def recovery(self, recovery: int) -> RecoveryRow | None:
        return next((row for row in self.rows if row.id == recovery), None)

    async def recoveries(
        self, limit: int, before: int | None = None, session: str | None = None
    ) -> Sequence[RecoveryRow]:
        fitting = [
            row
            for row in sorted(self.rows, key=lambda row: -row.id)
            if (before is None or row.id < before) and session in (None, row.session)
        ]
        return fitting[:limit]


async def _reload() -> None: ...


@dataclass
class FakeChronicle:
    """Implements ``sidecar.web.ports.Chronicle``: keeps what it is told."""

    said: list[tuple[Action, Mapping[str, object]]] = field(default_factory=list)
    audited: list[tuple[Action, Mapping[str, Any]]] = field(default_factory=list)

    def say(self, action: Action, *, level: str = "info", **detail: object) -> None:
        self.said.append((action, detail))

    async def audit(self, action: Action, now: float, *, detail: Mapping[str, Any]) -> None:
        self.audited.append((action, detail))


def gate_of(state: Path, clock: Clock, chronicle: FakeChronicle, web: WebSettings, names: set[str]) -> Gate:
    return Gate(Tokens(TOKEN, state), lambda: web, lambda: names, clock, chronicle, Throttle(clock))


def _row(number: int, alert: AlertIntake) -> AlertRow:
    return AlertRow(
        number, alert.fingerprint, alert.starts_at, alert.session, alert.failure, alert.strategy,
        "pending", "", 1.0, None,
    )  # fmt: skip


@dataclass
class FakeArchive:
    """Implements ``sidecar.web.ports.Archive``: gives what it was given, and notes what it was asked."""

    answer: Any = ()
    asked: list[tuple[Any, ...]] = field(default_factory=list)

    async def _say(self, *words: Any) -> Any:
        self.asked.append(words)
        return self.answer

    async def page(self, wanted: GenerationFilter) -> Any:
        return await self._say("page", wanted)

    async def find(self, number: int) -> Any:
        return await self._say("find", number)

    async def create(self, name: str) -> Any:
        return await self._say("create", name)

    async def compare(self, number: int, other: int | None) -> Any:
        return await self._say("compare", number, other)

    async def export(self, number: int) -> Any:
        return await self._say("export", number)

    async def restore(self, request: RestoreRequest) -> Any:
        return await self._say("restore", request)

    async def doomed(self) -> Any:
        return await self._say("doomed")

    async def prune(self) -> Any:
        return await self._say("prune")


@dataclass
class FakeCustody:
    """Implements ``sidecar.web.ports.Custody``: gives what it was given, and notes what it was asked."""

    answer: Any = None
    asked: list[tuple[str, str]] = field(default_factory=list)

    async def release(self, name: str) -> Any:
        self.asked.append(("release", name))
        return self.answer

    async def adopt(self, name: str) -> Any:
        self.asked.append(("adopt", name))
        return self.answer

    async def explain(self, name: str) -> Any:
        self.asked.append(("explain", name))
        return self.answer


@dataclass
class FakeQuiet:
    """Implements ``sidecar.web.ports.Quiet``: gives what it was given, and notes what it was asked."""

    answer: Any = ()
    asked: list[tuple[str, Any]] = field(default_factory=list)

    async def silence(self, asked: SilenceRequest) -> Any:
        self.asked.append(("silence", asked))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def end(self, number: int) -> Any:
        self.asked.append(("end", number))
        return self.answer

    def listed(self) -> Any:
        return self.answer


@dataclass
class FakePeople:
    """Implements ``sidecar.web.ports.People``: gives what it was given, and notes what it was asked."""

    answer: Any = ()
    asked: list[str | None] = field(default_factory=list)

    async def test(self, name: str | None) -> Any:
        self.asked.append(name)
        return self.answer


@dataclass
class FakeChecks:
    """Implements ``sidecar.web.ports.Checks``: gives what it was given, and notes what it was asked."""

    answer: Any = ()
    asked: list[str] = field(default_factory=list)

    def statuses(self) -> Any:
        return self.answer

    async def run_now(self, name: str) -> Any:
        self.asked.append(name)
        return self.answer


@dataclass
class FakeRecords:
    """Implements ``sidecar.web.ports.Records``: gives what it was given, and notes what it was asked."""

    answer: Any = ()
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    seen: Diagnostics | None = None

    async def audit(self, *asked: Any) -> Any:
        self.asked.append(("audit", *asked))
        return self.answer

    async def audit_page(self, after: int, limit: int, wanted: AuditFilter) -> Any:
        self.asked.append(("audit_page", after, wanted))
        if isinstance(self.answer, Exception) and after:
            raise self.answer
        rows = self.answer if isinstance(self.answer, list) else [audit_row(1)]
        return [row for row in rows if row.id > after][:2]

    async def incidents(self, *asked: Any) -> Any:
        self.asked.append(("incidents", *asked))
        return self.answer

    async def incident(self, number: int) -> Any:
        self.asked.append(("incident", number))
        return self.answer

    async def diagnostics(self, number: int) -> Diagnostics | None:
        return self.seen

    def circuits(self) -> Any:
        return self.answer

    async def reset(self, name: str) -> Any:
        self.asked.append(("reset", name))
        return self.answer

    async def force_open(self, name: str) -> Any:
        self.asked.append(("open", name))
        return self.answer


def audit_row(number: int, **detail: Any) -> AuditRow:
    return AuditRow(number, 1.5, "t", "web", Action.REFUSED, "operator", "healthy", detail, f"hash{number}")


@dataclass
class Windows:
    """The served application, and what stands behind it."""

    archive: FakeArchive
    custody: FakeCustody
    records: FakeRecords
    quiet: FakeQuiet

    client: TestClient[web.Request, web.Application]
    desk: FakeDesk
    observed: list[tuple[str, str, int]]
    checks: FakeChecks
    chronicle: FakeChronicle
    state: Path
    people: FakePeople

    async def get(self, path: Any, **headers: str) -> ClientResponse:
        return await self.client.get(path, headers={"Authorization": f"Bearer {TOKEN}", **headers})

    async def post(self, path: str, body: Any = b"", headers: Mapping[str, str] = JSON) -> ClientResponse:
        # The client warns of large bodies that are not files.
        data = io.BytesIO(body) if isinstance(body, bytes) else body
        return await self.client.post(
            path, data=data, headers={"Authorization": f"Bearer {TOKEN}", **headers}
        )


def status() -> Status:
    return Status(
        server_up=True,
        tmux_version="3.3a",
        sessions=(
            SessionStatus("web", Health.HEALTHY, True, False, windows=3, panes=7),
            SessionStatus("a b;\"$(x)'é/{}%#?", Health.CRASHED, False, True, note="held"),
        ),
        incidents=(incident(),),
        circuits={"respawn_pane": BreakerState(Circuit.OPEN)},
        started=1.0,
        last_look=2.0,
    )


ROUTES = (AlertRoute({"alertname": "ApiDown"}, "{{ labels.service }}", FailureKind.FROZEN),)
Open = Callable[..., Awaitable[Windows]]


@pytest.fixture
def open_windows(aiohttp_client: AiohttpClient, tmp_path: Path) -> Open:
    """Serve the windows; keyword arguments replace parts of the :class:`Service`, or of its gate."""

    async def serve(
        *, web_config: WebSettings | None = None, names: set[str] | None = None, **parts: Any
    ) -> Windows:
        desk, archive, custody, records = FakeDesk(), FakeArchive(), FakeCustody(), FakeRecords()
        quiet, found = FakeQuiet(), FakeChecks()
        people = FakePeople()
        observed: list[tuple[str, str, int]] = []
        usual: dict[str, Any] = {
            "desk": desk,
            "archive": archive,
            "custody": custody,
            "records": records,
            "quiet": quiet,
            "checks": found,
            "people": people,
            "settings": lambda: Settings(alerts=ROUTES),
            "status": status,
            "ready": lambda: True,
            "healthy": lambda: True,
            "render": lambda accept: (f"page for {accept}".encode(), "text/plain; version=0.0.4"),
            "observe": lambda method, route, status, seconds: observed.append((method, route, status)),
            "clock": SystemClock(),
            "reload": _reload,
        }
        chronicle, clock = FakeChronicle(), parts.get("clock", usual["clock"])
        usual["gate"] = gate_of(tmp_path, clock, chronicle, web_config or WebSettings(), names or set())
        client = await aiohttp_client(make_app(Service(**usual | parts)))
        return Windows(
            archive, custody, records, quiet, client, desk, observed, found, chronicle, tmp_path, people
        )

    return serve


@pytest.fixture
async def windows(open_windows: Open) -> Windows:
    return await open_windows()
