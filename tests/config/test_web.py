"""A web-config file: what it may say, and the sentence for everything else."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar import config_web
from sidecar.config import HttpSettings
from sidecar.errors import ConfigInvalid, Permanent
from sidecar.model.access import ClientAuth, TlsVersion, WebSettings
from tests.certificates import Certificates

HASH = "$2y$10$mDwo.lAisC94iLAyP81MCesa29IzH37oigHC/42V2pdJlUprsJPze"
TLS = "tls_server_config: {cert_file: server.crt, key_file: server.key"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    certificates = Certificates(tmp_path_factory.mktemp("web"))
    certificates.make("server")
    return certificates.folder


def load(folder: Path, content: str) -> config_web.Loaded:
    (folder / "web.yml").write_text(content)
    return config_web.load(folder / "web.yml")


def test_everything_that_it_may_say(folder: Path) -> None:
    loaded = load(
        folder,
        f"""
tls_server_config:
  cert_file: server.crt
  key_file: {folder}/server.key
  client_auth_type: RequireAndVerifyClientCert
  client_ca_file: ca.crt
  client_allowed_sans: [prometheus.example.org]
  min_version: TLS12
  max_version: TLS13
  cipher_suites: [TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]
  prefer_server_cipher_suites: false
  curve_preferences: [X25519]
http_server_config:
  http2: false
  headers: {{X-Frame-Options: deny, Strict-Transport-Security: max-age=31536000}}
basic_auth_users:
  alice: {HASH}
""",
    )
    tls = loaded.settings.tls
    assert tls is not None
    assert tls.files == tuple(str(folder / name) for name in ("server.crt", "server.key", "ca.crt"))
    assert (tls.client_auth, tls.min_version) == (ClientAuth.REQUIRED, TlsVersion.TLS12)
    assert (tls.ciphers, tls.curve) == (("ECDHE-ECDSA-AES128-GCM-SHA256",), "X25519")
    assert loaded.settings.headers["X-Frame-Options"] == "deny"
    assert loaded.settings.users == {"alice": HASH}
    assert HASH not in repr(loaded)
    assert loaded.context is not None
    assert loaded.settings.knows_clients


@pytest.mark.parametrize("content", ["", "# nothing\n", "null", "basic_auth_users:\n"])
def test_it_may_say_nothing(folder: Path, content: str) -> None:
    loaded = load(folder, content)
    assert (loaded.settings, loaded.context) == (WebSettings(), None)
    assert not loaded.settings.knows_clients


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ("tls_config: {}", "1: tls_config: 'tls_config' is an unknown key"),
        ("- a", "1: has to be a mapping"),
        ("a: [", "is not YAML"),
        ("tls_server_config: {cert_file: server.crt}", "1: tls_server_config: needs the key `key_file`"),
        (
            "tls_server_config:\n  cert_file: none.crt\n  key_file: server.key",
            "2: tls_server_config.cert_file",
        ),
        ("tls_server_config:\n  cert_file: server.crt\n  key_file: ca.key", "the certificate and its key"),
        (f"{TLS}, key: x}}", "tls_server_config.key: is not taken from this file"),
        (f"{TLS}, client_auth_type: RequireAnyClientCert}}", "would take any certificate"),
        (f"{TLS}, client_auth_type: Perhaps}}", "'Perhaps' is an unknown client_auth_type"),
        (f"{TLS}, client_auth_type: RequireAndVerifyClientCert}}", "no `client_ca_file` to verify by"),
        (f"{TLS}, client_ca_file: ca.crt}}", "no certificate is ever asked for"),
        (f"{TLS}, client_allowed_sans: [a]}}", "`client_allowed_sans` needs"),
        (f"{TLS}, min_version: TLS10}}", "TLS10 is broken"),
        (f"{TLS}, min_version: SSL3}}", "'SSL3' is an unknown TLS version"),
        (f"{TLS}, min_version: TLS13, max_version: TLS12}}", "above its max_version"),
        (f"{TLS}, cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}}", "is an unknown cipher"),
        (f"{TLS}, cipher_suites: [TLS_AES_128_GCM_SHA256]}}", "none for TLS 1.2"),
        (f"{TLS}, curve_preferences: [X25519, CurveP256]}}", "only one can be preferred"),
        (f"{TLS}, curve_preferences: [P-256]}}", "'P-256' is an unknown curve"),
        ("http_server_config: {http2: true}", "http_server_config.http2: is not spoken here"),
        ("http_server_config: {headers: {X-Frame-Options: maybe}}", "may be deny or sameorigin"),
        ("http_server_config: {headers: {Set-Cookie: a}}", "'Set-Cookie' is an unknown key"),
        ('http_server_config: {headers: {X-XSS-Protection: "a\\r\\nb"}}', "cannot be printed"),
        ("rate_limit: {burst: 1}", "rate_limit: is not done here"),
        ("basic_auth_users: {alice: secret}", "basic_auth_users.alice: is no bcrypt hash"),
        (f"basic_auth_users: {{alice: '{HASH.replace('$10$', '$31$')}'}}", "has the cost 31"),
        (f"basic_auth_users: {{'a:b': '{HASH}'}}", "a user's name is not empty and has no colon"),
        (f"basic_auth_users: {{alice: '{HASH}', alice: '{HASH}'}}", "is given twice"),
    ],
)
def test_every_fault_has_its_sentence_and_tells_no_secret(folder: Path, content: str, fault: str) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load(folder, content)
    assert fault in str(caught.value.faults[0])
    assert "$2y" not in str(caught.value)


def test_all_faults_are_named_in_the_order_of_their_lines(folder: Path) -> None:
    with pytest.raises(ConfigInvalid) as caught:
        load(folder, "rate_limit: {}\nbasic_auth_users:\n  a: b\nhttp_server_config: {http2: yes}\n")
    assert [fault.line for fault in caught.value.faults] == [1, 3, 4]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="No such file"):
        config_web.load(tmp_path / "none.yml")


@pytest.mark.parametrize("listen", ["0.0.0.0:1", "[::]:1", "192.0.2.1:1", "example.org:1"])
@pytest.mark.parametrize(
    ("content", "lacks"),
    [
        (None, "no web-config file says who may ask"),
        ("", "has neither users nor"),
        (f"{TLS}}}", "has neither users nor"),
        (
            f"{TLS}, client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.crt}}",
            "has neither users nor",
        ),
        (f"{TLS}, client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.crt}}", ""),
        (f"basic_auth_users: {{alice: '{HASH}'}}", ""),
    ],
)
def test_others_have_to_show_who_they_are(folder: Path, listen: str, content: str | None, lacks: str) -> None:
    if content is not None:
        (folder / "web.yml").write_text(content)
    file = None if content is None else str(folder / "web.yml")
    private = HttpSettings(listen=("127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/x"), web_config_file=file)
    config_web.load_for(private)
    http = HttpSettings(listen=("127.0.0.1:1", listen), web_config_file=file)
    if not lacks:
        config_web.load_for(http)
        return
    with pytest.raises(Permanent, match=lacks) as refused:
        config_web.load_for(http)
    assert "127.0.0.1" in refused.value.hint
