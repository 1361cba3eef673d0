"""The health checks that need no configuration, and which of all checks are asked. Pure.

Their heals touch nothing that is not ours. What a machine is short of when the sidecar starts was so
before it, so that nothing of it is said in the first minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from sidecar.model.check import Check, family
from sidecar.model.heal import DropCachesHeal, Heal, NotifyHeal, PruneCheckpointsHeal, TrimStoreHeal
from sidecar.model.probe import HttpProbe, Probe, TcpProbe
from sidecar.model.probe_machine import OWN, DiskProbe, MemoryProbe
from sidecar.model.probe_own import Own, OwnProbe

_MINUTE = 60.0
_LATE = 1.0
"""Seconds."""
_SESSIONS = 200
"""Sessions whose programs have a check of their own."""
_CALL = NotifyHeal()
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}  # noqa: S104
"""How an address that is listened on is reached from this machine."""


@dataclass(frozen=True, slots=True)
class Premises:
    """What the defaults are about."""

    state: str
    """The state folder."""
    address: str = ""
    """Our own door: ``HOST:PORT``, with ``https://`` before it where it is encrypted; empty without one."""
    disks: tuple[str, ...] = ()
    """Mount points of the disks that sessions work on, without the one of the state folder."""
    sessions: tuple[str, ...] = ()
    """Those in our care."""


def defaults(premises: Premises) -> tuple[Check, ...]:
    """The checks that come without being configured."""
    return tuple(chain(_machine(premises), _own(premises), _programs(premises)))


def asked(configured: Sequence[Check], built_in: Iterable[Check]) -> tuple[Check, ...]:
    """All that are asked: a configured one takes the place of the defaults of its name."""
    named = {family(check.name) for check in configured}
    kept = (check for check in built_in if family(check.name) not in named)
    return (*(check for check in configured if not check.off), *kept)


def own_door(address: str) -> Probe | None:
    """What is asked of our own door; None where nothing can be, as at a socket file.

    Behind TLS only the connection is tried: who may say more there needs a certificate.
    """
    encrypted = address.startswith("https://")
    host, _, port = address.removeprefix("https://").rpartition(":")
    if not port.isdigit():
        return None
    host = _LOOPBACK.get(host, host)
    if encrypted:
        return TcpProbe(host.strip("[]"), int(port))
    return HttpProbe(f"http://{host}:{port}/-/healthy", status=(200,))


def _machine(premises: Premises) -> Iterable[Check]:
    yield _check("memory", MemoryProbe(cgroup=OWN), DropCachesHeal(), interval=_MINUTE / 2)
    yield _check("disk", DiskProbe((premises.state,)), PruneCheckpointsHeal(), TrimStoreHeal())
    for disk in premises.disks:
        yield _check(f"disk:{disk}", DiskProbe((disk,)))


def _own(premises: Premises) -> Iterable[Check]:
    door = own_door(premises.address)
    if door is not None:
        yield _check("sidecar", door, _CALL)
    yield _check("store", OwnProbe(Own.STORE), TrimStoreHeal(), _CALL)
    yield _check("loop", OwnProbe(Own.LOOP, above=_LATE), _CALL)


def _programs(premises: Premises) -> Iterable[Check]:
    for name in premises.sessions[:_SESSIONS]:
        probe = OwnProbe(Own.PROGRAMS, name)
        # The pipeline heals them as a session, and tells of it.
        yield replace(_check(f"programs:{name}", probe, interval=_MINUTE / 2), session=name, shown_only=True)


def _check(name: str, probe: Probe, *heals: Heal, interval: float = _MINUTE) -> Check:
    return Check(name, probe, heals, interval=interval, grace=_MINUTE, built_in=True)
