"""Connections that are encrypted, and those that are not let in before they say a word."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from aiohttp import web

from sidecar.model.access import ClientAuth, TlsSettings, TlsVersion
from sidecar.web.doorman import Doorman, TlsRules
from sidecar.web.tls import Unusable, allowed, server_context
from tests.certificates import Certificates


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    made = Certificates(tmp_path_factory.mktemp("certificates"))
    for name, alternative in (
        ("server", "IP:127.0.0.1,DNS:localhost"),
        ("renewed", "IP:127.0.0.1,DNS:localhost"),
        ("prometheus", "DNS:prometheus.example.org,IP:::1,URI:spiffe://here/prometheus"),
    ):
        made.make(name, alternative)
    return made


@pytest.fixture
def settings(certificates: Certificates) -> TlsSettings:
    folder = certificates.folder
    return TlsSettings(str(folder / "server.crt"), str(folder / "server.key"))


def trusting(certificates: Certificates, client: str = "") -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates.authority))
    if client:
        context.load_cert_chain(certificates.folder / f"{client}.crt", certificates.folder / f"{client}.key")
    return context


@asynccontextmanager
async def served(rules: Callable[[], TlsRules | None], counted: list[str]) -> AsyncIterator[int]:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text=request.scheme)

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    assert runner.server is not None
    doorman = Doorman(runner.server, 8, rules, counted.append)
    server = await asyncio.get_running_loop().create_server(doorman, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        await runner.cleanup()
    assert len(doorman) == 0


async def ask(port: int, context: ssl.SSLContext | None) -> tuple[bytes, bytes]:
    """The answer, and the server's certificate."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answer = await reader.read()
        shown = writer.get_extra_info("ssl_object")
        return answer, shown.getpeercert(True) if shown else b""
    finally:
        writer.close()
        with suppress(ssl.SSLError, ConnectionError):
            await writer.wait_closed()


async def test_requests_are_answered_and_a_renewed_certificate_is_shown(
    certificates: Certificates, settings: TlsSettings
) -> None:
    counted: list[str] = []
    inforce = [TlsRules(server_context(settings))]
    async with served(lambda: inforce[0], counted) as port:
        answer, first = await ask(port, trusting(certificates))
        assert answer.endswith(b"https")
        folder = certificates.folder
        renewed = replace(
            settings, cert_file=str(folder / "renewed.crt"), key_file=str(folder / "renewed.key")
        )
        inforce[0] = TlsRules(server_context(renewed))
        answer, second = await ask(port, trusting(certificates))
        assert answer.endswith(b"https")
        assert first != second
    assert counted == ["accepted", "accepted"]


async def test_whoever_speaks_no_tls_is_cut_off(settings: TlsSettings) -> None:
    counted: list[str] = []
    async with served(lambda: TlsRules(server_context(settings)), counted) as port:
        with suppress(ConnectionError):
            assert (await ask(port, None))[0] == b""
    assert counted == ["accepted", "handshake_failed"]


@pytest.mark.parametrize(
    ("client", "names", "let_in"),
    [
        ("prometheus", (), True),
        ("prometheus", ("prometheus.example.org",), True),
        ("prometheus", ("::1", "x"), True),
        ("prometheus", ("spiffe://here/prometheus",), True),
        ("prometheus", ("alertmanager.example.org",), False),
        ("server", ("prometheus.example.org",), False),
        ("", (), False),
    ],
)
async def test_only_the_right_certificates_open(
    certificates: Certificates, settings: TlsSettings, client: str, names: tuple[str, ...], let_in: bool
) -> None:
    counted: list[str] = []
    strict = replace(settings, client_auth=ClientAuth.REQUIRED, client_ca_file=str(certificates.authority))
    async with served(lambda: TlsRules(server_context(strict), names), counted) as port:
        try:
            answer, _ = await ask(port, trusting(certificates, client))
        except (ssl.SSLError, ConnectionError):
            answer = b""
        assert answer.endswith(b"https") is let_in
    assert ("handshake_failed" in counted) is not let_in


async def test_an_older_version_is_not_spoken(certificates: Certificates, settings: TlsSettings) -> None:
    newest = replace(settings, min_version=TlsVersion.TLS13)
    async with served(lambda: TlsRules(server_context(newest)), []) as port:
        old = trusting(certificates)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(port, old)
        assert (await ask(port, trusting(certificates)))[0]


async def test_only_the_named_ciphers_and_the_named_curve_are_spoken(
    certificates: Certificates, settings: TlsSettings
) -> None:
    chosen = replace(
        settings, ciphers=("ECDHE-ECDSA-AES256-GCM-SHA384",), curve="secp384r1", server_chooses=False,
        max_version=TlsVersion.TLS12,
    )  # fmt: skip
    async with served(lambda: TlsRules(server_context(chosen)), []) as port:
        other = trusting(certificates)
        other.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await ask(port, other)
        assert (await ask(port, trusting(certificates)))[0]


@pytest.mark.parametrize(
    ("changed", "key", "words"),
    [
        ({"cert_file": "/no/such.crt"}, "cert_file", "cannot be read: No such file"),
        ({"key_file": "/no/such.key"}, "key_file", "cannot be read: No such file"),
        ({"key_file": "ca.key"}, "cert_file", "key values mismatch"),
        ({"cert_file": "garbage"}, "cert_file", "cannot be used"),
        ({"client_ca_file": "garbage"}, "client_ca_file", "holds no certificates"),
        ({"client_ca_file": "/no/such"}, "client_ca_file", "cannot be read"),
        ({"ciphers": ("NO-SUCH",)}, "cipher_suites", "none of them"),
        ({"curve": "no such"}, "curve_preferences", "does not know no such"),
    ],
)
def test_what_cannot_be_used_is_named(
    certificates: Certificates, settings: TlsSettings, changed: dict[str, str], key: str, words: str
) -> None:
    (certificates.folder / "garbage").write_text("garbage\n")
    full = {
        name: str(certificates.folder / value) if name.endswith("_file") else value
        for name, value in changed.items()
    }
    with pytest.raises(Unusable, match=words) as unusable:
        server_context(replace(settings, **full))
    assert unusable.value.key == key


def test_a_key_with_a_passphrase_is_refused_and_nobody_is_asked(
    certificates: Certificates, settings: TlsSettings
) -> None:
    certificates._openssl(
        "ec", "-in", "server.key", "-aes128", "-passout", "pass:secret", "-out", "locked.key"
    )
    with pytest.raises(Unusable, match="cannot be used"):
        server_context(replace(settings, key_file=str(certificates.folder / "locked.key")))


def test_names_are_compared_whole() -> None:
    shown = {"subjectAltName": (("DNS", "a.example.org"), ("IP Address", "0:0:0:0:0:0:0:1"))}
    assert allowed(shown, {"::1"})
    assert allowed(None, ())
    assert not allowed(None, {"a"})
    assert not allowed(shown, {"example.org"})
