"""The checks that need no configuration."""

from __future__ import annotations

import pytest

from sidecar.decide.defaults import Premises, asked, defaults, own_door
from sidecar.model.check import DEFAULTS, Check, family
from sidecar.model.heal import (
    DropCachesHeal,
    NotifyHeal,
    PruneCheckpointsHeal,
    TrimStoreHeal,
)
from sidecar.model.probe import CommandProbe, HttpProbe, Probe, TcpProbe
from sidecar.model.probe_machine import OWN, DiskProbe, MemoryProbe

PREMISES = Premises("/state", "127.0.0.1:9847", ("/srv",), ("web", "db"))
OTHER = CommandProbe(("true",))


def names(*configured: Check) -> set[str]:
    return {check.name for check in asked(configured, defaults(PREMISES))}


def test_they_are_what_is_promised() -> None:
    found = {check.name: check for check in defaults(PREMISES)}
    assert {family(name) for name in found} == DEFAULTS
    assert found["memory"].probe == MemoryProbe(0.85, OWN)
    assert found["disk"].probe == DiskProbe(("/state",), above=0.9, inodes=0.9)
    assert found["disk:/srv"].probe == DiskProbe(("/srv",))
    assert all(check.built_in and check.grace == 60.0 and check.interval >= 30.0 for check in found.values())


def test_their_heals_touch_only_what_is_ours() -> None:
    ours = (DropCachesHeal, NotifyHeal, PruneCheckpointsHeal, TrimStoreHeal)
    heals = [heal for check in defaults(PREMISES) for heal in check.heal]
    assert heals
    assert all(isinstance(heal, ours) for heal in heals)


def test_a_configured_one_takes_the_place_of_a_default() -> None:
    own = {"sidecar", "store", "loop", "programs:web", "programs:db"}
    assert names() >= {"memory", "disk", "disk:/srv", *own}
    mine = Check("disk", OTHER)
    assert {"disk:/srv"} & names(mine) == set()
    assert mine in asked((mine,), defaults(PREMISES))


def test_one_that_is_switched_off_is_not_asked() -> None:
    off = Check("programs", OTHER, off=True)
    assert not any(name.startswith("programs") for name in names(off))
    assert "memory" in names(off)


@pytest.mark.parametrize(
    ("address", "probe"),
    [
        ("127.0.0.1:80", HttpProbe("http://127.0.0.1:80/-/healthy", status=(200,))),
        ("0.0.0.0:80", HttpProbe("http://127.0.0.1:80/-/healthy", status=(200,))),
        ("[::]:80", HttpProbe("http://[::1]:80/-/healthy", status=(200,))),
        ("https://[::1]:80", TcpProbe("::1", 80)),
        ("https://10.0.0.5:443", TcpProbe("10.0.0.5", 443)),
        ("unix:/run/door:80/x", None),
        ("", None),
    ],
)
def test_the_own_door_is_asked_where_it_is(address: str, probe: Probe | None) -> None:
    assert own_door(address) == probe
