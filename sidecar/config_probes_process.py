"""Probes of processes from YAML: whom they mean, and what may be asked of them together."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sidecar import config_units as units
from sidecar.config_fields import (
    Place,
    Reader,
    Wrong,
    duration,
    list_of,
    one_of,
    read_as,
    regex,
    scalar,
    share,
    size,
    text,
    whole,
)
from sidecar.config_probe_form import Form, tell_ages
from sidecar.model.probe import ProbeKind
from sidecar.model.probe_process import DescriptorsProbe, Never, ProcessProbe, Which

_MANY = 1_000_000
_PERCENT = re.compile(r"([0-9]{1,6}(?:\.[0-9]{1,3})?) ?%")


def _processors(place: Place) -> float:
    """A share of one processor; several threads may use more than one."""
    word = scalar(place, "a share in percent")
    match = _PERCENT.fullmatch(word)
    if match is None or not float(match[1]):
        raise Wrong(f"{word!r} is no share of a processor; write one above 0%, as 90% or 250%")
    return float(match[1]) / 100


def _which(values: dict[str, Any]) -> Which:
    return Which(**{key: values.pop(key) for key in _WHICH if key in values})


def _process(**values: Any) -> ProcessProbe:
    which = _which(values)
    if not which.named:
        raise Wrong(f"names no process; it takes {', '.join(_WHICH)}")
    if values.get("most") == 0:
        values.setdefault("least", 0)
    probe = ProcessProbe(which, **values)
    if probe.most is not None and probe.least > probe.most:
        raise Wrong(f"least ({probe.least}) is more than most ({probe.most}), so no number would be right")
    tell_ages(probe)
    return probe


def _descriptors(**values: Any) -> DescriptorsProbe:
    which = _which(values)
    if "most" in values:
        if not which.named:
            raise Wrong(f"most is for processes; it takes {', '.join(_WHICH)} to name them")
        values.setdefault("above", None)
    return DescriptorsProbe(which=which, **values)


_WHICH: Mapping[str, Reader[Any]] = {
    "name": text,
    "cmdline": regex,
    "pidfile": read_as(units.full_path),
    "cgroup": read_as(units.full_path),
}
_PROCESS: Mapping[str, Reader[Any]] = {
    **_WHICH,
    "least": whole(0, _MANY),
    "most": whole(0, _MANY),
    "younger": duration("1s", "3650d"),
    "older": duration("1s", "3650d"),
    "rss": size("1kB", "1000TB"),
    "cpu": _processors,
    "never": list_of(one_of(Never, "state")),
}
_DESCRIPTORS: Mapping[str, Reader[Any]] = {"above": share, "most": whole(1, 1_000_000_000), **_WHICH}
PROCESSES: Mapping[ProbeKind, Form] = {
    ProbeKind.DESCRIPTORS: Form(DescriptorsProbe, _DESCRIPTORS, "above", build=_descriptors, parts=(Which,)),
    ProbeKind.PROCESS: Form(ProcessProbe, _PROCESS, "name", build=_process, parts=(Which,)),
}
"""By kind, which is also the key in the file."""
