"""The door to name servers, over UDP. It speaks their language itself, since the system's resolver
neither tells a server that fails from one that is silent, nor can be told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from sidecar.clock import Clock
from sidecar.edges.probes import dns_wire
from sidecar.edges.probes.faults import fault_of, sentence_of
from sidecar.model.probe import DnsProbe, ProbeFault, ProbeResult, join_address, split_address

_PORT = 53
_PATIENCE = 1.0
"""Seconds until a question is sent again, or to the next server."""
_SERVERS = 3
_SHOWN = 5
_NOT_FOUND = frozenset({"NOERROR", "NXDOMAIN"})
RESOLV_CONF = Path("/etc/resolv.conf")


async def probe_dns(
    probe: DnsProbe, seconds: float, clock: Clock, resolv_conf: Path = RESOLV_CONF
) -> ProbeResult:
    """Ask, again each second, until somebody answers. Never raises for what it finds."""
    began = clock.monotonic()
    servers = [split_address(probe.server, _PORT)] if probe.server else _configured(resolv_conf)
    talk = _Talk(probe, int.from_bytes(os.urandom(2)))
    try:
        async with asyncio.timeout(seconds):
            fault, fact = await talk.with_any(servers)
    except TimeoutError:
        where = ", ".join(join_address(*server) for server in servers)
        fault, fact = ProbeFault.NAME_TIMED_OUT, f"no answer from {where} within {seconds:g} s"
    except OSError as error:
        fault, fact = fault_of(error), f"{join_address(*talk.server)}: {sentence_of(error)}"
    finally:
        talk.close()
        # A transport lets go of its socket in the loop's next turn.
        await asyncio.sleep(0)
    return ProbeResult(fault, clock.monotonic() - began, fact, talk.resent)


def _configured(file: Path) -> list[tuple[str, int]]:
    """The servers of this machine; the machine itself where none is named, as the system has it."""
    lines: list[str] = []
    with contextlib.suppress(OSError):
        lines = file.read_text(errors="replace").splitlines()
    words = [line.split() for line in lines]
    named = [(word[1], _PORT) for word in words if len(word) > 1 and word[0] == "nameserver"]
    return named[:_SERVERS] or [("127.0.0.1", _PORT)]


@dataclass(slots=True)
class _Talk:
    """One question and whoever is asked."""

    probe: DnsProbe
    number: int
    resent: int = 0
    server: tuple[str, int] = ("", 0)
    _inboxes: dict[tuple[str, int], _Inbox] = field(default_factory=dict)

    async def with_any(self, servers: list[tuple[str, int]]) -> tuple[ProbeFault | None, str]:
        """The first answer that settles it; of a server that fails only where no other one is left."""
        waiting = list(servers)
        while True:
            self.server = waiting.pop(0)
            try:
                answer = await self._ask(self.server)
            except OSError:
                if not waiting:
                    raise
                continue
            if answer is None:
                waiting.append(self.server)
                self.resent += 1
            elif answer.code in _NOT_FOUND or not waiting:
                return self._judged(answer)

    async def _ask(self, server: tuple[str, int]) -> dns_wire.Answer | None:
        """What this server says; None if it says nothing for a while."""
        if server not in self._inboxes:
            loop = asyncio.get_running_loop()
            _, inbox = await loop.create_datagram_endpoint(_Inbox, remote_addr=server)
            self._inboxes[server] = inbox
        inbox = self._inboxes[server]
        inbox.send(dns_wire.question(self.number, self.probe.name, self.probe.type))
        try:
            async with asyncio.timeout(_PATIENCE):
                return await self._next_answer(inbox)
        except TimeoutError:
            return None

    async def _next_answer(self, inbox: _Inbox) -> dns_wire.Answer:
        while True:
            heard = await inbox.heard.get()
            if isinstance(heard, OSError):
                raise heard
            answer = dns_wire.answer(heard, self.number, self.probe.name, self.probe.type)
            if answer is not None:
                return answer

    def _judged(self, answer: dns_wire.Answer) -> tuple[ProbeFault | None, str]:
        where = join_address(*self.server)
        if answer.code not in _NOT_FOUND:
            return ProbeFault.NAME_SERVER_FAILED, f"{where} answers {answer.code}"
        missing = [one for one in self.probe.expect if one not in answer.told]
        if answer.records and missing:
            return self._without(answer, missing)
        if answer.records or (answer.truncated and answer.code == "NOERROR"):
            return None, f"{where} has {answer.records} {self.probe.type} records of {self.probe.name}"
        if answer.code == "NXDOMAIN":
            return ProbeFault.NAME_NOT_FOUND, f"{where} answers NXDOMAIN: there is no {self.probe.name}"
        return ProbeFault.NAME_NOT_FOUND, f"{where} has no {self.probe.type} record of {self.probe.name}"

    def _without(self, answer: dns_wire.Answer, missing: list[str]) -> tuple[ProbeFault, str]:
        where, words = join_address(*self.server), ", ".join(missing)
        if answer.truncated:
            return ProbeFault.NOT_MEASURED, f"{where} has more records than fit; {words} may be among them"
        told = ", ".join(answer.told[:_SHOWN]) or "what cannot be read"
        return ProbeFault.WRONG_RECORDS, f"{where} has {told} for {self.probe.name}, and not {words}"

    def close(self) -> None:
        for inbox in self._inboxes.values():
            inbox.close()


class _Inbox(asyncio.DatagramProtocol):
    """What comes back from one server."""

    def __init__(self) -> None:
        self.heard: asyncio.Queue[bytes | OSError] = asyncio.Queue(maxsize=64)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own transport is one by its methods only.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: object) -> None:
        self._hear(data)

    def error_received(self, exception: Exception) -> None:
        if isinstance(exception, OSError):
            self._hear(exception)

    def send(self, question: bytes) -> None:
        assert self._transport is not None
        self._transport.sendto(question)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _hear(self, heard: bytes | OSError) -> None:
        # Whoever floods us is not listened to.
        with contextlib.suppress(asyncio.QueueFull):
            self.heard.put_nowait(heard)
