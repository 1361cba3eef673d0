"""Heartbeat rules from YAML, each by itself: what it measures, and that it can be missed at all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import yaml

from sidecar import config_units as units
from sidecar.config_fields import (
    Place,
    Reader,
    Told,
    Wrong,
    duration,
    is_text,
    kind_of,
    list_of,
    one_of,
    read_as,
    record,
    regex,
    scalar,
    section,
    switch,
    text,
    whole,
)
from sidecar.model.heartbeat import Heartbeat, May
from sidecar.model.probe import (
    CommandProbe,
    DnsProbe,
    HttpProbe,
    RecordType,
    Redirects,
    TcpProbe,
    is_name,
    split_address,
)

MOST = 100
"""Rules; each has series of its own."""
REMEMBERED = 20
"""Tries of a probe that are looked at together."""
_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_CONDITIONS = ("output_age", "cpu_flat", "io_flat", "command", "http", "tcp", "dns")


def heartbeats(place: Place) -> tuple[Heartbeat, ...]:
    """The rules; what is wrong with them all together is told by ``decide.contradict``."""
    rules = list_of(_heartbeat)(place)
    if len(rules) > MOST:
        raise Wrong(f"has {len(rules)} rules, and may have {MOST}; a glob in `session` covers many sessions")
    return rules


def _heartbeat(place: Place) -> Heartbeat:
    known = len(place.report.faults)
    values = section(place, _HEARTBEAT, required=("session",))
    if len(place.report.faults) > known:
        # What is left of a rule with faults may seem to have others.
        raise Told
    rule = Heartbeat(**values)
    if not rule.probes and not list(rule.silences):
        raise Wrong(f"has no condition and can never be missed; it takes {', '.join(_CONDITIONS)}")
    for name, limit in rule.silences:
        if rule.interval >= limit:
            raise Wrong(
                f"interval ({_show(rule.interval)}) is not shorter than {name} ({_show(limit)}), "
                "so no two measurements would lie within it"
            )
    if rule.probes:
        _check_times(rule)
    else:
        _check_unused(values)
    return rule


def _check_times(rule: Heartbeat) -> None:
    if rule.timeout >= rule.interval:
        raise Wrong(
            f"timeout ({_show(rule.timeout)}) is not shorter than interval ({_show(rule.interval)}), "
            "so a probe could last until the next one"
        )
    if rule.retry_interval > rule.interval:
        raise Wrong(
            f"retry_interval ({_show(rule.retry_interval)}) is longer than "
            f"interval ({_show(rule.interval)}), "
            "so a failure would be repeated more slowly than a success"
        )
    if rule.slow is not None and rule.slow >= rule.timeout:
        raise Wrong(
            f"slow ({_show(rule.slow)}) is not shorter than timeout ({_show(rule.timeout)}), "
            "so nothing could ever be slow"
        )


def _check_unused(values: Mapping[str, Any]) -> None:
    for key in ("timeout", "retry_interval", "after", "slow"):
        if key in values:
            raise Wrong(f"{key} is for probes, and the rule has none: it would never count")


def _show(seconds: float) -> str:
    return units.show_seconds(seconds)


def _name(word: str) -> str:
    if not _NAME.fullmatch(word):
        raise ValueError(f"{word!r} is no name for a rule; it takes up to 60 letters, digits and _ . -")
    return word


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


def _argv(place: Place) -> CommandProbe:
    if not isinstance(place.node, yaml.SequenceNode):
        raise Wrong(f"has to be a list of arguments, as [pg_isready, -q], and is {kind_of(place.node)}")
    argv = list_of(text)(place)
    if not place.node.value:
        raise Wrong("is empty, so there is nothing to run")
    if argv and "/" in argv[0] and not argv[0].startswith("/"):
        raise Wrong(f"{argv[0]!r} is neither a full path nor a plain name; it is run in the folder /")
    return CommandProbe(argv)


def _short(build: Reader[Any], otherwise: Reader[Any]) -> Reader[Any]:
    """A plain word, or a mapping for more than that."""
    return lambda place: otherwise(place) if isinstance(place.node, yaml.MappingNode) else build(place)


def _statuses(place: Place) -> tuple[int, ...]:
    found = list_of(whole(100, 599))(place)
    if not isinstance(place.node, yaml.SequenceNode) or not place.node.value:
        raise Wrong("is empty, so no status would be right")
    return found


def _window(place: Place) -> str:
    """A window's index is a number to YAML, and may be one here."""
    if isinstance(place.node, yaml.ScalarNode) and not is_text(place) and place.node.value.isdigit():
        return str(place.node.value)
    return read_as(units.glob)(place)


def _may(place: Place) -> May:
    if scalar(place, "a step") == "rebuild":
        raise Wrong(
            "'rebuild' does nothing for a program that runs which respawn does not do: closing its window "
            "only hangs it up, and takes its neighbours along; write respawn"
        )
    return one_of(May, "step")(place)


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
_HEARTBEAT: Mapping[str, Reader[Any]] = {
    "session": read_as(units.glob),
    "name": read_as(_name),
    "window": _window,
    "pane": whole(0, 10_000),
    "output_age": duration("10s", "30d"),
    "cpu_flat": duration("1s", "30d"),
    "io_flat": duration("1s", "30d"),
    "command": _argv,
    "http": _short(read_as(lambda word: HttpProbe(_url(word))), record(HttpProbe, _HTTP, required=("url",))),
    "tcp": read_as(_address),
    "dns": _short(
        read_as(lambda word: DnsProbe(_dns_name(word))), record(DnsProbe, _DNS, required=("name",))
    ),
    "interval": duration("100ms", "1d"),
    "retry_interval": duration("50ms", "1d"),
    "timeout": duration("50ms", "10m"),
    "after": whole(1, REMEMBERED),
    "slow": duration("1ms", "10m"),
    "grace": duration("0s", "1d"),
    "may": list_of(_may),
}
