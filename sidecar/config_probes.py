"""Probes from YAML: what is asked of whom, each by itself. Rules and checks say when, and what follows."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import yaml

from sidecar import config_units as units
from sidecar.config_fields import (
    Place,
    Reader,
    Wrong,
    kind_of,
    list_of,
    one_of,
    read_as,
    regex,
    switch,
    text,
    whole,
)
from sidecar.config_probe_form import Form
from sidecar.config_probes_machine import MACHINE
from sidecar.config_probes_process import PROCESSES
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


_HTTP: Mapping[str, Reader[Any]] = {
    "url": read_as(_url),
    "status": _statuses,
    "match": regex,
    "redirects": one_of(Redirects, "way to follow redirects"),
    "verify": switch,
}
_DNS: Mapping[str, Reader[Any]] = {
    "name": read_as(_dns_name),
    "server": read_as(_server),
    "type": one_of(RecordType, "record type"),
}
PROBES: Mapping[ProbeKind, Form] = {
    ProbeKind.COMMAND: Form(CommandProbe, {"argv": argv}, "argv", required=("argv",)),
    ProbeKind.HTTP: Form(HttpProbe, _HTTP, "url", required=("url",)),
    ProbeKind.TCP: Form(TcpProbe, {}, read=read_as(_address)),
    ProbeKind.DNS: Form(DnsProbe, _DNS, "name", required=("name",)),
    **MACHINE,
    **PROCESSES,
}
"""By kind, which is also the key in the file."""
