"""What is to be done, what came of it, and whether it is true."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from sidecar import redact
from sidecar.model.extension import OwnStep
from sidecar.model.heal import Heal
from sidecar.model.incident import Finding
from sidecar.model.session import Checkpoint, SessionImage
from sidecar.model.supervise import Stop
from sidecar.model.workspace import Beside, DeclaredWindow, Workspace

OWN_NAME = r"[a-z][a-z0-9_-]{0,39}"
"""How a user's own strategy may be called, as a regular expression."""
_OWN = re.compile(rf"custom:({OWN_NAME})")


class Strategy(StrEnum):
    """The rungs of the ladders.

    The list is closed, but for users' own: ``Strategy("custom:NAME")`` is one that no list has. Where the
    number of words has to be bounded, as in the label ``strategy``, its :attr:`family` stands for it.
    """

    RETRY = "retry"
    CONTINUE_PROCESS = "continue_process"
    UNBLOCK_TERMINAL = "unblock_terminal"
    INTERRUPT_PROGRAM = "interrupt_program"
    RECREATE_SOCKET = "recreate_socket"
    RESPAWN_PANE = "respawn_pane"
    RESUME_PROGRAM = "resume_program"
    FURNISH_PANE = "furnish_pane"
    ARRANGE_WINDOW = "arrange_window"
    REBUILD_PANE = "rebuild_pane"
    REBUILD_WINDOW = "rebuild_window"
    RESTORE_CHECKPOINT = "restore_checkpoint"
    REBUILD_WORKSPACE = "rebuild_workspace"
    BARE_SESSION = "bare_session"
    HEAL_CHECK = "heal_check"
    CUSTOM = "custom"

    @classmethod
    def _missing_(cls, value: object) -> Strategy | None:
        if not isinstance(value, str) or not _OWN.fullmatch(value):
            return None
        own = str.__new__(cls, value)
        own._name_, own._value_ = cls.CUSTOM.name, value
        return own

    @property
    def own_name(self) -> str:
        """The name of a user's own strategy; empty for ours."""
        found = _OWN.fullmatch(self.value)
        return found[1] if found else ""

    @property
    def family(self) -> Strategy:
        """``custom`` for every one of users' own, else itself."""
        return Strategy.CUSTOM if self.own_name else self


class Manner(StrEnum):
    """How a strategy is used; what is not plain comes after the plain way has failed."""

    PLAIN = "plain"
    OLDER = "older_checkpoint"
    """From the good checkpoint before the one that did not do."""
    HELD = "programs_held"
    """The structure alone: command lines are typed and not entered."""


@dataclass(frozen=True, slots=True)
class Resort:
    """One thing that can be tried."""

    strategy: Strategy
    manner: Manner = Manner.PLAIN

    def __str__(self) -> str:
        return self.strategy if self.manner is Manner.PLAIN else f"{self.strategy} ({self.manner})"


class StepKind(StrEnum):
    """One effect on the world; ``flow/steps.py`` has the coroutine for each."""

    SAVE = "save"
    CLOSE_PANE = "close_pane"
    RESPAWN_PANE = "respawn_pane"
    START_PROGRAM = "start_program"
    REBUILD_SESSION = "rebuild_session"
    START_PROGRAMS = "start_programs"
    RUN_SCRIPT = "run_script"
    BUILD_WORKSPACE = "build_workspace"
    FURNISH_WORKSPACE = "furnish_workspace"
    BUILD_WINDOW = "build_window"
    FURNISH_WINDOW = "furnish_window"
    BUILD_PANE = "build_pane"
    FURNISH_PANE = "furnish_pane"
    ARRANGE_WINDOW = "arrange_window"
    REBUILD_WINDOW = "rebuild_window"
    REBUILD_PANE = "rebuild_pane"
    REPLACE_SESSION = "replace_session"
    SIGNAL_SERVER = "signal_server"
    CONTINUE = "continue"
    CUSTOM_STEP = "custom_step"
    """A step of a user's own strategy that has a compensation."""
    CUSTOM_FINAL = "custom_final"
    """One that needs none."""
    CUSTOM_CHECK = "custom_check"
    """The strategy's own answer to whether it has worked."""
    UNBLOCK = "unblock"
    INTERRUPT = "interrupt"
    END = "end"
    HEAL = "heal"
    """What a check lets be done, beyond what is done to panes; it has no way back."""
    HEAL_TRIAL = "heal_trial"
    """The same with a way back: it is undone where it has not helped."""
    PROVE = "prove"
    """Whether the check passes after a trial."""


class Entry(StrEnum):
    """What is done with a program's command line in a shell."""

    TYPED = "typed"
    """Typed and entered: it runs."""
    HELD = "held"
    """Typed but not entered: a person decides."""
    SKIPPED = "skipped"
    """Not typed, because it could not be typed safely."""
    STARTED = "started"
    """Not typed: it is the pane's own command."""


@dataclass(frozen=True, slots=True)
class Resumption:
    """How one pane's program comes back."""

    window: int
    """Window index."""
    pane: int
    """Pane index within the window."""
    entry: Entry
    line: str
    """The shell command line; empty when skipped. For people only, when started."""
    argv: tuple[str, ...]
    """What ran before."""
    reason: str
    """The rule that decided, for people."""
    heavy: bool = False
    """It waits for its turn to start."""
    command: tuple[str, ...] = ()
    """When started: the argument vector that takes the place of the pane's own; empty keeps that."""
    conversation: str = ""
    """The id of the conversation that it takes up."""


@dataclass(frozen=True, slots=True)
class Start:
    """How a pane's own command is started when its session is built."""

    window: int
    """Window index."""
    pane: int
    """Pane index within the window."""
    command: tuple[str, ...] = ()
    """The argument vector that takes the place of the stored command; empty keeps that."""
    delay: float = 0.0
    """Seconds that it waits for its turn."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a plan. Only the fields that its kind needs are filled."""

    kind: StepKind
    pane: str = ""
    pid: int = 0
    """Guard: the step acts only while this is still the process in question."""
    cwd: str = ""
    resumption: Resumption | None = None
    what: str = ""
    """For people: what a step that needs more than a pane works on."""
    window: int | None = None
    """Window index, for a step that works on a window."""
    place: tuple[int, int] | None = None
    """Of a declared session: the positions of the window and the pane in its file. For a pane that is
    rebuilt: its window's index, and its own."""
    declared: DeclaredWindow | None = None
    """The window as the file declares it."""
    beside: Beside | None = None
    """Where a pane is put back."""
    undo: int = 0
    """The checkpoint that brings back what this step takes away."""
    own: OwnStep | None = None
    """What a user's own strategy says of this step of it."""
    started: int = 0
    """Guard of a step that signals: clock ticks after the boot at which the process began."""
    heal: Heal | None = None
    """What is done by a step that heals."""
    unless: int = 0
    """The step is left out while this process lives: it would start again what goes on."""
    stop: Stop | None = None
    """How a program is ended, where a rule of its own says so."""

    def describe(self) -> str:
        """One line for people and the audit trail."""
        words = self.kind.value.replace("_", " ")
        if self.heal is not None:
            return self.heal.describe()
        if self.place is not None and self.declared is not None:
            name = f" of {self.declared.name!r}" if self.declared.name else ""
            return f"{words} {self.place[0]}.{self.place[1]}{name}"
        if self.window is not None:
            return f"{words} {self.window}"
        if self.undo:
            return f"{words}: checkpoint {self.undo} brings the present state back"
        place = f"{self.place[0]}.{self.place[1]}" if self.place is not None else ""
        if self.resumption is not None:
            line = redact.text(self.resumption.line)
            return f"{words} in {self.pane or place or 'pane'}: {self.resumption.entry} `{line}`"
        if self.started:
            return f"{words} process {self.pid} {self.pane or self.what}".rstrip()
        return f"{words} {self.pane or place or self.what}".rstrip()


@dataclass(frozen=True, slots=True)
class Expectation:
    """What has to be true afterwards for the recovery to count as a success."""

    image: SessionImage | None
    """The session as it has to be; None when none is told, or when it is told by ``workspace``."""
    resumptions: tuple[Resumption, ...] = ()
    untouched: tuple[tuple[str, int], ...] = ()
    """(pane id, pid) of healthy siblings, which have to be the same processes afterwards."""
    replaced: tuple[tuple[str, int], ...] = ()
    """(pane id, pid) of processes that must no longer be the pane's own."""
    tolerated_cwd: tuple[str, ...] = ()
    """Folders that no longer exist, so that nothing can be started in them."""
    workspace: Workspace | None = None
    """The session as its workspace file declares it; the image is then None."""
    folders: tuple[tuple[str, str], ...] = ()
    """Declared folders, each with the one that it really is: a process knows no symbolic links."""
    places: tuple[tuple[str, tuple[int, int]], ...] = ()
    """(pane id, window index and pane index) of panes that the image has where they will be, not where
    they were; empty where none moves."""
    server: int = 0
    """The pid of the server that has to be the same afterwards; 0 when none is told."""
    apart: bool = False
    """Nothing of tmux is told, not even that its server is there."""
    seconds: float = 0.0
    """How long it may take until it shows; 0: as usual."""


@dataclass(frozen=True, slots=True)
class Undo:
    """How the state before the plan is built again."""

    checkpoint: Checkpoint
    resumptions: tuple[Resumption, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """A decision to act, complete: nothing more is decided while it runs."""

    session: str
    strategy: Strategy
    steps: tuple[Step, ...]
    expectation: Expectation
    finding: Finding
    checkpoint: Checkpoint | None = None
    fallback: tuple[Resort, ...] = ()
    """What is tried next, in this order, if this does not do; after the last a person is called."""
    manner: Manner = Manner.PLAIN
    rung: Strategy | None = None
    """Where the session stood on its ladder; what is lacking or rests may have made another strategy do."""
    attempt: int = 1
    """Which attempt of its incident it is; only the first one costs a unit of the budgets."""
    undo: Undo | None = None
    """Set when the plan takes a living session away."""

    @property
    def workspace(self) -> Workspace | None:
        """What is built when it is built as declared."""
        return self.expectation.workspace


class RefusalReason(StrEnum):
    """The ``reason`` label: why nothing is done."""

    HEALTHY = "healthy"
    STALE = "stale"
    IN_PROGRESS = "in_progress"
    OBSERVE_MODE = "observe_mode"
    NOT_MANAGED = "not_managed"
    RELEASED = "released"
    POLICY_NEVER = "policy_never"
    CLOSED_BY_PERSON = "closed_by_person"
    CAUSE_UNKNOWN = "cause_unknown"
    GIVEN_UP = "given_up"
    BUDGET_EXHAUSTED = "budget_exhausted"
    CIRCUIT_OPEN = "circuit_open"
    NO_CHECKPOINT = "no_checkpoint"
    NOT_DECLARED = "not_declared"
    OCCUPIED = "occupied"
    NO_STRATEGY = "no_strategy"
    EXHAUSTED = "exhausted"
    HEALS_IN_VAIN = "heals_in_vain"
    SERVER_UNKNOWN = "server_unknown"
    NO_CURE = "no_cure"
    MEMORY_SHORT = "memory_short"
    FOREIGN_SERVER = "foreign_server"
    SOCKET_TAKEN = "socket_taken"
    REPORT_ONLY = "report_only"
    MAINTENANCE = "maintenance"
    NETWORK_DOWN = "network_down"
    DEPENDENCY_DOWN = "dependency_down"
    BACKING_OFF = "backing_off"
    WAITS_FOR_PROGRAM = "waits_for_program"
    INTENSITY_EXCEEDED = "intensity_exceeded"
    RESTART_POLICY = "restart_policy"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A decision not to act, with its reason and what a person can do."""

    reason: RefusalReason
    sentence: str
    hint: str = ""
    retry_after: float | None = None
    """Seconds until the same question may get another answer."""
    plan: Plan | None = None
    """What would have been done, where all was decided and nothing is done."""


class Outcome(StrEnum):
    """How one recovery ended."""

    VERIFIED = "verified"
    FAILED = "failed"
    COMPENSATED = "compensated"
    """It did not go well, and what it had changed is as it was before."""
    STUCK = "stuck"
    """It did not go well, and a person has to put right what it has left behind."""
    STOPPED = "stopped"
    """It was not wanted any more before it had done much."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that is not what the checkpoint says."""

    where: str
    field: str
    wanted: str
    found: str
    tolerated: bool
    """True: named in the report, but no reason to call the recovery failed."""
    note: str = ""


DEAD = "dead"
"""The field of a :class:`Difference` about a pane whose process has ended."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the expectation holds, and every difference either way."""

    holds: bool
    differences: tuple[Difference, ...] = ()
    compared: Mapping[str, int] = field(default_factory=dict, compare=False)
    """How many values were compared, by field: ``window name``, ``session option``."""

    @property
    def final(self) -> bool:
        """Whether waiting cannot mend it: a process that has ended does not come back by itself."""
        return any(each.field == DEAD and not each.tolerated for each in self.differences)

    def sentence(self) -> str:
        hard = [d for d in self.differences if not d.tolerated]
        if self.holds:
            return f"verified, {len(self.differences)} tolerated differences"
        first = hard[0] if hard else None
        if first is None:
            return "not verified"
        return (
            f"{first.where}: {first.field} is {first.found!r}, wanted {first.wanted!r} ({len(hard)} in all)"
        )
