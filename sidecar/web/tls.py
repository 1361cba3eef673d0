"""The TLS side of the listener: a context out of settings, and which client certificates may pass."""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sidecar.model.access import ClientAuth, TlsSettings, TlsVersion, WebSettings

_VERSIONS = {TlsVersion.TLS12: ssl.TLSVersion.TLSv1_2, TlsVersion.TLS13: ssl.TLSVersion.TLSv1_3}
_CERTIFICATES = {
    ClientAuth.NONE: ssl.CERT_NONE,
    ClientAuth.IF_GIVEN: ssl.CERT_OPTIONAL,
    ClientAuth.REQUIRED: ssl.CERT_REQUIRED,
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """A web-config file as it was read."""

    settings: WebSettings
    context: ssl.SSLContext | None = None
    """For new connections; None without TLS."""


class Unusable(Exception):
    """One sentence about one key of ``tls_server_config``."""

    def __init__(self, key: str, sentence: str) -> None:
        super().__init__(sentence)
        self.key = key


def server_context(settings: TlsSettings) -> ssl.SSLContext:
    """A context for new connections. Reads the files that the settings name.

    Raises:
        Unusable: a file, a cipher or a curve cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[settings.min_version]
    context.maximum_version = _VERSIONS[settings.max_version]
    context.verify_mode = _CERTIFICATES[settings.client_auth]
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    if not settings.server_chooses:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    for key, path in (("cert_file", settings.cert_file), ("key_file", settings.key_file)):
        _see(key, path)
    try:
        # Without the answer to a question for a passphrase OpenSSL would ask the terminal.
        context.load_cert_chain(settings.cert_file, settings.key_file, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        raise Unusable("cert_file", f"the certificate and its key cannot be used: {_said(error)}") from error
    if settings.client_ca_file:
        _see("client_ca_file", settings.client_ca_file)
        try:
            context.load_verify_locations(settings.client_ca_file)
        except (ssl.SSLError, OSError) as error:
            raise Unusable("client_ca_file", f"holds no certificates: {_said(error)}") from error
    _choose(context, settings)
    return context


def allowed(certificate: Mapping[str, Any] | None, names: Collection[str]) -> bool:
    """Whether a client's certificate has one of these names; every one if there are none."""
    return not names or any(name in names for name in _names(certificate or {}))


def _choose(context: ssl.SSLContext, settings: TlsSettings) -> None:
    if settings.ciphers:
        try:
            context.set_ciphers(":".join(settings.ciphers))
        except ssl.SSLError as error:
            raise Unusable("cipher_suites", "this OpenSSL has none of them") from error
    if settings.curve:
        try:
            context.set_ecdh_curve(settings.curve)
        except (ssl.SSLError, ValueError) as error:
            raise Unusable("curve_preferences", f"this OpenSSL does not know {settings.curve}") from error


def _names(certificate: Mapping[str, Any]) -> Iterator[str]:
    for _, name in certificate.get("subjectAltName", ()):
        try:
            yield str(ipaddress.ip_address(name.strip()))
        except ValueError:
            yield name


def _see(key: str, path: str) -> None:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise Unusable(key, f"{path} cannot be read: {error.strerror}") from error


def _said(error: Exception) -> str:
    reason = getattr(error, "reason", None)
    return str(reason or error).lower().replace("_", " ")
