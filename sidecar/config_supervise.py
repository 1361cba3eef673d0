"""Rules for programs from YAML, each by itself; what is wrong with them together tells ``decide.casting``."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from typing import Any

import yaml

from sidecar import config_units as units
from sidecar.config_fields import (
    Place,
    Reader,
    Wrong,
    duration,
    faultless,
    few_of,
    kind_of,
    list_of,
    one_of,
    read_as,
    record,
    regex,
    scalar,
    text,
    unknown_word,
    whole,
)
from sidecar.config_heartbeats import window_glob
from sidecar.model.policy import Restore
from sidecar.model.running import Sending
from sidecar.model.supervise import ProgramRule, Stop

MOST = 100
"""Rules; each has series of its own."""
_RESTARTS_ONLY = ("run", "delay", "max_delay", "intensity", "expected_exits", "after")
"""Keys that say nothing about a program that is never started."""
_PANE = re.compile(r"[^:]+:[^:]+\.[0-9]{1,5}")
_SIGNALS = {one.value.removeprefix("SIG"): one for one in Sending}


def programs(place: Place) -> tuple[ProgramRule, ...]:
    """The rules."""
    return few_of(_program, MOST, "rules; a glob in `session` covers many sessions")(place)


def _program(place: Place) -> ProgramRule:
    values = faultless(place, _PROGRAM, required=("session",))
    rule = ProgramRule(**values)
    if rule.delay > rule.max_delay:
        raise Wrong(
            f"delay ({units.show_seconds(rule.delay)}) is longer than "
            f"max_delay ({units.show_seconds(rule.max_delay)})"
        )
    if rule.restart is Restore.NEVER:
        for key in _RESTARTS_ONLY:
            if key in values:
                raise Wrong(f"{key} is for programs that are started again, and restart is `never`")
    return rule


def _argv(place: Place) -> tuple[str, ...]:
    if not isinstance(place.node, yaml.SequenceNode):
        raise Wrong(f"has to be a list of arguments, as [node, server.js], and is {kind_of(place.node)}")
    if not place.node.value:
        raise Wrong("is empty, so there is nothing to run")
    return list_of(text)(place)


def _exit(place: Place) -> int:
    word = scalar(place, "an exit status or a signal")
    if not word.removeprefix("-").isdigit():
        return -_number_of(word)
    return whole(0, 255)(place)


def _number_of(word: str) -> int:
    """
    Raises:
        Wrong: there is no such signal.
    """
    known = {one.name.removeprefix("SIG"): one for one in signal.Signals}
    found = known.get(word.removeprefix("SIG"))
    if found is None:
        raise Wrong(unknown_word("signal", word, known, "HUP, INT, QUIT, KILL, TERM and others of signal(7)"))
    return found


def _signal(place: Place) -> Sending:
    word = scalar(place, "a signal")
    found = _SIGNALS.get(word.removeprefix("SIG"))
    if found is None:
        number = _number_of(word)
        raise Wrong(
            f"{signal.Signals(number).name} is no signal by which a program is asked to end; "
            f"there are: {', '.join(_SIGNALS)}"
        )
    return found


def _after(word: str) -> str:
    if ":" not in word:
        return units.rule_name(word)
    if not _PANE.fullmatch(word):
        raise ValueError(f"{word!r} is neither the name of a rule nor a pane, as db:main.0")
    return word


_STOP: Mapping[str, Reader[Any]] = {"signal": _signal, "timeout": duration("100ms", "5m")}
_PROGRAM: Mapping[str, Reader[Any]] = {
    "session": read_as(units.glob),
    "name": read_as(units.rule_name),
    "window": window_glob,
    "pane": whole(0, 10_000),
    "command": regex,
    "run": _argv,
    "restart": one_of(Restore, "restart policy"),
    "delay": duration("0s", "1h"),
    "max_delay": duration("0s", "1d"),
    "start_grace": duration("0s", "1h"),
    "intensity": read_as(units.budget),
    "expected_exits": list_of(_exit),
    "after": list_of(read_as(_after)),
    "stop": record(Stop, _STOP),
}
