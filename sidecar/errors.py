"""Every error that the sidecar raises on purpose, as one tree.

::

    SidecarError                  has a sentence for the log and a hint for the operator
    ├── Temporary                 may pass: worth another attempt, after ``delay`` seconds
    │   ├── TmuxUnknown           tmux gave no usable answer, so nothing is known about it
    │   │   └── TmuxSilent        it gave none at all
    │   ├── StoreUnavailable      the database is locked or not writable just now
    │   │   └── DiskFull          the disk under the state folder is full, or fails
    │   ├── TextsMissing          a capture counts on stored scrollback that is not there
    │   ├── StepTimedOut          a step of a plan did not end in its time, and was cut off
    │   └── ExtensionFailed       a function of a user's own strategy has raised, or has not worked
    └── Permanent                 will not pass by waiting
        ├── TmuxAbsent            there is no server behind the socket
        ├── TmuxRefused           tmux answered: it will not do this
        ├── Stopped               a recovery is not wanted any more, so nothing new is begun
        ├── HealInVain            what was done about a check that fails has not helped
        ├── GivenUp               a recovery was cut off so often that it is not taken up again
        ├── ExtensionUnusable     a user's own strategy gave up, is not there, or answered nonsense
        ├── PlanUnreadable        a stored plan is not one that this release can carry out
        ├── CheckpointUnusable    a stored checkpoint does not match its checksum or does not parse
        ├── NoBirthplace          a new tmux server could not be started where it would outlive us
        ├── AlreadyRunning        another sidecar looks after this tmux server or this state folder
        ├── UnsafeState           the state folder belongs to somebody else or is open to others
        ├── ConfigInvalid         the configuration has faults, all of them listed
        ├── ServiceUnreachable    a command needs the running service and did not find it
        └── ServiceRefused        the running service answered a command: it will not do this

Retry, breaker and HTTP status all follow from the branch, so a new error has to
choose one. Permanent errors never count towards a breaker, but for a heal in vain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class SidecarError(Exception):
    """Base of all errors here: one clear sentence, and what an operator can do about it."""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class Temporary(SidecarError):
    """May pass by itself; ``delay`` (seconds) is the least time to wait, if the raiser knows one."""

    def __init__(self, message: str, *, hint: str = "", delay: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.delay = delay


class Permanent(SidecarError):
    """Will be the same at the next attempt; retrying is pointless."""


class TmuxUnknown(Temporary):
    """tmux gave no usable answer (time-out, EAGAIN, permission): neither present nor absent."""


class TmuxSilent(TmuxUnknown):
    """tmux was asked, and its server gave no answer in time, or was seen to be stopped."""


class StoreUnavailable(Temporary):
    """The database could not take the write; nothing of it was stored."""


class DiskFull(StoreUnavailable):
    """The disk under the state folder took no more; nothing was stored."""


class TextsMissing(Temporary):
    """A capture left out scrollback that it thought was stored; nothing of it was stored."""


class StepTimedOut(Temporary):
    """The step hung; whether it had its effect is for the next attempt to find out."""


class ExtensionFailed(Temporary):
    """A function of a user's own strategy has raised, ended its process, or says that it has not worked."""


class ExtensionUnusable(Permanent):
    """A user's own strategy cannot be loaded, has given up, or has returned what it must not."""


class TmuxAbsent(Permanent):
    """No tmux server listens behind the socket."""


class TmuxRefused(Permanent):
    """tmux answered with an error of its own."""


class Stopped(Permanent):
    """Whoever asked for the recovery does not want it any more."""


class HealInVain(Permanent):
    """A check fails after its heal as before it."""


class GivenUp(Permanent):
    """Each time that the recovery was taken up, the sidecar ended in the middle of it."""


class PlanUnreadable(Permanent):
    """The stored plan does not parse, or was written by another release."""


class CheckpointUnusable(Permanent):
    """The checkpoint's bytes are not the bytes that were stored, or make no session."""


class NoBirthplace(Permanent):
    """A server started from here would die with the sidecar, so none is started."""


class AlreadyRunning(Permanent):
    """Another sidecar holds the lock; ``pid`` is its process id, 0 if unknown."""

    def __init__(self, message: str, *, pid: int, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.pid = pid


class UnsafeState(Permanent):
    """The state folder's owner or mode would let another user read or change it."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong in a configuration file: where, which key, and the sentence why."""

    file: str
    line: int
    key: str
    sentence: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.key}: {self.sentence}" if self.key else f"{where}: {self.sentence}"


class ConfigInvalid(Permanent):
    """The configuration cannot be used; ``faults`` holds every reason, in file order."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        count = len(self.faults)
        super().__init__(
            f"{count} fault{'s' if count != 1 else ''} in the configuration: "
            + "; ".join(str(fault) for fault in self.faults),
            hint="Mend the named lines, then run `sidecar config check FILE`.",
        )


class ServiceUnreachable(Permanent):
    """The command line could not reach a running service."""


class ServiceRefused(Permanent):
    """The service answered with an error; ``reason`` is its word for it, empty if it gave none."""

    def __init__(self, message: str, *, reason: str = "", hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.reason = reason
