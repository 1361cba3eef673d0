"""A web-config file in the form of Prometheus's exporter-toolkit, with every fault and its line.

Nothing in it is ignored: what this service cannot do is refused with one sentence. Paths are relative to
the file. Its certificates are read too, so that a file which is good here can be served with.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sidecar.config import HttpSettings
from sidecar.config_fields import (
    Place,
    Reader,
    Report,
    Told,
    Wrong,
    entries,
    list_of,
    one_of,
    read_as,
    record,
    scalar,
    section,
    switch,
    table,
    text,
    unknown_word,
)
from sidecar.config_yaml import compose, read_text
from sidecar.errors import ConfigInvalid, Permanent
from sidecar.model.access import ClientAuth, TlsSettings, TlsVersion, WebSettings
from sidecar.web.tls import Loaded, Unusable, server_context

_BCRYPT = re.compile(r"\$2[aby]\$(?P<cost>[0-9]{2})\$[./A-Za-z0-9]{53}")
_COSTS = range(4, 16)
_UNVERIFIED = ("RequestClientCert", "RequireAnyClientCert", "RequireClientCert")
_OLD_VERSIONS = ("TLS10", "TLS11")
_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}
_ALWAYS_THERE = frozenset(
    {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"}
)
"""Those of TLS 1.3, which are not chosen, here as in Go."""
_CIPHERS = {
    f"TLS_ECDHE_{key}_WITH_{go}": f"ECDHE-{key}-{openssl}"
    for key in ("ECDSA", "RSA")
    for go, openssl in (
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
    )
}


def load(path: Path) -> Loaded:
    """Read a web-config file, and the certificates that it names. Blocks.

    Raises:
        ConfigInvalid: every fault.
    """
    root = compose(read_text(path), str(path))
    report = Report(str(path), root=root)
    loaded = Loaded(WebSettings())
    if root is not None and not (place := Place(root, "", report)).blank:
        try:
            loaded = _read(place, path.absolute().parent)
        except Wrong as wrong:
            place.fault(str(wrong))
        except Told:
            pass
    if report.faults:
        raise ConfigInvalid(sorted(report.faults, key=lambda fault: fault.line))
    return loaded


def load_for(http: HttpSettings) -> Loaded:
    """What the web-config file says that these settings name; nothing if they name none. Blocks.

    Raises:
        ConfigInvalid: every fault of the file.
        Permanent: others reach an address of ``listen``, and nobody would have to say who they are.
    """
    loaded = Loaded(WebSettings()) if http.web_config_file is None else load(Path(http.web_config_file))
    if http.in_the_open and not loaded.settings.knows_clients:
        lacks = "no web-config file says who may ask"
        if http.web_config_file is not None:
            lacks = f"{http.web_config_file} has neither users nor a client_auth_type that says"
        raise Permanent(
            f"others can reach {http.in_the_open[0]} (http.listen), and {lacks}",
            hint="Name users or client certificates in http.web_config_file, or listen on 127.0.0.1; "
            "docs/security.md has an example.",
        )
    return loaded


def _read(place: Place, folder: Path) -> Loaded:
    contexts: list[ssl.SSLContext] = []
    readers: Mapping[str, Reader[Any]] = {
        "tls_server_config": _tls_reader(folder, contexts),
        "http_server_config": record(_headers, _HTTP),
        "basic_auth_users": table(_user_name, read_as(_hash)),
        "rate_limit": _refused(
            "is not done here: alerts may never be turned away, and failures are throttled"
        ),
    }
    values = section(place, readers)
    settings = WebSettings(
        values.get("tls_server_config"),
        values.get("http_server_config", MappingProxyType({})),
        values.get("basic_auth_users", MappingProxyType({})),
    )
    return Loaded(settings, contexts[0] if contexts else None)


def _tls_reader(folder: Path, contexts: list[ssl.SSLContext]) -> Reader[TlsSettings]:
    def file(word: str) -> str:
        return str(folder / word)

    readers: Mapping[str, Reader[Any]] = {
        "cert_file": read_as(file),
        "key_file": read_as(file),
        "client_ca_file": read_as(file),
        "cert": _refused("is not taken from this file; put the certificate into one of its own, cert_file"),
        "key": _refused("is not taken from this file; put the key into one of its own, key_file"),
        "client_ca": _refused("is not taken from this file; put it into one of its own, client_ca_file"),
        "client_auth_type": _client_auth,
        "client_allowed_sans": list_of(text),
        "min_version": _version,
        "max_version": _version,
        "cipher_suites": list_of(read_as(_cipher)),
        "prefer_server_cipher_suites": switch,
        "curve_preferences": _curve,
    }

    def read(place: Place) -> TlsSettings:
        faults = len(place.report.faults)
        settings = _tls(section(place, readers, required=("cert_file", "key_file")))
        if len(place.report.faults) == faults:
            try:
                contexts.append(server_context(settings))
            except Unusable as unusable:
                where = {key: child for _, key, child in entries(place)}
                where.get(unusable.key, place).fault(str(unusable))
        return settings

    return read


def _tls(values: dict[str, Any]) -> TlsSettings:
    auth = values.get("client_auth_type", ClientAuth.NONE)
    ca = values.get("client_ca_file", "")
    names = frozenset(values.get("client_allowed_sans", ()))
    low, high = values.get("min_version", TlsVersion.TLS12), values.get("max_version", TlsVersion.TLS13)
    if ca and auth is ClientAuth.NONE:
        raise Wrong("has a `client_ca_file` and no `client_auth_type`, so no certificate is ever asked for")
    if auth is not ClientAuth.NONE and not ca:
        raise Wrong(f"has the client_auth_type {auth} and no `client_ca_file` to verify by")
    if names and auth is not ClientAuth.REQUIRED:
        raise Wrong(f"`client_allowed_sans` needs the client_auth_type {ClientAuth.REQUIRED}")
    if low > high:
        raise Wrong(f"has a min_version ({low}) above its max_version ({high})")
    named = values.get("cipher_suites", ())
    ciphers = tuple(_CIPHERS[name] for name in named if name not in _ALWAYS_THERE)
    if named and not ciphers and low is TlsVersion.TLS12:
        raise Wrong("`cipher_suites` has none for TLS 1.2; name one, or set min_version to TLS13")
    return TlsSettings(
        values["cert_file"], values["key_file"], auth, ca, names, low, high, ciphers,
        values.get("prefer_server_cipher_suites", True), values.get("curve_preferences", ""),
    )  # fmt: skip


def _refused(sentence: str) -> Reader[Any]:
    def read(place: Place) -> Any:
        raise Wrong(sentence)

    return read


def _client_auth(place: Place) -> ClientAuth:
    word = scalar(place, "a client_auth_type")
    if word in _UNVERIFIED:
        raise Wrong(f"{word} would take any certificate, also a made-up one; use {ClientAuth.REQUIRED}")
    return one_of(ClientAuth, "client_auth_type")(place)


def _version(place: Place) -> TlsVersion:
    word = scalar(place, "a TLS version")
    if word in _OLD_VERSIONS:
        raise Wrong(f"{word} is broken and is not offered; the oldest is {TlsVersion.TLS12}")
    return one_of(TlsVersion, "TLS version")(place)


def _cipher(word: str) -> str:
    if word not in _CIPHERS and word not in _ALWAYS_THERE:
        raise ValueError(unknown_word("cipher", word, (*_CIPHERS, *sorted(_ALWAYS_THERE))))
    return word


def _curve(place: Place) -> str:
    named = list_of(text)(place)
    if len(named) > 1:
        raise Wrong("has several curves; only one can be preferred here")
    for word in named:
        if word not in _CURVES:
            raise Wrong(unknown_word("curve", word, _CURVES))
    return _CURVES[named[0]] if named else ""


def _http2(place: Place) -> bool:
    if switch(place):
        raise Wrong("is not spoken here; leave it out, or set it to false")
    return False


def _only(*words: str) -> Reader[str]:
    def read(place: Place) -> str:
        word = text(place)
        if words and word.lower() not in words:
            raise Wrong(f"is {word!r}, and may be {' or '.join(words)}")
        return word

    return read


def _headers(http2: bool = False, headers: Mapping[str, str] = MappingProxyType({})) -> Mapping[str, str]:
    return MappingProxyType(dict(headers))


def _user_name(word: str) -> str:
    if not word or ":" in word or not word.isprintable():
        raise Wrong("a user's name is not empty and has no colon and no control characters")
    return word


def _hash(word: str) -> str:
    match = _BCRYPT.fullmatch(word)
    if match is None:
        raise ValueError("is no bcrypt hash; `htpasswd -nBC 10 NAME` makes one")
    if int(match["cost"]) not in _COSTS:
        raise ValueError(f"has the cost {match['cost']}; from 4 to 15 are taken, and 10 is usual")
    return word


_HEADERS: Mapping[str, Reader[Any]] = {
    "Content-Security-Policy": text,
    "X-Frame-Options": _only("deny", "sameorigin"),
    "X-Content-Type-Options": _only("nosniff"),
    "X-XSS-Protection": text,
    "Strict-Transport-Security": text,
}
_HTTP: Mapping[str, Reader[Any]] = {"http2": _http2, "headers": record(dict, _HEADERS)}
