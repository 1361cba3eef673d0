"""Heal actions from YAML, each by itself."""

from __future__ import annotations

import pwd
import signal
from collections.abc import Mapping
from typing import Any

import yaml

from sidecar import config_units as units
from sidecar.config_fields import (
    Nothing,
    Place,
    Reader,
    Told,
    Wrong,
    attempt,
    duration,
    entries,
    faultless,
    list_of,
    one_of,
    read_as,
    regex,
    scalar,
    size,
    switch,
    text,
    unknown_word,
    whole,
)
from sidecar.config_notify import server_url
from sidecar.config_probes import argv
from sidecar.model.heal import (
    CommandHeal,
    DeleteHeal,
    DropCachesHeal,
    Heal,
    HealKind,
    NotifyHeal,
    PruneCheckpointsHeal,
    RespawnHeal,
    RestartHeal,
    RotateHeal,
    SignalHeal,
    TrimHistoryHeal,
    TrimStoreHeal,
    UnitHeal,
    UnitManager,
    WebhookHeal,
)
from sidecar.model.heal_folders import forbidden, plain


def heals(place: Place) -> tuple[Heal, ...]:
    """One heal, or a list of them: the next one where the one before it has not helped."""
    if isinstance(place.node, yaml.SequenceNode):
        return list_of(_heal)(place)
    return (_heal(place),)


def _heal(place: Place) -> Heal:
    given = list(entries(place))
    if len(given) != 1:
        raise Wrong(f"names {len(given)} heals, and each takes one; write a list for several")
    _, word, child = given[0]
    if word not in HEALS:
        raise Wrong(unknown_word("heal", word, HEALS))
    found = attempt(child, HEALS[HealKind(word)])
    if isinstance(found, Nothing):
        raise Told
    heal: Heal = found
    return heal


_SPELLED = frozenset({"KILL", "STOP"})
"""Signals that no program can answer: whoever means them has to write them in full."""


def _signal(place: Place) -> str:
    word = scalar(place, "the name of a signal")
    name = word.removeprefix("SIG")
    if f"SIG{name}" not in signal.Signals.__members__:
        raise Wrong(unknown_word("signal", word, [each.name for each in signal.Signals]))
    if name in _SPELLED and name == word:
        raise Wrong(f"no program can put its things in order on {name}; whoever means it writes SIG{name}")
    return name


def _full_path(word: str) -> str:
    if not word.startswith("/"):
        raise ValueError(f"{word!r} is no full path; write it from / on")
    if ".." in word.split("/"):
        raise ValueError(f"{word!r} has .. in it; write where it leads")
    return word


def _command(place: Place) -> CommandHeal:
    if not isinstance(place.node, yaml.MappingNode):
        return CommandHeal(argv(place))
    values = faultless(place, _COMMAND)
    if ("argv" in values) is ("shell" in values):
        raise Wrong("needs one of argv, a list of arguments, and shell, a line for /bin/sh")
    shell = values.get("shell", "")
    return CommandHeal(
        argv=(shell,) if shell else values["argv"],
        seconds=values.get("timeout", CommandHeal(()).seconds),
        undo=values.get("undo", ()),
        shell=bool(shell),
    )


def _signal_heal(place: Place) -> SignalHeal:
    values = faultless(place, _SIGNAL, required=("signal",))
    if ("pane" in values) is ("pidfile" in values):
        raise Wrong("needs one of pane, as api:web.0, and pidfile, a full path")
    if "pidfile" in values and "expect" not in values:
        raise Wrong("needs expect for its pidfile, which may name a process that is another's by now")
    if "pane" in values and "expect" in values:
        raise Wrong("has expect, which is for a pidfile; what runs in a pane is known")
    return SignalHeal(
        values["signal"], values.get("pane"), values.get("pidfile", ""), values.get("expect", "")
    )


def _folder(place: Place) -> str:
    return plain(read_as(_full_path)(place))


def _refuse_some(folder: str, *, deep: bool) -> None:
    homes = {each.pw_dir.rstrip("/") for each in pwd.getpwall()}
    if why := forbidden(folder, homes, deep=deep):
        raise Wrong(why)


def _file_globs(place: Place) -> tuple[str, ...]:
    if not isinstance(place.node, yaml.SequenceNode):
        return (_file_glob(place),)
    found = list_of(_file_glob)(place)
    if not place.node.value:
        raise Wrong("is empty, so no file would match")
    return found


def _file_glob(place: Place) -> str:
    glob = read_as(units.glob)(place)
    if "/" in glob:
        raise Wrong(f"{glob!r} has a slash; it is for names of files, and `deep: true` goes through folders")
    return glob


def _delete(place: Place) -> DeleteHeal:
    heal = DeleteHeal(**faultless(place, _DELETE, required=("folder", "match", "older")))
    _refuse_some(heal.folder, deep=heal.deep)
    return heal


def _rotate(place: Place) -> RotateHeal:
    heal = RotateHeal(**faultless(place, _ROTATE, required=("folder", "match", "larger")))
    _refuse_some(heal.folder, deep=False)
    return heal


def _unit(place: Place) -> UnitHeal:
    if not isinstance(place.node, yaml.MappingNode):
        return UnitHeal(read_as(units.unit_name)(place))
    values = faultless(place, _UNIT, required=("unit",))
    return UnitHeal(
        values["unit"],
        values.get("manager", UnitManager.SYSTEM),
        values.get("timeout", UnitHeal("").seconds),
    )


def _webhook(place: Place) -> WebhookHeal:
    if not isinstance(place.node, yaml.MappingNode):
        return WebhookHeal(read_as(server_url)(place))
    values = faultless(place, _WEBHOOK, required=("url",))
    return WebhookHeal(
        values["url"], values.get("timeout", WebhookHeal("").seconds), values.get("token_file", "")
    )


def _nothing_more(heal: Heal) -> Reader[Heal]:
    """A heal that takes no keys."""

    def read(place: Place) -> Heal:
        if not place.blank and list(entries(place)):
            raise Wrong("takes no keys; write {} behind it")
        return heal

    return read


_COMMAND: Mapping[str, Reader[Any]] = {
    "argv": argv,
    "shell": text,
    "timeout": duration("1s", "1h"),
    "undo": argv,
}
_SIGNAL: Mapping[str, Reader[Any]] = {
    "signal": _signal,
    "pane": read_as(units.pane_target),
    "pidfile": read_as(_full_path),
    "expect": regex,
}

_DELETE: Mapping[str, Reader[Any]] = {
    "folder": _folder,
    "match": _file_globs,
    "older": duration("1m", "3650d"),
    "keep": whole(0, 10_000),
    "deep": switch,
}
_ROTATE: Mapping[str, Reader[Any]] = {
    "folder": _folder,
    "match": _file_globs,
    "larger": size("1kB", "1TB"),
    "keep": whole(1, 100),
    "truncate": switch,
}
_UNIT: Mapping[str, Reader[Any]] = {
    "unit": read_as(units.unit_name),
    "manager": one_of(UnitManager, "manager of units"),
    "timeout": duration("1s", "1h"),
}
_WEBHOOK: Mapping[str, Reader[Any]] = {
    "url": read_as(server_url),
    "timeout": duration("100ms", "10m"),
    "token_file": read_as(_full_path),
}
_PRUNE: Mapping[str, Reader[Any]] = {"keep": whole(1, 1000)}
_HISTORY: Mapping[str, Reader[Any]] = {
    "session": read_as(units.glob),
    "lines": whole(100, 10_000_000),
}

HEALS: Mapping[HealKind, Reader[Any]] = {
    HealKind.RESTART: read_as(lambda word: RestartHeal(units.pane_target(word))),
    HealKind.RESPAWN: read_as(lambda word: RespawnHeal(units.pane_target(word))),
    HealKind.COMMAND: _command,
    HealKind.SIGNAL: _signal_heal,
    HealKind.DELETE: _delete,
    HealKind.ROTATE: _rotate,
    HealKind.RESTART_UNIT: _unit,
    HealKind.PRUNE_CHECKPOINTS: lambda place: PruneCheckpointsHeal(
        **({} if place.blank else faultless(place, _PRUNE))
    ),
    HealKind.DROP_CACHES: _nothing_more(DropCachesHeal()),
    HealKind.TRIM_STORE: _nothing_more(TrimStoreHeal()),
    HealKind.TRIM_HISTORY: lambda place: TrimHistoryHeal(
        **faultless(place, _HISTORY, required=("session", "lines"))
    ),
    HealKind.NOTIFY: lambda place: NotifyHeal("" if place.blank else text(place)),
    HealKind.WEBHOOK: _webhook,
}
"""By kind, which is also the key in the file."""
