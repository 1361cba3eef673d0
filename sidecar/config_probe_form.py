"""How a kind of probe is written: a plain value where one says it all, a mapping for more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from sidecar.config_fields import Place, Reader, Told, section


@dataclass(frozen=True, slots=True)
class Form:
    """Reads one kind."""

    made: type
    """What is read."""
    keys: Mapping[str, Reader[Any]]
    """What the mapping may have; without any there is none."""
    plain: str = ""
    """The key that a plain value stands for."""
    required: tuple[str, ...] = ()
    build: Callable[..., Any] | None = None
    """What makes the probe of the values of the mapping, where the type itself does not."""
    parts: tuple[type, ...] = ()
    """What else the keys are fields of."""
    read: Reader[Any] | None = None
    """What makes it of a plain value that stands for no key."""

    def __call__(self, place: Place) -> Any:
        if self.keys and isinstance(place.node, yaml.MappingNode):
            known = len(place.report.faults)
            values = section(place, self.keys, self.required)
            if len(place.report.faults) > known:
                # What is left of a probe with faults may seem to have others.
                raise Told
        elif self.read is not None:
            return self.read(place)
        else:
            values = {self.plain: self.keys[self.plain](place)}
        return (self.build or self.made)(**values)
