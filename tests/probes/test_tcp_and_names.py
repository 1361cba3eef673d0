"""Connections and names: each way in which they fail has its own word, and none holds up the loop."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sidecar.clock import SystemClock
from sidecar.edges.probes import dns_wire
from sidecar.edges.probes.prober import Prober
from sidecar.model.probe import DnsProbe, HttpProbe, ProbeFault, RecordType, TcpProbe, split_address
from tests.probes.servers import NameServer, naming, serving, silent, unused_port


@pytest.fixture
async def prober(tmp_path: Path) -> AsyncIterator[Prober]:
    one = Prober(SystemClock(), tmp_path / "resolv.conf")
    yield one
    await one.close()


async def test_a_connection(prober: Prober) -> None:
    async with serving(silent) as port:
        result = await prober.probe(TcpProbe("127.0.0.1", port), 5.0, {})
    assert (result.fault, result.fact) == (None, f"127.0.0.1:{port} takes connections")


async def test_a_name_with_several_addresses(prober: Prober) -> None:
    """One of them is enough."""
    async with serving(silent) as port:
        assert (await prober.probe(TcpProbe("localhost", port), 5.0, {})).fault is None


async def test_refused(prober: Prober) -> None:
    result = await prober.probe(TcpProbe("127.0.0.1", unused_port()), 5.0, {})
    assert result.fault is ProbeFault.REFUSED


async def test_a_full_queue_on_this_machine_is_the_programs_own_fault(prober: Prober) -> None:
    """No packet gets lost here: a time-out of the connection says that nobody takes it."""
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        address = full.getsockname()
        held = [socket.socket() for _ in range(4)]
        try:
            for one in held:
                one.setblocking(False)
                one.connect_ex(address)
            result = await prober.probe(TcpProbe(*address), 0.3, {})
            asked = await prober.probe(HttpProbe(f"http://127.0.0.1:{address[1]}/"), 0.3, {})
        finally:
            for one in held:
                one.close()
    fact = f"127.0.0.1:{address[1]}: nobody has taken the connection within 0.3 s"
    assert (result.fault, result.fact) == (ProbeFault.NO_ANSWER, fact)
    assert (asked.fault, asked.fact) == (ProbeFault.NO_ANSWER, fact)


async def test_unreachable(prober: Prober) -> None:
    result = await prober.probe(TcpProbe("255.255.255.255", 80), 0.5, {})
    assert result.fault is ProbeFault.UNREACHABLE


def _failing(number: int) -> Any:
    def fail(*arguments: object) -> None:
        raise socket.gaierror(number, "as the resolver says")

    return fail


@pytest.mark.parametrize(
    ("number", "fault"),
    [
        (socket.EAI_NONAME, ProbeFault.NAME_NOT_FOUND),
        (socket.EAI_NODATA, ProbeFault.NAME_NOT_FOUND),
        (socket.EAI_AGAIN, ProbeFault.NAME_SERVER_FAILED),
        (socket.EAI_FAIL, ProbeFault.NAME_SERVER_FAILED),
    ],
)
async def test_a_name_that_cannot_be_resolved(
    prober: Prober, monkeypatch: pytest.MonkeyPatch, number: int, fault: ProbeFault
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", _failing(number))
    tcp = await prober.probe(TcpProbe("db.example", 80), 5.0, {})
    http = await prober.probe(HttpProbe("http://db.example/"), 5.0, {})
    assert (tcp.fault, http.fault) == (fault, fault)
    assert "db.example" in tcp.fact


async def test_a_name_that_is_none(prober: Prober) -> None:
    result = await prober.probe(TcpProbe("x" * 80 + ".example", 80), 5.0, {})
    assert result.fault is ProbeFault.NAME_NOT_FOUND


async def test_a_hanging_resolver_holds_nobody_up(prober: Prober, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten names hang: all end in their time, few threads are taken, and the loop's own pool is free."""
    free, real = threading.Event(), socket.getaddrinfo

    def hang(host: str, *arguments: Any) -> Any:
        if host.startswith("hangs"):
            assert free.wait(20)
        return real(host, *arguments)

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    before = threading.active_count()
    hanging = [
        asyncio.create_task(prober.probe(TcpProbe(f"hangs{number}.example", 80), 0.3, {}))
        for number in range(10)
    ]
    same = [asyncio.create_task(prober.probe(HttpProbe("http://hangs0.example/"), 0.3, {})) for _ in range(5)]
    assert await asyncio.wait_for(asyncio.to_thread(lambda: 1), 5.0) == 1
    faults = {task.fault for task in await asyncio.gather(*hanging, *same)}
    taken = threading.active_count() - before
    free.set()
    assert faults == {ProbeFault.NAME_TIMED_OUT}
    assert taken <= 5, "four names and the thread of the loop's own pool"
    async with serving(silent) as port:
        assert (await prober.probe(TcpProbe("localhost", port), 5.0, {})).fault is None


@pytest.mark.parametrize(
    ("server", "fault", "fact"),
    [
        (NameServer(0, ("10.0.0.1", "10.0.0.2")), None, "has 2 A records of db.example"),
        (NameServer(0), ProbeFault.NAME_NOT_FOUND, "has no A record of db.example"),
        (NameServer(3), ProbeFault.NAME_NOT_FOUND, "NXDOMAIN"),
        (NameServer(2), ProbeFault.NAME_SERVER_FAILED, "answers SERVFAIL"),
        (NameServer(5), ProbeFault.NAME_SERVER_FAILED, "answers REFUSED"),
        (NameServer(9), ProbeFault.NAME_SERVER_FAILED, "answers code 9"),
    ],
    ids=lambda value: None if isinstance(value, NameServer) else str(value),
)
async def test_name_servers(prober: Prober, server: NameServer, fault: ProbeFault, fact: str) -> None:
    async with naming(server) as address:
        result = await prober.probe(DnsProbe("db.example", address), 5.0, {})
    assert (result.fault, fact in result.fact) == (fault, True), result
    assert result.resent == 0


NAME = b"\4mail\7example\0"


@pytest.mark.parametrize(
    ("kind", "number", "data", "told"),
    [
        (RecordType.AAAA, 28, bytes(15) + b"\1", "::1"),
        (RecordType.CNAME, 5, NAME, "mail.example"),
        (RecordType.MX, 15, b"\0\x0a" + NAME, "mail.example"),
        (RecordType.SRV, 33, bytes(6) + NAME, "mail.example"),
        (RecordType.SOA, 6, NAME + NAME + bytes(20), "mail.example"),
        (RecordType.TXT, 16, b"\5v=one\4 two", "v=one two"),
        (RecordType.NS, 2, b"\2ns\xc0\x0c", "ns.db.example"),
    ],
)
async def test_what_records_say(
    prober: Prober, kind: RecordType, number: int, data: bytes, told: str
) -> None:
    server = NameServer()
    server.records = ((number, data), (number, data[:-1] + b"\xff"))
    async with naming(server) as address:
        good = await prober.probe(DnsProbe("db.example", address, kind, (told,)), 5.0, {})
        bad = await prober.probe(DnsProbe("db.example", address, kind, (told, "other")), 5.0, {})
    assert good.fault is None, good
    assert bad.fault is ProbeFault.WRONG_RECORDS
    assert told in bad.fact
    assert bad.fact.endswith("for db.example, and not other")


def test_a_name_that_leads_to_itself_is_no_name() -> None:
    question = dns_wire.question(7, "db.example", RecordType.NS)
    place = len(question) + 12
    loop = b"\xc0" + bytes([place])
    record = b"\xc0\x0c" + (2).to_bytes(2) + b"\0\1\0\0\0\0\0\2" + loop
    answer = dns_wire.answer(
        question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question[12:] + record, 7, "db.example", RecordType.NS
    )
    assert answer is not None
    assert (answer.records, answer.told) == (1, ())


@pytest.mark.parametrize("late", [None, 0.4])
async def test_a_name_server_that_answers_never_or_too_late(prober: Prober, late: float | None) -> None:
    async with naming(NameServer(0, ("10.0.0.1",), late=late)) as address:
        result = await prober.probe(DnsProbe("db.example", address), 0.2, {})
        assert result.fault is ProbeFault.NAME_TIMED_OUT
        assert result.took < 2.0
        await asyncio.sleep(0.3 if late else 0)


async def test_a_lost_question_is_sent_again_and_told(prober: Prober) -> None:
    server = NameServer(0, ("10.0.0.1",), skip=1)
    async with naming(server) as address:
        result = await prober.probe(DnsProbe("db.example", address), 5.0, {})
    assert (result.fault, result.resent, server.asked) == (None, 1, 2)


async def test_no_name_server_there(prober: Prober) -> None:
    result = await prober.probe(DnsProbe("db.example", f"127.0.0.1:{unused_port()}"), 5.0, {})
    assert result.fault is ProbeFault.REFUSED


@pytest.mark.parametrize("forged", [b"", b"\0", b"\0\1" + b"\x81\x80" * 5, b"\xff" * 600])
async def test_what_is_no_answer_is_passed_over(prober: Prober, forged: bytes) -> None:
    server = NameServer(0, ("10.0.0.1",))
    server.forged = forged
    async with naming(server) as address:
        assert (await prober.probe(DnsProbe("db.example", address), 5.0, {})).fault is None


async def test_the_servers_of_this_machine_one_after_the_other(
    prober: Prober, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = NameServer(0, ("10.0.0.1",)), NameServer(2)
    async with naming(good) as first, naming(bad) as second:
        monkeypatch.setattr("sidecar.edges.probes.dns._PORT", int(first.partition(":")[2]))
        conf = "search example\nnameserver 127.0.0.2\n# comment\nnameserver 127.0.0.1\noptions ndots:1\n"
        (tmp_path / "resolv.conf").write_text(conf)
        assert (await prober.probe(DnsProbe("db.example"), 5.0, {})).fault is None
        monkeypatch.setattr("sidecar.edges.probes.dns._PORT", int(second.partition(":")[2]))
        failed = await prober.probe(DnsProbe("db.example"), 5.0, {})
    assert failed.fault is ProbeFault.NAME_SERVER_FAILED


@given(st.binary(max_size=120), st.integers(0, 65535))
def test_any_bytes_are_an_answer_or_none(tail: bytes, number: int) -> None:
    question = dns_wire.question(number, "db.example", RecordType.A)
    head = question[:2] + b"\x81\x80\0\1\0\2\0\0\0\0" + question[12:]
    for datagram in (tail, head + tail, question[:2] + tail):
        found = dns_wire.answer(datagram, number, "db.example", RecordType.A)
        assert found is None or 0 <= found.records <= 65535


@pytest.mark.parametrize("name", ["", ".", "a..b", "x" * 64, ".".join(["x" * 60] * 5)])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(ValueError, match=r"name|letters"):
        dns_wire.encode_name(name)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9.9.9.9", ("9.9.9.9", 53)),
        ("9.9.9.9:5353", ("9.9.9.9", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
    ],
)
def test_addresses_of_servers(text: str, found: tuple[str, int]) -> None:
    assert split_address(text, 53) == found
