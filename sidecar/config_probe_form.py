"""How a kind of probe is written: a plain value where one says it all, a mapping for more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import yaml

from sidecar import config_units as units
from sidecar.config_fields import Place, Reader, Wrong, faultless


class Texts(Protocol):
    """Whatever says what has to be in a text, and what must not."""

    @property
    def match(self) -> str: ...

    @property
    def no_match(self) -> str: ...


class Ages(Protocol):
    """Whatever says how old something has to be, in seconds."""

    @property
    def younger(self) -> float | None: ...

    @property
    def older(self) -> float | None: ...


def tell_texts(probe: Texts) -> None:
    """Wrong where no text would be right."""
    if probe.match and probe.match == probe.no_match:
        raise Wrong(f"match and no_match are both {probe.match!r}, so no text would be right")


def tell_ages(probe: Ages) -> None:
    """Wrong where no age would be right."""
    if probe.younger is not None and probe.older is not None and probe.older >= probe.younger:
        raise Wrong(
            f"older ({units.show_seconds(probe.older)}) is not less than "
            f"younger ({units.show_seconds(probe.younger)}), so no age would be right"
        )


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
            values = faultless(place, self.keys, self.required)
        elif self.read is not None:
            return self.read(place)
        else:
            values = {self.plain: self.keys[self.plain](place)}
        return (self.build or self.made)(**values)
