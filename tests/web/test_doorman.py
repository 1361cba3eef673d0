"""Connections: how many, how long, and what becomes of those that are too many or too slow."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from sidecar.model.access import TlsSettings
from sidecar.web import doorman as doors
from sidecar.web.doorman import Doorman, TlsRules, Visitor, visitor_of
from sidecar.web.tls import server_context
from tests.certificates import Certificates

HEAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
WHOLE = HEAD + b"\r\n"


@dataclass
class House:
    """A server behind a doorman, with a few places."""

    counted: list[str] = field(default_factory=list)
    port: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    rules: Callable[[], TlsRules | None] = lambda: None
    doorman: Doorman | None = None
    visitor: Visitor | None = None

    async def answer(self, request: web.Request) -> web.StreamResponse:
        visitor = visitor_of(request)
        assert visitor is not None
        self.visitor = visitor
        visitor.enter()
        try:
            self.entered.put_nowait(request.path)
            if request.path == "/known":
                visitor.shows("somebody")
            if request.path == "/slow":
                await self.gate.wait()
            if request.path == "/large":
                return web.Response(body=bytes(16 << 20))
            return web.Response(text=request.path)
        finally:
            visitor.leave()

    async def connect(self, raw: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(raw)
        return reader, writer

    async def ask(self, path: str = "/") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection on which one request has been answered."""
        reader, writer = await self.connect(WHOLE.replace(b"GET /", b"GET " + path.encode()))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
        await reader.readexactly(len(path))
        return reader, writer


async def ends(reader: asyncio.StreamReader) -> bytes:
    """What came before the connection was closed."""
    async with asyncio.timeout(20):
        try:
            return await reader.read()
        except ConnectionError:
            return b""


@contextlib.asynccontextmanager
async def opened(house: House, most: int) -> AsyncIterator[House]:
    app = web.Application()
    app.router.add_get("/{path:.*}", house.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    assert runner.server is not None
    house.doorman = Doorman(runner.server, most, house.rules, house.counted.append)
    server = await asyncio.get_running_loop().create_server(house.doorman, "127.0.0.1", 0)
    house.port = server.sockets[0].getsockname()[1]
    try:
        yield house
    finally:
        house.gate.set()
        server.close()
        house.doorman.close()
        await runner.cleanup()
    assert len(house.doorman) == 0


@pytest.fixture
async def house() -> AsyncIterator[House]:
    async with opened(House(), 2) as made:
        yield made


@pytest.fixture
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is silent may be sent away at once."""
    monkeypatch.setattr(doors, "GRACE_SECONDS", 0.0)


async def test_requests_follow_one_another_on_one_connection(house: House) -> None:
    reader, writer = await house.ask("/one")
    writer.write(WHOLE.replace(b"GET /", b"GET /two"))
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    assert await reader.readexactly(4) == b"/two"
    assert house.counted == ["accepted"]
    writer.close()


@pytest.mark.parametrize("said", [b"", b"G", HEAD, b"\r\n"])
async def test_whoever_does_not_say_what_it_wants_is_cut_off(
    house: House, monkeypatch: pytest.MonkeyPatch, said: bytes
) -> None:
    monkeypatch.setattr(doors, "HEAD_SECONDS", 0.05)
    reader, writer = await house.connect(said)
    assert await ends(reader) == b""
    assert house.counted == ["accepted", "too_slow"]
    writer.close()


async def test_a_drop_now_and_then_is_too_slow_as_well(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "HEAD_SECONDS", 0.1)
    reader, writer = await house.connect(HEAD)

    async def drip() -> None:
        while True:
            writer.write(b"X: y\r\n")
            await asyncio.sleep(0.01)

    dripping = asyncio.create_task(drip())
    assert await ends(reader) == b""
    dripping.cancel()
    assert "too_slow" in house.counted
    writer.close()


async def test_the_second_request_has_its_time_too(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = await house.ask()
    monkeypatch.setattr(doors, "HEAD_SECONDS", 0.05)
    writer.write(HEAD)
    assert await ends(reader) == b""
    assert house.counted == ["accepted", "too_slow"]
    writer.close()


async def test_an_answer_may_take_its_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "IDLE_SECONDS", 0.05)
    reader, writer = await house.connect(WHOLE.replace(b"GET /", b"GET /slow"))
    await house.entered.get()
    assert house.visitor is not None
    assert house.visitor._deadline is None
    house.gate.set()
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    assert await ends(reader) == b"/slow"
    writer.close()


async def test_an_idle_connection_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doors, "IDLE_SECONDS", 0.05)
    reader, writer = await house.ask()
    assert await ends(reader) == b""
    writer.close()


async def test_an_answer_that_nobody_takes_is_thrown_away(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "TAKE_SECONDS", 0.05)
    with socket.create_connection(("127.0.0.1", house.port)) as client:
        client.sendall(WHOLE.replace(b"GET /", b"GET /large"))
        async with asyncio.timeout(20):
            while "too_slow" not in house.counted:
                await asyncio.sleep(0.01)
        assert house.doorman is not None
        assert len(house.doorman) == 0


async def test_a_large_answer_is_taken_whole(house: House) -> None:
    reader, writer = await house.connect(WHOLE.replace(b"GET /", b"GET /large"))
    await reader.readuntil(b"\r\n\r\n")
    assert len(await reader.readexactly(16 << 20)) == 16 << 20
    writer.close()


@pytest.mark.usefixtures("_at_once")
async def test_the_one_that_is_silent_longest_makes_room_and_strangers_first(house: House) -> None:
    known, known_writer = await house.ask("/known")
    stranger, stranger_writer = await house.ask("/")
    _, third = await house.ask("/third")
    assert await ends(stranger) == b""
    _, fourth = await house.ask("/fourth")
    known_writer.write(WHOLE)
    assert b"200 OK" in await known.readuntil(b"\r\n\r\n")
    assert house.counted.count("sent_away") == 2
    for writer in (known_writer, stranger_writer, third, fourth):
        writer.close()


@pytest.mark.usefixtures("_at_once")
async def test_whoever_is_being_answered_stays_and_the_next_is_told_to_come_again(house: House) -> None:
    busy = [await house.connect(WHOLE.replace(b"GET /", b"GET /slow")) for _ in range(2)]
    for _ in busy:
        await house.entered.get()
    reader, writer = await house.connect(WHOLE)
    refused = await ends(reader)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 5\r\n" in refused
    assert refused.endswith(b'"hint":"Ask again in a moment."}')
    writer.close()
    house.gate.set()
    for each, _ in busy:
        assert b"200 OK" in await each.readuntil(b"\r\n\r\n")
    assert house.counted[-1] == "turned_away"
    for _, writer in busy:
        writer.close()


async def test_nobody_is_sent_away_right_after_coming(house: House) -> None:
    silent = [await house.connect() for _ in range(2)]
    async with asyncio.timeout(20):
        while house.counted != ["accepted", "accepted"]:
            await asyncio.sleep(0.01)
    reader, writer = await house.connect(WHOLE)
    assert (await ends(reader)).startswith(b"HTTP/1.1 503 ")
    for _, each in [*silent, (reader, writer)]:
        each.close()


@pytest.mark.usefixtures("_at_once")
async def test_handshakes_that_never_end_keep_nobody_out(tmp_path_factory: pytest.TempPathFactory) -> None:
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    certificate, key = certificates.make("server")
    context = server_context(TlsSettings(str(certificate), str(key)))
    async with opened(House(rules=lambda: TlsRules(context)), 2) as house:
        stuck = [await house.connect() for _ in range(5)]
        for reader, writer in stuck[:3]:
            assert await ends(reader) == b""
            writer.close()
        assert house.counted == ["accepted", "accepted", *["sent_away", "accepted"] * 3]
        for _, writer in stuck[3:]:
            writer.close()


async def test_a_handshake_has_its_time(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doors, "HEAD_SECONDS", 0.1)
    certificates = Certificates(tmp_path_factory.mktemp("certificates"))
    certificate, key = certificates.make("server")
    context = server_context(TlsSettings(str(certificate), str(key)))
    async with opened(House(rules=lambda: TlsRules(context)), 2) as house:
        reader, writer = await house.connect(b"\x16\x03\x01")
        assert await ends(reader) == b""
        assert house.counted == ["accepted", "handshake_failed"]
        writer.close()


def test_the_words_of_the_refusal_are_whole() -> None:
    head, _, body = (doors._FULL % (len(doors._FULL_BODY), doors._FULL_BODY)).partition(b"\r\n\r\n")
    assert b"Content-Length: %d" % len(body) in head
    assert json.loads(body)["status"] == 503
