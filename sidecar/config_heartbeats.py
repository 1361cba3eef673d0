"""Heartbeat rules from YAML, each by itself: what it measures, and that it can be missed at all."""

from __future__ import annotations

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
    is_text,
    list_of,
    one_of,
    read_as,
    scalar,
    whole,
)
from sidecar.config_probes import PROBES
from sidecar.model.heartbeat import Heartbeat, May, StackSignal
from sidecar.model.probe import ASKED_OF_PROGRAMS

MOST = 100
"""Rules; each has series of its own."""
REMEMBERED = 20
"""Tries of a probe that are looked at together."""
_CONDITIONS = ("output_age", "cpu_flat", "io_flat", "command", "http", "tcp", "dns")


def heartbeats(place: Place) -> tuple[Heartbeat, ...]:
    """The rules; what is wrong with them all together is told by ``decide.contradict``."""
    return few_of(_heartbeat, MOST, "rules; a glob in `session` covers many sessions")(place)


def _heartbeat(place: Place) -> Heartbeat:
    values = faultless(place, _HEARTBEAT, required=("session",))
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


def window_glob(place: Place) -> str:
    """A glob of window names, or an index: a window's index is a number to YAML, and may be one here."""
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


_HEARTBEAT: Mapping[str, Reader[Any]] = {
    "session": read_as(units.glob),
    "name": read_as(units.rule_name),
    "window": window_glob,
    "pane": whole(0, 10_000),
    "output_age": duration("10s", "30d"),
    "cpu_flat": duration("1s", "30d"),
    "io_flat": duration("1s", "30d"),
    **{str(kind): PROBES[kind] for kind in ASKED_OF_PROGRAMS},
    "interval": duration("100ms", "1d"),
    "retry_interval": duration("50ms", "1d"),
    "timeout": duration("50ms", "10m"),
    "after": whole(1, REMEMBERED),
    "slow": duration("1ms", "10m"),
    "grace": duration("0s", "1d"),
    "may": list_of(_may),
    "stack_signal": one_of(StackSignal, "signal"),
}
