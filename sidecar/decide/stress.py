"""When a machine is short of something, and what is done less of then.

Every threshold has a lower one at which the shortage is over, so that a reading which swings around it
does not turn everything on and off.
"""

from __future__ import annotations

from collections.abc import Sequence

from sidecar.decide.by_hand import asking
from sidecar.model.incident import Cause, FailureKind, Finding, Unit
from sidecar.model.plan import Refusal, RefusalReason, Strategy
from sidecar.model.record import Pressure
from sidecar.model.stress import CheckpointMode, ResourceLimits, Room, Stress

_RELIEF = 0.75
"""A stall is over at this share of its threshold."""
_REGAINED = 1.5
"""What has to be free is there again at so many times its threshold."""
_TENTH, _THIRTIETH = 10, 30

REFUSED_FOR = 60.0
"""Seconds after a write that the disk has turned down in which checkpoints do not become more again."""
_WHERE = "on the disk of the state folder"
TURNED_DOWN = "the disk of the state folder has turned a write down"

_FIRST_WAIT, _LONGEST_WAIT = 1.0, 15.0
_AGAIN_FIRST, _AGAIN_LONGEST = 60.0, 480.0
"""Seconds that a session which died of memory a second time waits; each further time doubles them."""

_REST, _REST_MOST = 3.0, 0.5
_REST_STRAINED, _REST_STRAINED_MOST = 12.0, 2.0
_SLOWER = 4.0

_STARTS_NOTHING = frozenset(
    {
        Strategy.RECREATE_SOCKET, Strategy.CONTINUE_PROCESS, Strategy.UNBLOCK_TERMINAL,
        # What a heal starts takes the place of what it ends, or gives something back.
        Strategy.HEAL_CHECK,
    }
)  # fmt: skip
_WORSE = {
    CheckpointMode.FULL: CheckpointMode.STRUCTURE,
    CheckpointMode.STRUCTURE: CheckpointMode.PAUSED,
    CheckpointMode.PAUSED: CheckpointMode.PAUSED,
}
_BETTER = {
    CheckpointMode.PAUSED: CheckpointMode.STRUCTURE,
    CheckpointMode.STRUCTURE: CheckpointMode.FULL,
    CheckpointMode.FULL: CheckpointMode.FULL,
}


def memory_short(pressure: Pressure, limits: ResourceLimits, *, before: bool) -> str:
    """Why there is too little memory to start anything; empty if there is enough. ``before``: so far."""
    least = limits.memory_free * (_REGAINED if before else 1.0)
    most = limits.memory_stalled * (_RELIEF if before else 1.0)
    free = 100.0 * pressure.memory_available
    if free < least:
        return f"{free:.1f} % of the memory is available"
    group = pressure.group_available
    if group is not None and 100.0 * group < least:
        return f"{100.0 * group:.1f} % of what the tmux server's control group may use is available"
    blocked = pressure.memory_blocked
    if blocked is not None and blocked > most:
        return f"all tasks wait {blocked:.0f} % of the time for memory"
    return ""


def cpu_short(pressure: Pressure, limits: ResourceLimits, *, before: bool) -> str:
    """Why the processor counts as overloaded; empty if it is not. ``before``: so far."""
    ease = _RELIEF if before else 1.0
    stalled, load = pressure.cpu_stalled, pressure.load
    if stalled is not None and stalled > limits.cpu_stalled * ease:
        return f"tasks wait {stalled:.0f} % of the time for a processor"
    if stalled is None and load > limits.load * ease:
        return f"the load is {load:.1f} for each processor"
    return ""


def checkpoint_mode(
    room: Room | None, limits: ResourceLimits, before: CheckpointMode, *, refused: bool
) -> tuple[CheckpointMode, str]:
    """How much is stored from now on, and why not all of it.

    ``room`` is None where the disk could not be asked, ``refused`` says that it has turned a write down
    within the last :data:`REFUSED_FOR` seconds. Worse comes at once, better by one step at a time.
    """
    wanted, why = (before, "") if room is None else _by_room(room, limits, before)
    mode = _worst(wanted, before if refused else _BETTER[before])
    if mode is CheckpointMode.FULL:
        return mode, ""
    if refused and not why:
        return mode, TURNED_DOWN
    return mode, why or "the disk of the state folder has room again; checkpoints become more step by step"


def turned_down(before: CheckpointMode) -> CheckpointMode:
    """How much is stored once the disk has turned a write down, whatever the figures say."""
    return _WORSE[before]


def _by_room(room: Room, limits: ResourceLimits, before: CheckpointMode) -> tuple[CheckpointMode, str]:
    """What the figures alone ask for."""
    low = min(limits.disk_low_bytes, room.size // _TENTH)
    least = min(limits.disk_least_bytes, room.size // _THIRTIETH)
    short = before is not CheckpointMode.FULL
    paused = before is CheckpointMode.PAUSED
    free = f"{room.free / 1_000_000:.1f} MB are free {_WHERE}"
    if room.free < least * (_REGAINED if paused else 1.0):
        return CheckpointMode.PAUSED, free
    if room.free + room.spare < low * (_REGAINED if short else 1.0):
        return CheckpointMode.STRUCTURE, free
    if room.inodes is not None and room.inodes < limits.inodes_low * (_REGAINED if short else 1.0):
        return (
            CheckpointMode.STRUCTURE,
            f"{room.inodes} files can still be made {_WHERE}",
        )
    return CheckpointMode.FULL, ""


def admit(
    finding: Finding,
    strategy: Strategy,
    stress: Stress,
    limits: ResourceLimits,
    *,
    deaths: Sequence[float],
    waited: float,
    now: float,
) -> Refusal | None:
    """Why this recovery has to wait for memory; None if it need not.

    ``deaths`` are the wall seconds of this session's earlier recoveries from a lack of memory within
    ``oom_period``, ``waited`` the seconds that it has been refused for too little memory.
    """
    if strategy in _STARTS_NOTHING:
        return None
    name = finding.failure.session
    if finding.cause is Cause.OUT_OF_MEMORY and deaths:
        rest = min(_AGAIN_FIRST * 2.0 ** (len(deaths) - 1), _AGAIN_LONGEST)
        left = max(deaths) + rest - now
        if 0.0 < left <= rest:
            return Refusal(
                RefusalReason.MEMORY_SHORT,
                f"{name} has died of a lack of memory {len(deaths) + 1} times in {limits.oom_period:g} s",
                hint=f"Give it more memory, or less to do. `{asking('recover', name)}` does not wait.",
                retry_after=left,
            )
    if stress.memory and waited < limits.memory_wait:
        return Refusal(
            RefusalReason.MEMORY_SHORT,
            f"{name or 'it'} waits for memory: {stress.memory}",
            hint="It comes back as soon as there is enough; free some.",
            retry_after=min(max(waited, _FIRST_WAIT), _LONGEST_WAIT),
        )
    return None


def lanes(stress: Stress, limits: ResourceLimits, *, careful: bool) -> int | None:
    """How many recoveries may run at once; None is any number. ``careful``: memory killed lately."""
    if careful or stress.memory:
        return 1
    return limits.recoveries if stress.cpu else None


def needs_lane(finding: Finding) -> bool:
    """Whether its recovery may start something; the others are quick and take nothing."""
    return finding.failure.unit is not Unit.SOCKET and finding.failure.kind not in (
        FailureKind.DISCONNECTED,
        FailureKind.FROZEN,
    )


def order(finding: Finding, memory_bytes: int, panes: int) -> tuple[int, int, int, str]:
    """Sorts recoveries: the smallest unit first, then whoever used the least memory, then fewest panes."""
    return (list(Unit).index(finding.failure.unit), memory_bytes, panes, finding.failure.session)


def rest(took: float, stress: Stress) -> float:
    """Seconds between two looks that events ask for, after one that took so long. Bounded either way."""
    if stress.cpu:
        return min(took * _REST_STRAINED, _REST_STRAINED_MOST)
    return min(took * _REST, _REST_MOST)


def pause(usual: float, stress: Stress) -> float:
    """Seconds between two samples of what can wait; longer while the processor is overloaded."""
    return usual * _SLOWER if stress.cpu else usual


def _rank(mode: CheckpointMode) -> int:
    return list(CheckpointMode).index(mode)


def _worst(one: CheckpointMode, other: CheckpointMode) -> CheckpointMode:
    return max(one, other, key=_rank)
