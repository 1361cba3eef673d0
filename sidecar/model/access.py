"""Who may ask for what: scopes, tokens as they are stored, and what a web-config file can say."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType


class Scope(StrEnum):
    """How far somebody may go: the word on the command line, in token files and in the audit trail."""

    ALERTS = "alerts"
    """May deliver alerts, and do nothing else."""
    READ = "read"
    """May look at everything, and change nothing."""
    ADMIN = "admin"
    """May do everything."""

    def covers(self, wanted: Scope) -> bool:
        """Whether whoever has this scope may do what the other one allows."""
        return self is wanted or self is Scope.ADMIN


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who has shown who they are."""

    scope: Scope
    name: str
    """Of the token or the user; ``uid N`` for whoever comes through the socket file."""


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token as it is kept: what it was cannot be told from it."""

    name: str
    scope: Scope
    digest: str
    """SHA-256 of the token, in hexadecimal digits."""
    created: float
    """Wall seconds."""


class ClientAuth(StrEnum):
    """What is asked of a client's certificate, by Go's words for it."""

    NONE = "NoClientCert"
    IF_GIVEN = "VerifyClientCertIfGiven"
    REQUIRED = "RequireAndVerifyClientCert"


class TlsVersion(StrEnum):
    """The versions that are offered."""

    TLS12 = "TLS12"
    TLS13 = "TLS13"


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """``tls_server_config``, with full paths."""

    cert_file: str
    key_file: str
    client_auth: ClientAuth = ClientAuth.NONE
    client_ca_file: str = ""
    client_allowed_sans: frozenset[str] = frozenset()
    """A client's certificate has to have one of these names; empty allows all."""
    min_version: TlsVersion = TlsVersion.TLS12
    max_version: TlsVersion = TlsVersion.TLS13
    ciphers: tuple[str, ...] = ()
    """For TLS 1.2, by OpenSSL's names; empty leaves OpenSSL's own."""
    server_chooses: bool = True
    curve: str = ""
    """By OpenSSL's name; empty leaves OpenSSL's own."""

    @property
    def files(self) -> tuple[str, ...]:
        """The files that it rests on."""
        return tuple(filter(None, (self.cert_file, self.key_file, self.client_ca_file)))


@dataclass(frozen=True, slots=True)
class WebSettings:
    """A web-config file in the form of Prometheus's own family."""

    tls: TlsSettings | None = None
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    users: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    """bcrypt hashes by user name."""

    @property
    def knows_clients(self) -> bool:
        """Whether it lets only those in who have shown who they are."""
        return bool(self.users) or self.requires_certificate

    @property
    def requires_certificate(self) -> bool:
        return self.tls is not None and self.tls.client_auth is ClientAuth.REQUIRED


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a listener on it."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
