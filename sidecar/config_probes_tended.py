"""Probes of panes and units from YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from sidecar import config_units as units
from sidecar.config_fields import Place, Reader, Wrong, duration, list_of, one_of, read_as, regex
from sidecar.config_probe_form import Form, tell_texts
from sidecar.model.heal import UnitManager
from sidecar.model.probe import ProbeKind
from sidecar.model.probe_tended import PaneProbe, UnitProbe, UnitState


def _states(place: Place) -> tuple[UnitState, ...]:
    state = one_of(UnitState, "state of a unit")
    if isinstance(place.node, yaml.ScalarNode):
        return (state(place),)
    found = list_of(state)(place)
    if not place.node.value:
        raise Wrong("is empty, so no state would be right")
    return found


def _pane(**values: Any) -> PaneProbe:
    probe = PaneProbe(**values)
    tell_texts(probe)
    return probe


_PANE: Mapping[str, Reader[Any]] = {
    "target": read_as(units.pane_target),
    "match": regex,
    "no_match": regex,
    "silent": duration("10s", "30d"),
}
_UNIT: Mapping[str, Reader[Any]] = {
    "unit": read_as(units.unit_name),
    "manager": one_of(UnitManager, "manager of units"),
    "states": _states,
}
TENDED: Mapping[ProbeKind, Form] = {
    ProbeKind.PANE: Form(PaneProbe, _PANE, "target", required=("target",), build=_pane),
    ProbeKind.UNIT: Form(UnitProbe, _UNIT, "unit", required=("unit",)),
}
"""By kind, which is also the key in the file."""
