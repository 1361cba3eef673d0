"""Health checks from YAML, each by itself: one probe, times that fit together, and what heals it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sidecar import config_units as units
from sidecar.config_fields import (
    Place,
    Reader,
    Wrong,
    duration,
    faultless,
    few_of,
    read_as,
    switch,
    text,
    whole,
)
from sidecar.config_heals import heals
from sidecar.config_probes import PROBES
from sidecar.model.check import DEFAULTS, Check
from sidecar.model.heal import target_of
from sidecar.model.probe import CommandProbe

MOST = 500
"""Checks; each has series of its own."""


def checks(place: Place) -> tuple[Check, ...]:
    """The checks."""
    lines: dict[str, int] = {}
    return few_of(lambda item: _only_one(_check(item), item, lines), MOST, "checks")(place)


def _only_one(check: Check, place: Place, lines: dict[str, int]) -> Check:
    """The check, unless another one has its name; ``lines`` are those of all before it."""
    if check.name in lines:
        raise Wrong(
            f"is called {check.name!r}, as the one in line {lines[check.name]} is; a name tells checks apart"
        )
    lines[check.name] = place.node.start_mark.line + 1
    return check


def _check(place: Place) -> Check:
    values = faultless(place, _CHECK, required=("name",))
    if values.get("off"):
        return _switched_off(values)
    asked = [values.pop(kind) for kind in PROBES if kind in values]
    if len(asked) != 1:
        words = ", ".join(map(str, PROBES))
        raise Wrong(f"asks {len(asked)} things, and a check asks one of {words}")
    return _with_times(_of_one_session(Check(probe=asked[0], **values)))


def _switched_off(values: dict[str, Any]) -> Check:
    """What else is said of it does not matter, until it is switched on again."""
    probes = [values.pop(kind) for kind in PROBES if kind in values]
    if not probes and values["name"] not in DEFAULTS:
        known = ", ".join(sorted(DEFAULTS))
        raise Wrong(f"switches off a check that there is not: {values['name']!r}; the defaults are {known}")
    return Check(probe=probes[0] if probes else _NOTHING, **values)


def _of_one_session(check: Check) -> Check:
    """A heal takes the lease of one session, so all of them have to be about the same."""
    targets = [target.session for target in map(target_of, check.heal) if target is not None]
    names = dict.fromkeys([*([check.session] if check.session else ()), *targets])
    if len(names) > 1:
        raise Wrong(f"is about more than one session: {', '.join(names)}; make it a check for each")
    return check


def _with_times(check: Check) -> Check:
    if check.timeout >= check.interval:
        raise Wrong(
            f"timeout ({units.show_seconds(check.timeout)}) is not shorter than "
            f"interval ({units.show_seconds(check.interval)}), so a try could last until the next one"
        )
    if check.retry_interval > check.interval:
        raise Wrong(
            f"retry_interval ({units.show_seconds(check.retry_interval)}) is longer than "
            f"interval ({units.show_seconds(check.interval)}), "
            "so a failure would be repeated more slowly than a success"
        )
    return check


_NOTHING = CommandProbe(())
"""What a default asks that is switched off."""
_CHECK: Mapping[str, Reader[Any]] = {
    "name": read_as(units.rule_name),
    **{str(kind): reader for kind, reader in PROBES.items()},
    "heal": heals,
    "session": text,
    "off": switch,
    "interval": duration("100ms", "1d"),
    "retry_interval": duration("50ms", "1d"),
    "timeout": duration("50ms", "10m"),
    "after": whole(1, 20),
    "recovers": whole(1, 20),
    "grace": duration("0s", "1d"),
    "tries": whole(1, 100),
}
