"""The channels of ``notify`` from YAML."""

from __future__ import annotations

import importlib.util
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from sidecar import config_units as units
from sidecar.config import NotifySettings
from sidecar.config_fields import (
    Place,
    Reader,
    Told,
    Wrong,
    duration_or_off,
    list_of,
    one_of,
    read_as,
    record,
    section,
    switch,
    text,
)
from sidecar.model.notice import Alertmanager, Apprise, Channel, ChannelKind, Email, Matter, Pacing, Webhook

_ADDRESS = re.compile(r"[^@\s,<>\"]{1,64}@[^@\s,<>\"]{1,255}")
_APPRISE = re.compile(r"[a-z][a-z0-9+.-]*://\S+")
_BRACES = re.compile(r"\{(?P<name>[^{}]*)\}|[{}]")
_TEMPLATE_FIELDS = ("text", "session", "matter", "time", "host")


def read_channels(place: Place) -> NotifySettings:
    """A list of channels. Whoever writes it names every channel that is wanted; an empty one wants none."""
    entries = list_of(_channel)(place)
    channels = [entry for entry in entries if isinstance(entry, Channel)]
    taken = Counter(channel.name for channel in channels)
    twice = next((name for name, times in taken.items() if times > 1), None)
    if twice is not None:
        raise Wrong(f"has two channels called {twice}; give each a `name` of its own")
    return NotifySettings(tmux=True in entries, channels=tuple(channels))


def _channel(place: Place) -> Channel | bool:
    values = section(place, _CHANNEL)
    named = [kind for kind in _TARGETS if any(key.value == kind for key, _ in place.node.value)]
    if len(named) != 1:
        raise Wrong(f"has to name exactly one of {', '.join(ChannelKind)}")
    [kind] = named
    if kind not in values:
        raise Told
    target = values.pop(kind)
    if kind is ChannelKind.TMUX:
        if values:
            raise Wrong(f"`{next(iter(values))}` has no meaning for tmux")
        return bool(target)
    return _built(kind, target, values)


def _built(kind: ChannelKind, target: Any, values: dict[str, Any]) -> Channel:
    token_file = values.pop("token_file", "")
    if token_file and kind is not ChannelKind.WEBHOOK:
        raise Wrong("`token_file` is for webhooks")
    if kind is ChannelKind.WEBHOOK:
        target = Webhook(target, token_file)
    elif kind is ChannelKind.ALERTMANAGER:
        target = Alertmanager(target)
    elif kind is ChannelKind.APPRISE:
        target = Apprise(target)
    name, template = values.pop("name", kind.value), values.pop("template", "{text}")
    if "matters" in values:
        values["matters"] = frozenset(values["matters"])
    return Channel(name, target, replace(Pacing(), **values), template)


def server_url(word: str) -> str:
    """The address of a server of HTTP.

    Raises:
        ValueError: it is none.
    """
    parts = urlsplit(word)
    # What comes behind the host is where chat services put their secrets.
    shown = f"{parts.scheme}://{parts.hostname or ''}" if "://" in word else word.partition("/")[0]
    if parts.scheme not in ("http", "https"):
        raise ValueError(f"{shown!r} is no address of a server; it begins with http:// or https://")
    if not parts.hostname:
        raise ValueError(f"{shown!r} names no host")
    if parts.port == 0:
        raise ValueError(f"{shown!r} has the port 0, where nothing can listen")
    return word


def _apprise(place: Place) -> str:
    word = text(place)
    if not _APPRISE.fullmatch(word):
        raise Wrong("is no address of Apprise; it has to begin with the word of a service, as ntfy://")
    if not place.report.lenient and importlib.util.find_spec("apprise") is None:
        raise Wrong("needs Apprise, which is not installed here: pip install 'tmux-sidecar[apprise]'")
    return word


def _mail_address(word: str) -> str:
    if not _ADDRESS.fullmatch(word):
        raise ValueError(f"{word!r} is no mail address")
    return word


def _template(place: Place) -> str:
    template = text(place)
    for match in _BRACES.finditer(template):
        if match["name"] not in _TEMPLATE_FIELDS:
            raise Wrong(f"{match[0]!r} is none of " + ", ".join(f"{{{name}}}" for name in _TEMPLATE_FIELDS))
    return template


def _email(**values: Any) -> Email:
    if values.get("user") and not values.get("password_file"):
        raise Wrong("has a `user` and no `password_file`")
    smtp_only = [key for key in ("starttls", "user", "password_file") if values.get(key)]
    if smtp_only and not values.get("smtp"):
        raise Wrong(f"`{smtp_only[0]}` needs `smtp`")
    values["sender"] = values.pop("from")
    return Email(**values)


def _some(read: Reader[tuple[str, ...]]) -> Reader[tuple[str, ...]]:
    def read_some(place: Place) -> tuple[str, ...]:
        values = read(place)
        if not values:
            raise Wrong("names nobody")
        return values

    return read_some


_EMAIL: Mapping[str, Reader[Any]] = {
    "to": _some(list_of(read_as(_mail_address))),
    "from": read_as(_mail_address),
    "smtp": read_as(units.address),
    "starttls": switch,
    "user": text,
    "password_file": read_as(units.full_path),
    "sendmail": read_as(units.full_path),
}
_TARGETS: Mapping[ChannelKind, Reader[Any]] = {
    ChannelKind.TMUX: switch,
    ChannelKind.WEBHOOK: read_as(server_url),
    ChannelKind.ALERTMANAGER: read_as(server_url),
    ChannelKind.EMAIL: record(_email, _EMAIL, required=("to", "from")),
    ChannelKind.APPRISE: _apprise,
}
_CHANNEL: Mapping[str, Reader[Any]] = {
    **{kind.value: read for kind, read in _TARGETS.items()},
    "name": text,
    "token_file": read_as(units.full_path),
    "matters": list_of(one_of(Matter, "matter")),
    "rate": read_as(units.budget),
    "digest": duration_or_off("1s", "1d"),
    "template": _template,
}
