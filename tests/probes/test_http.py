"""HTTP probes against servers that answer, lie, hang, reset, flood and send us away."""

from __future__ import annotations

import asyncio
import gzip
import resource
import ssl
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sidecar.edges.probes.certificate import end_of
from sidecar.edges.probes.prober import Prober
from sidecar.model.probe import HttpProbe, ProbeFault, ProbeResult, Redirects
from tests.probes.servers import (
    Handler,
    answering,
    certificate,
    closing,
    flooding,
    greeting,
    resetting,
    saying,
    serving,
    silent,
    unused_port,
)


async def ask(prober: Prober, port: int, seconds: float = 5.0, **facts: object) -> ProbeResult:
    probe = HttpProbe(f"http://127.0.0.1:{port}/health", **facts)  # type: ignore[arg-type]
    return await prober.probe(probe, seconds, {})


@pytest.mark.parametrize(
    ("handler", "facts", "fault", "fact"),
    [
        (answering(b"ok"), {}, None, "status 200 OK"),
        (answering(b"ok", "503 Service Unavailable"), {}, ProbeFault.BAD_STATUS, "status 503"),
        (answering(b"ok", "503 Service Unavailable"), {"status": (503,)}, None, "status 503"),
        (answering(b"", "204 No Content"), {"status": (200,)}, ProbeFault.BAD_STATUS, "status 204"),
        (answering(b'{"state": "ok"}'), {"match": r'"state": "ok"'}, None, "bytes read"),
        (answering(b'{"state":  "ok"}'), {"match": r'"state":\s*"ok"'}, None, "bytes read"),
        (answering(b"failed"), {"match": "ok"}, ProbeFault.BODY_MISMATCH, "not in the 6 bytes"),
        (answering(b"failed"), {"match": "o+k"}, ProbeFault.BODY_MISMATCH, "not in the 6 bytes"),
        (answering(b"all ok"), {"no_match": "error"}, None, "'error' is not in the 6 bytes read"),
        (
            answering(b"error 7"),
            {"match": "7", "no_match": "error"},
            ProbeFault.BODY_MISMATCH,
            "'error' is in",
        ),
        (answering(b"ok"), {"slower": 5.0}, None, "status 200 OK"),
        (answering(b"\x1f\x8b" + b"x" * 100, "200 OK", "Content-Encoding: gzip"), {}, None, "status 200"),
        (saying("HTTP/1.1 200 OK\nContent-Length: -5"), {}, ProbeFault.BAD_ANSWER, "no answer of HTTP"),
        (saying("SSH-2.0-OpenSSH_9.2"), {}, ProbeFault.BAD_ANSWER, "no answer of HTTP"),
        (saying("HTTP/1.1 200 OK\nContent-Length: many"), {}, ProbeFault.BAD_ANSWER, "no answer of HTTP"),
        (saying("HTTP/1.1 200 OK\nContent-Length: 9", b"short"), {}, ProbeFault.RESET, "closed before"),
        (closing, {}, ProbeFault.RESET, "closed before"),
        (resetting, {}, ProbeFault.RESET, "reset"),
    ],
)
async def test_answers(
    prober: Prober, handler: Handler, facts: dict[str, object], fault: ProbeFault | None, fact: str
) -> None:
    async with serving(handler) as port:
        result = await ask(prober, port, **facts)
    assert (result.fault, fact in result.fact) == (fault, True), result
    assert result.took < 5.0


async def test_nobody_listens(prober: Prober) -> None:
    port = unused_port()
    result = await ask(prober, port)
    assert (result.fault, result.fact) == (ProbeFault.REFUSED, f"127.0.0.1:{port}: connection refused")


@pytest.mark.parametrize("handler", [silent, saying("HTTP/1.1 200 OK\nContent-Length: 9", b"x", hold=True)])
async def test_connected_and_then_silence(prober: Prober, handler: Handler) -> None:
    async with serving(handler) as port:
        result = await ask(prober, port, 0.2)
    assert (result.fault, result.resent) == (ProbeFault.NO_ANSWER, 0)
    assert 0.2 <= result.took < 2.0


async def test_no_handshake_is_silence_too(prober: Prober) -> None:
    async with serving(silent) as port:
        result = await prober.probe(HttpProbe(f"https://127.0.0.1:{port}/"), 0.2, {})
    assert result.fault is ProbeFault.NO_ANSWER


async def test_a_flood_is_not_read(prober: Prober) -> None:
    async with serving(flooding(0.0)) as port:
        result = await ask(prober, port, match="y")
    assert result.fact == "status 200 OK; 'y' is not in the 65536 bytes read"
    assert result.took < 2.0


async def test_a_trickle_is_cut_off(prober: Prober) -> None:
    async with serving(flooding(0.01)) as port:
        result = await ask(prober, port, 0.3)
    assert result.fault is ProbeFault.NO_ANSWER
    assert result.took < 2.0


async def test_an_expression_that_never_ends(prober: Prober) -> None:
    """The search runs elsewhere: the loop stays free meanwhile."""
    async with serving(answering(b"a" * 60 + b"!")) as port:
        turns = 0
        task = asyncio.create_task(ask(prober, port, 0.5, match="(a+)+$"))
        while not task.done():
            await asyncio.sleep(0.01)
            turns += 1
    assert task.result().fault in (ProbeFault.BODY_MISMATCH, ProbeFault.NO_ANSWER)
    assert turns > 10


async def test_elsewhere_is_not_followed(prober: Prober) -> None:
    async with serving(answering(b"secret")) as other:
        away = answering(b"", "302 Found", f"Location: http://127.0.0.1:{other}/?token=hunter2")
        async with serving(away) as port:
            held = await ask(prober, port)
            never = await ask(prober, port, redirects=Redirects.NEVER)
            followed = await ask(prober, port, redirects=Redirects.ANYWHERE, match="secret")
    assert (held.fault, followed.fault) == (ProbeFault.BAD_STATUS, None)
    assert held == held.__class__(held.fault, held.took, never.fact)
    assert held.fact.startswith("status 302 Found, to http://127.0.0.1:")
    assert "hunter2" not in held.fact


async def test_a_loop_of_redirects_ends(prober: Prober) -> None:
    async with serving(answering(b"", "301 Moved", "Location: /health")) as port:
        result = await ask(prober, port)
        never = await ask(prober, port, redirects=Redirects.NEVER)
    assert (result.fault, result.fact) == (ProbeFault.BAD_STATUS, "redirected more than 5 times")
    assert never.fact == "status 301 Moved, to /health"


async def test_a_wrong_certificate(prober: Prober, tmp_path: Path) -> None:
    async with serving(answering(b"ok"), certificate(tmp_path)) as port:
        probe = HttpProbe(f"https://localhost:{port}/")
        strict = await prober.probe(probe, 5.0, {})
        lax = await prober.probe(HttpProbe(probe.url, verify=False), 5.0, {})
    assert strict.fault is ProbeFault.TLS_FAULT
    assert "certificate" in strict.fact
    assert lax.fault is None


async def test_no_tls_where_it_is_wanted(prober: Prober) -> None:
    async with serving(greeting) as port:
        result = await prober.probe(HttpProbe(f"https://127.0.0.1:{port}/"), 5.0, {})
    assert result.fault is ProbeFault.TLS_FAULT


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://db/", "db:80"),
        ("https://db/", "db:443"),
        ("http://db:8080/x", "db:8080"),
        ("http://[::1]:8080/x", "[::1]:8080"),
    ],
)
def test_what_it_depends_on(url: str, address: str) -> None:
    assert HttpProbe(url).address == address


async def test_an_answer_that_comes_too_late(prober: Prober) -> None:
    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.1)
        await answering(b"ok")(reader, writer)

    async with serving(slow) as port:
        result = await ask(prober, port, slower=0.1)
    assert result.fault is ProbeFault.SLOW
    assert result.fact.startswith("status 200 OK after 0.")
    assert result.fact.endswith(" s; the limit is 0.1 s")


async def test_an_archive_that_would_grow_is_not_unpacked(prober: Prober) -> None:
    """A megabyte of nothing in a kilobyte, again and again."""
    bomb = gzip.compress(b"0" * 50_000_000)
    headers = ("Content-Encoding: gzip", "Content-Type: text/plain")
    async with serving(answering(bomb, "200 OK", *headers)) as port:
        result = await ask(prober, port, match="0{100}")
    assert (result.fault, result.took < 2.0) == (ProbeFault.BODY_MISMATCH, True)


async def test_two_gigabytes_take_no_memory(prober: Prober) -> None:
    """Measured after the first one, which has loaded what it needs."""
    peaks = []
    async with serving(flooding(0.0)) as port:
        for _ in range(4):
            await ask(prober, port, match="y")
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    # Kilobytes; the server of this test lives in the same process, and holds what was not taken.
    assert peaks[-1] - peaks[0] < 8_000


@pytest.mark.parametrize(
    ("name", "days", "fault", "fact"),
    [
        ("localhost", 2, None, "status 200 OK"),
        ("localhost", -1, ProbeFault.TLS_FAULT, "expired"),
        ("elsewhere.example", 2, ProbeFault.TLS_FAULT, "not valid for 'localhost'"),
    ],
)
async def test_certificates_of_somebody_who_is_trusted(
    prober: Prober, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, days: int,
    fault: ProbeFault | None, fact: str,
) -> None:  # fmt: skip
    context = certificate(tmp_path, name, days)
    trusting = ssl.create_default_context(cafile=tmp_path / "cert.pem")
    monkeypatch.setattr("aiohttp.connector._SSL_CONTEXT_VERIFIED", trusting)
    async with serving(answering(b"ok"), context) as port:
        result = await prober.probe(HttpProbe(f"https://localhost:{port}/"), 5.0, {})
    assert (result.fault, fact in result.fact) == (fault, True), result


@pytest.mark.parametrize("handler", [answering(b"ok"), answering(b"", "204 No Content")])
@pytest.mark.parametrize(
    ("days", "wanted", "fault", "fact"),
    [
        (20, 14, None, "the certificate expires in 20.0 d"),
        (2, 14, ProbeFault.EXPIRES_SOON, "the certificate expires in 2.0 d; it has to be valid for 14.0 d"),
        (-1, 14, ProbeFault.EXPIRES_SOON, "the certificate has expired; it has to be valid for 14.0 d"),
    ],
)
async def test_a_certificate_that_nobody_has_signed_expires_too(
    prober: Prober,
    tmp_path: Path,
    handler: Handler,
    days: int,
    wanted: int,
    fault: ProbeFault | None,
    fact: str,
) -> None:
    async with serving(handler, certificate(tmp_path, days=days)) as port:
        probe = HttpProbe(f"https://localhost:{port}/", verify=False, expires=wanted * 86_400.0)
        result = await prober.probe(probe, 5.0, {})
    assert (result.fault, result.fact.endswith(fact)) == (fault, True), result


@given(st.binary(max_size=80))
def test_any_bytes_are_a_certificate_or_none(data: bytes) -> None:
    assert end_of(data) is None
    assert end_of(b"\x30\x82" + len(data).to_bytes(2) + data) is None
