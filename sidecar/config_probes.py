"""Probes from YAML: what is asked of whom, each by itself. Rules and checks say when, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import yaml

from sidecar import config_units as units
from sidecar.config_fields import (
    Place,
    Reader,
    Wrong,
    duration,
    kind_of,
    list_of,
    one_of,
    read_as,
    regex,
    switch,
    text,
    whole,
)
from sidecar.config_probe_form import Form, tell_texts
from sidecar.config_probes_file import FILES
from sidecar.config_probes_machine import MACHINE
from sidecar.config_probes_process import PROCESSES
from sidecar.config_probes_tended import TENDED
from sidecar.model.probe import (
    CommandProbe,
    DnsProbe,
    HttpProbe,
    ProbeKind,
    RecordType,
    Redirects,
    TcpProbe,
    is_name,
    split_address,
)


def _url(word: str) -> str:
    try:
        parts = urlsplit(word)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{word!r} is no URL: {error}") from error
    if parts.scheme not in ("http", "https") or "://" not in word:
        raise ValueError(f"{word!r} has to begin with http:// or https://")
    if not parts.hostname or port == 0:
        raise ValueError(f"{word!r} names no host" if not parts.hostname else f"{word!r} has the port 0")
    if "@" in parts.netloc:
        raise ValueError("a URL with a user or a password is refused: it would be shown in many places")
    return word


def _address(word: str) -> TcpProbe:
    host, port = split_address(units.address(word), 0)
    if port == 0:
        raise ValueError(f"{word!r} has the port 0, where nothing can listen")
    return TcpProbe(host, port)


def _dns_name(word: str) -> str:
    if not is_name(word):
        raise ValueError(f"{word!r} is no name that a name server could know")
    return word


def _server(word: str) -> str:
    try:
        host, port = split_address(word, 53)
        ip_address(host)
    except ValueError:
        raise ValueError(
            f"{word!r} is no server; write its IP address, as 9.9.9.9, 9.9.9.9:5353 or [2620:fe::fe]:53"
        ) from None
    if not 0 < port <= 65_535:
        raise ValueError(f"the port is {port}; ports are 1 to 65535")
    return word


def argv(place: Place) -> tuple[str, ...]:
    """The arguments of a program that is run without a shell."""
    if not isinstance(place.node, yaml.SequenceNode):
        raise Wrong(f"has to be a list of arguments, as [pg_isready, -q], and is {kind_of(place.node)}")
    found = list_of(text)(place)
    if not place.node.value:
        raise Wrong("is empty, so there is nothing to run")
    if found and "/" in found[0] and not found[0].startswith("/"):
        raise Wrong(f"{found[0]!r} is neither a full path nor a plain name; it is run in the folder /")
    return found


def _statuses(place: Place) -> tuple[int, ...]:
    found = list_of(whole(100, 599))(place)
    if not isinstance(place.node, yaml.SequenceNode) or not place.node.value:
        raise Wrong("is empty, so no status would be right")
    return found


def _exits(place: Place) -> tuple[int, ...]:
    status = whole(0, 255)
    if isinstance(place.node, yaml.ScalarNode):
        return (status(place),)
    found = list_of(status)(place)
    if not place.node.value:
        raise Wrong("is empty, so no status would be right")
    return found


def _http(**values: Any) -> HttpProbe:
    probe = HttpProbe(**values)
    if probe.expires is not None and not probe.url.startswith("https:"):
        raise Wrong("expires is about a certificate, and the url has none: it would never count")
    tell_texts(probe)
    return probe


def _command(**values: Any) -> CommandProbe:
    probe = CommandProbe(**values)
    if bool(probe.argv) is bool(probe.shell):
        raise Wrong("needs either argv, a list of arguments, or shell, a line for /bin/sh")
    tell_texts(probe)
    return probe


def _dns(expect: tuple[str, ...] = (), **values: Any) -> DnsProbe:
    probe = DnsProbe(**values)
    try:
        return replace(probe, expect=tuple(_expected(word, probe.type) for word in expect))
    except ValueError as error:
        raise Wrong(f"expect: {error}") from error


def _expected(word: str, kind: RecordType) -> str:
    """As the answer has it."""
    if kind is RecordType.TXT:
        return word
    if kind not in (RecordType.A, RecordType.AAAA):
        return _dns_name(word).removesuffix(".").lower()
    address = ip_address(word)
    if address.version != (4 if kind is RecordType.A else 6):
        raise ValueError(f"{word!r} can be in no {kind} record")
    return str(address)


_HTTP: Mapping[str, Reader[Any]] = {
    "url": read_as(_url),
    "status": _statuses,
    "match": regex,
    "redirects": one_of(Redirects, "way to follow redirects"),
    "verify": switch,
    "no_match": regex,
    "slower": duration("1ms", "10m"),
    "expires": duration("1h", "3650d"),
}
_DNS: Mapping[str, Reader[Any]] = {
    "name": read_as(_dns_name),
    "server": read_as(_server),
    "type": one_of(RecordType, "record type"),
    "expect": list_of(text),
}
_COMMAND: Mapping[str, Reader[Any]] = {
    "argv": argv,
    "shell": text,
    "status": _exits,
    "match": regex,
    "no_match": regex,
}
PROBES: Mapping[ProbeKind, Form] = {
    ProbeKind.COMMAND: Form(CommandProbe, _COMMAND, "argv", build=_command),
    ProbeKind.HTTP: Form(HttpProbe, _HTTP, "url", required=("url",), build=_http),
    ProbeKind.TCP: Form(TcpProbe, {}, read=read_as(_address)),
    ProbeKind.DNS: Form(DnsProbe, _DNS, "name", required=("name",), build=_dns),
    **MACHINE,
    **PROCESSES,
    **FILES,
    **TENDED,
}
"""By kind, which is also the key in the file."""
