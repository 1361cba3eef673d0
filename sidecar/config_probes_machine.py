"""Probes of the machine from YAML: a limit alone where that says it, a mapping for more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from sidecar import config_units as units
from sidecar.config_fields import (
    Place,
    Reader,
    Wrong,
    decimal,
    list_of,
    one_of,
    read_as,
    share,
    size,
    whole,
)
from sidecar.config_probe_form import Form
from sidecar.model.probe import ProbeKind
from sidecar.model.probe_machine import (
    OWN,
    CpuProbe,
    DiskProbe,
    LoadProbe,
    MemoryProbe,
    PressureProbe,
    Resource,
    SwapProbe,
    Waiting,
)

_PATHS = 20
"""Paths of one probe; each may be waited for in a thread of its own."""


def cgroup(word: str) -> str:
    """The folder of a control group, or ``own``."""
    return word if word == OWN else units.full_path(word)


def _minutes(place: Place) -> int:
    found = whole(1, 15)(place)
    if found not in (1, 5, 15):
        raise Wrong(f"is {found}; the kernel keeps averages of 1, 5 and 15 minutes")
    return found


def _paths(place: Place) -> tuple[str, ...]:
    if isinstance(place.node, yaml.ScalarNode):
        return (read_as(units.full_path)(place),)
    found = list_of(read_as(units.full_path))(place)
    if isinstance(place.node, yaml.SequenceNode) and not 0 < len(place.node.value) <= _PATHS:
        raise Wrong(f"has {len(place.node.value)} paths, and takes 1 to {_PATHS}")
    return found


def _disk(path: tuple[str, ...], **limits: Any) -> DiskProbe:
    # Whoever names one limit means no other.
    return DiskProbe(path, **({"above": None, "inodes": None, **limits} if limits else {}))


_SHARE: Mapping[str, Reader[Any]] = {"above": share}
_OF_GROUP: Mapping[str, Reader[Any]] = {**_SHARE, "cgroup": read_as(cgroup)}
_DISK: Mapping[str, Reader[Any]] = {
    "path": _paths,
    "above": share,
    "free": size("1B", "1000000TB"),
    "inodes": share,
}
_PRESSURE: Mapping[str, Reader[Any]] = {
    "resource": one_of(Resource, "resource"),
    "waiting": one_of(Waiting, "way of waiting"),
    "above": share,
    "cgroup": read_as(units.full_path),
}
_LOAD: Mapping[str, Reader[Any]] = {"above": decimal(0.01, 10_000), "minutes": _minutes}
MACHINE: Mapping[ProbeKind, Form] = {
    ProbeKind.MEMORY: Form(MemoryProbe, _OF_GROUP, "above"),
    ProbeKind.SWAP: Form(SwapProbe, _SHARE, "above"),
    ProbeKind.DISK: Form(DiskProbe, _DISK, "path", required=("path",), build=_disk),
    ProbeKind.CPU: Form(CpuProbe, _OF_GROUP, "above"),
    ProbeKind.PRESSURE: Form(PressureProbe, _PRESSURE, "resource", required=("resource",)),
    ProbeKind.LOAD: Form(LoadProbe, _LOAD, "above"),
}
"""By kind, which is also the key in the file."""
