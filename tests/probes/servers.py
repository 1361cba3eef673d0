"""Servers that answer well, badly, late, too much, or not at all."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The port of a server that hands each connection to the handler, and ends all of them at the end."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await handler(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def saying(head: str, body: bytes = b"", *, hold: bool = False) -> Handler:
    """Read a request, say this, and close; or keep the connection open for ever."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head.replace("\n", "\r\n").encode() + b"\r\n\r\n" + body)
        await writer.drain()
        if hold:
            await asyncio.Event().wait()

    return handle


def answering(body: bytes, status: str = "200 OK", *headers: str) -> Handler:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers)
    return saying("\n".join(lines), body)


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await asyncio.Event().wait()


async def resetting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    connection: socket.socket = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def greeting(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Speaks first, and not TLS."""
    writer.write(b"220 ready\r\n")
    await asyncio.Event().wait()


def flooding(pause: float) -> Handler:
    """Two gigabytes, as fast as they are taken, or a little at a time."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2147483648\r\n\r\n")
        part = b"x" * (64 if pause else 1 << 16)
        for _ in range((1 << 31) // len(part)):
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause)

    return handle


def certificate(folder: Path, name: str = "localhost", days: int = 2) -> ssl.SSLContext:
    """A server's context with a certificate that nobody has signed but itself: ``cert.pem`` in the folder."""
    key, file, wish, names = (folder / each for each in ("key.pem", "cert.pem", "wish.pem", "names"))
    names.write_text(f"subjectAltName=DNS:{name}")
    for command in (
        ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", wish, "-subj", f"/CN={name}"],
        ["x509", "-req", "-in", wish, "-signkey", key, "-days", str(days), "-extfile", names, "-out", file],
    ):  # fmt: skip
        subprocess.run(["openssl", *map(str, command)], check=True, capture_output=True, timeout=30)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file, key)
    return context


def unused_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class NameServer(asyncio.DatagramProtocol):
    """Answers every question with this code and these addresses; ``late`` seconds later, or never."""

    def __init__(
        self, code: int = 0, addresses: tuple[str, ...] = (), *, late: float | None = 0.0, skip: int = 0
    ) -> None:
        self.code = code
        self.addresses = addresses
        self.late = late
        self.skip = skip
        """So many questions are lost."""
        self.asked = 0
        self.records: tuple[tuple[int, bytes], ...] = ()
        """Type and data, beside the addresses."""
        self.forged: bytes = b""
        """Said before the answer."""
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.asked += 1
        if self.late is None or self.asked <= self.skip:
            return
        if self.forged:
            self._send(self.forged, address)
        if self.late:
            asyncio.get_running_loop().call_later(self.late, self._send, self._answer(data), address)
        else:
            self._send(self._answer(data), address)

    def _answer(self, question: bytes) -> bytes:
        told = [*((1, socket.inet_aton(address)) for address in self.addresses), *self.records]
        records = b"".join(
            b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, 60, len(data)) + data for kind, data in told
        )
        counts = struct.pack("!HHHHH", 0x8180 | self.code, 1, len(told), 0, 0)
        return question[:2] + counts + question[12:] + records

    def _send(self, data: bytes, address: tuple[str, int]) -> None:
        assert self._transport is not None
        if not self._transport.is_closing():
            self._transport.sendto(data, address)


@asynccontextmanager
async def naming(server: NameServer) -> AsyncIterator[str]:
    """The address of a name server."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )
    try:
        host, port = transport.get_extra_info("sockname")[:2]
        yield f"{host}:{port}"
    finally:
        transport.close()
        await asyncio.sleep(0)
