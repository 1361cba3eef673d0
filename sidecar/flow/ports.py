"""What the corridor needs from the doors, declared by the corridor. Only ``app`` knows who fits.

Every method may raise :class:`~sidecar.errors.Temporary` or :class:`~sidecar.errors.Permanent`,
and has a time limit of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from sidecar.decide.detect import Expected
from sidecar.model.archive import Doomed, GenerationFilter, GenerationRow
from sidecar.model.audit import AuditFilter, Cleared, Head, Pruned, TrailLimits
from sidecar.model.check import Check, CheckRow
from sidecar.model.diagnostics import Diagnostics, Machine, ProcessFacts, PythonStack, Subject, Tail, Tree
from sidecar.model.extension import OwnCall
from sidecar.model.heal import Heal, HealCall
from sidecar.model.incident import Asker, Cause, Evidence, FailureKind, Finding, IncidentState
from sidecar.model.ladder import Footing
from sidecar.model.notice import Alertmanager, Channel, Delivery, Message, Notice, QueuedNotice
from sidecar.model.plan import Outcome, Refusal, Resort, Resumption, Start, Step
from sidecar.model.policy import BreakerState, Retention
from sidecar.model.probe import Probe, ProbeResult
from sidecar.model.quiet import ForeignSilence, Silence, SilenceRequest
from sidecar.model.reach import Reach, Ring
from sidecar.model.record import (
    Action,
    AlertIntake,
    AlertRow,
    AuditRow,
    Capture,
    Ending,
    IncidentRow,
    KnownSession,
    Pressure,
    ProgramRow,
    Receipt,
    RecoveryRow,
    Rehearsal,
    Settlement,
    StoredTotals,
    Trimmed,
    Unfinished,
    Usage,
    Watched,
)
from sidecar.model.running import ProcessState, Sending, ServerState
from sidecar.model.saga import Attempt, Mandate, Marks
from sidecar.model.scrollback import StoredText
from sidecar.model.session import Checkpoint, Look, Operation, Pane, Session, SessionImage
from sidecar.model.stress import Room
from sidecar.model.supervise import Spot
from sidecar.model.surroundings import Question, Surroundings
from sidecar.model.vitals import Vitals
from sidecar.model.workspace import Beside, Command, DeclaredPane, DeclaredWindow, Pairs, Workspace


class Book(Protocol):
    """The durable store. Each writing method is one transaction that carries its own audit row."""

    async def known_sessions(self) -> tuple[KnownSession, ...]: ...

    async def remember(
        self,
        session: KnownSession,
        action: Action | None = None,
        reason: str = "",
        actor: str = "sidecar",
    ) -> None:
        """Insert or replace by name; ``action`` is audited unless None."""

    async def forget(self, name: str, action: Action, reason: str, actor: str = "sidecar") -> None:
        """No longer expect this session: what waits of it is dismissed, its checkpoints stay."""

    async def rename(self, old: str, new: KnownSession) -> None:
        """The same session has another name; its checkpoints and its rungs follow."""

    async def add_checkpoint(self, capture: Capture, operation: Operation) -> Checkpoint:
        """
        Raises:
            TextsMissing: the capture leaves out text that is not in the book.
        """
        ...

    async def newest_checkpoint(self, session: str, before: int | None = None) -> Checkpoint | None:
        """The newest, ``before`` that one, whose checksum holds; the others are quarantined and audited."""

    async def newest_with_windows(
        self, session: str, instance: str, windows: Mapping[int, int]
    ) -> Checkpoint | None:
        """The newest good one of this life of the session that has windows of all these indexes, each with
        so many panes at least."""

    async def damaged_since(self, session: str, number: int) -> tuple[int, ...]:
        """The ids of generations in quarantine that are newer than this one, oldest first."""
        ...

    async def scrollback(self, digest: str) -> StoredText:
        """The text as far as it is what was stored; what is missing is said in its place, and counted."""

    async def totals(self) -> tuple[StoredTotals, ...]: ...

    async def prune(self, limits: Retention, now: float) -> tuple[Doomed, ...]:
        """Remove what retention does not keep; never a session's newest good one."""

    async def rehearsals(self) -> tuple[Rehearsal, ...]:
        """The last one of each session."""

    async def keep_rehearsal(self, rehearsal: Rehearsal, action: Action | None) -> None:
        """Insert or replace by session; ``action`` is audited, with the report, unless None."""

    async def checks(self) -> tuple[CheckRow, ...]:
        """Those that fail, or whose heals have not helped."""
        ...

    async def check_turned(self, row: CheckRow, subject: str, fact: str) -> None:
        """A check fails from now on, or passes again; ``fact`` is what its last try found."""

    async def open_incident(self, finding: Finding, first_sign: float, now: float) -> IncidentRow:
        """A new incident, or the open one of this session (state open, held or given_up), updated."""

    async def add_evidence(self, session: str, facts: Sequence[Evidence], now: float) -> None:
        """What was learnt about the newest incident of this session after it had been decided."""

    async def keep_diagnostics(self, incident: int, found: Diagnostics, now: float) -> None:
        """Put what was seen with its incident, instead of what was seen before.

        Cut to a bearable size, and without what looks like a secret in the texts.
        """

    async def diagnostics(self, incident: int) -> Diagnostics | None:
        """What was seen; None if nothing was, or it is damaged."""

    async def open_incidents(self) -> tuple[IncidentRow, ...]:
        """Those that are not closed, oldest first."""

    async def incidents(
        self,
        limit: int,
        before: int | None = None,
        session: str | None = None,
        waiting: bool = False,
    ) -> tuple[IncidentRow, ...]:
        """Newest first; ``waiting`` only those that are not closed."""

    async def incident(self, number: int) -> tuple[IncidentRow, tuple[RecoveryRow, ...]] | None:
        """One with its recoveries, oldest first, without their steps."""

    async def move_incident(
        self, incident: int, state: IncidentState, now: float, reason: str = "", sentence: str = ""
    ) -> None: ...

    async def refuse(
        self,
        session: str,
        refusal: Refusal,
        asker: Asker,
        now: float,
        incident: int | None,
        state: IncidentState | None,
    ) -> None:
        """Write a refusal, and the state it puts the incident in."""

    async def begin_recovery(self, incident: int, mandate: Mandate, now: float) -> RecoveryRow:
        """Written before the first effect, with all that the next run needs to go on with it."""

    async def step_begun(self, recovery: int, attempt: Attempt, step: Step) -> None:
        """Written before the effect."""

    async def step_ended(
        self, recovery: int, attempt: Attempt, step: Step, again: Attempt | None = None
    ) -> None:
        """What came of it; ``again`` is the attempt that is due next, if there is one."""

    async def end_recovery(self, ending: Ending) -> None: ...

    async def unfinished(self, recovery: int | None = None) -> tuple[Unfinished, ...]:
        """Recoveries (or this one) that nobody has ended, oldest first."""

    async def tried(self, incident: int) -> tuple[Resort, ...]:
        """What was tried in vain at it, since the attempt that was its first."""

    async def take_up(self, recovery: int, now: float) -> int:
        """Count one more run that goes on with it, before it does; how many that makes, 0 if it has ended."""

    async def stop_recovery(self, recovery: int, reason: str, now: float) -> None:
        """Nothing new of it is to be begun, now or by a later run."""

    async def join_recovery(self, recovery: int, asker: Asker, now: float) -> None:
        """Somebody else wants it too."""

    async def recovery(self, recovery: int) -> RecoveryRow | None: ...

    async def recoveries(
        self, limit: int, before: int | None = None, session: str | None = None
    ) -> tuple[RecoveryRow, ...]:
        """Newest first, without their steps."""

    async def recoveries_since(self, session: str, since: float) -> tuple[float, ...]:
        """When recoveries of this session began, oldest first; of one incident, the first attempt only."""

    async def given_up_since(self, session: str, since: float) -> bool:
        """Whether it was given up since then, and no person has had to do with it afterwards."""

    async def origins_since(self, since: float) -> Mapping[str, float]:
        """Incident origins with a recovery begun since then, each with the first such time."""

    async def footings(self) -> Mapping[tuple[str, FailureKind], Footing]:
        """Where sessions stand on their ladders."""

    async def programs(self, server: str) -> tuple[ProgramRow, ...]:
        """What is known of programs under supervision in this life of the tmux server."""
        ...

    async def keep_programs(self, rows: Sequence[ProgramRow]) -> None:
        """Keep what is known of these from now on."""

    async def program_starts(self, session: str, pane: str, since: float) -> tuple[float, ...]:
        """When we have started it since then, oldest first, and since a person had it started last."""
        ...

    async def circuits(self) -> Mapping[str, BreakerState]: ...

    async def save_circuits(
        self, states: Mapping[str, BreakerState], gone: Sequence[str], now: float, actor: str = "sidecar"
    ) -> tuple[str, ...]:
        """Keep these circuits, and those no longer. Returns which have moved; that is audited."""

    async def accept_alerts(self, alerts: Sequence[AlertIntake], now: float) -> tuple[Receipt, ...]:
        """Commit all or nothing; a key seen before is a duplicate and not acted on again."""

    async def pending_alerts(self) -> tuple[AlertRow, ...]: ...

    async def settle_alerts(self, settlements: Sequence[Settlement], now: float) -> None:
        """All of them or none; one that is settled already stays as it is."""

    async def recall(self, key: str) -> Mapping[str, Any] | None:
        """The answer stored under an idempotency key; an empty one if it is damaged."""

    async def keep_answer(self, key: str, answer: Mapping[str, Any], now: float) -> None: ...

    async def audit(
        self,
        action: Action,
        now: float,
        session: str = "",
        actor: str = "sidecar",
        reason: str = "",
        trace: str = "",
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """A record that belongs to no other change."""

    async def spare_bytes(self) -> int:
        """How much of the database file holds nothing: it is filled before the file grows."""

    async def trim(self) -> Trimmed:
        """Give the space that holds nothing back to the file system, in portions."""
        ...

    async def drop_caches(self) -> None:
        """Give back the memory that is only kept to be quick."""

    async def ready_to_write(self) -> None:
        """Take the write lock and give it back, without writing anything; a full disk is no obstacle.

        Raises:
            StoreUnavailable: it could not be had in time.
        """

    async def damage(self, *, deep: bool) -> str:
        """What is wrong with the database as a whole, for people; empty if nothing is found.

        ``deep``: every page of it is looked at, which takes a while.
        """
        ...

    async def audit_rows(
        self,
        limit: int,
        before: int | None = None,
        session: str | None = None,
        action: Action | None = None,
    ) -> tuple[AuditRow, ...]:
        """Newest first."""

    async def audit_page(self, after: int, limit: int, wanted: AuditFilter) -> tuple[AuditRow, ...]:
        """So many rows behind the one with this id, oldest first."""

    async def audit_head(self) -> Head | None:
        """The newest audit row; None without one."""

    async def tend_reserve(self) -> None:
        """Make the space that is kept for the record again, if it was given up and there is room."""

    async def prune_audit(self, limits: TrailLimits, now: float) -> Pruned:
        """Remove some audit rows beyond the limits, signed off by a row; see ``more``."""

    async def clear(self, now: float) -> Cleared:
        """Remove some of what is over and older than the oldest audit row; see ``more``."""


class Scene(Protocol):
    """A tmux server on which a session can be built and looked at."""

    async def look(self) -> Look:
        """One full observation; never raises for absent or unknown, it says so."""

    async def capture(
        self, session: Session, look: Look, lines: int | None, taken: float, private: bool
    ) -> Capture:
        """Everything a checkpoint needs, as a rule in one client.

        ``lines`` of history per pane (0 takes none, None names only what is stored already); ``private``
        leaves scrollback and environment out.
        Text that is known to be stored (see :meth:`Tmux.keep`) is named, and not taken again.
        """

    async def rebuild(
        self,
        image: SessionImage,
        scrollbacks: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> str:
        """Build the session, all or nothing, in a server that outlives us. Returns its session id.

        It carries the ``mark`` from the beginning, and another one once it is whole: see :class:`Marks`.

        ``scrollbacks`` holds texts by digest; a pane whose text is not there starts without. ``starts``
        tells of panes that start another command than the stored one, or later.
        """


class Stage(Protocol):
    """A throw-away server that shares nothing with the live one but the machine."""

    def open(self, first_pane: int) -> AbstractAsyncContextManager[Scene]:
        """A fresh server as long as the context lasts; ``first_pane`` is the number of its first panes."""

    async def clear(self) -> bool:
        """End and remove what an earlier run has left standing. Whether there was anything."""


class Shelf(Protocol):
    """The stored generations. What does not match its checksum is quarantined and counted when it is read."""

    async def page(self, wanted: GenerationFilter) -> tuple[GenerationRow, ...]:
        """Newest first."""

    async def find(self, number: int) -> Checkpoint | GenerationRow | None:
        """One by its id; the bare row if it is in quarantine, None if there is none."""

    async def newest(self, session: str, until: float | None = None) -> Checkpoint | None:
        """The newest good one, taken at ``until`` (wall seconds) or before."""

    async def doomed(self, limits: Retention) -> tuple[Doomed, ...]:
        """What :meth:`prune` would remove, session by session, oldest first."""

    async def prune(self, limits: Retention) -> tuple[Doomed, ...]:
        """Remove what retention does not keep; never a session's newest good one."""


class Tmux(Scene, Protocol):
    """The live server."""

    async def fingerprints(self, sessions: Sequence[Session]) -> Mapping[str, str]:
        """A word by session name, another one when its options or environment have changed; in one client."""

    def keep(self, instance: str) -> None:
        """The last capture of the session of this instance is in the book."""

    def forget(self, instance: str) -> None:
        """It is not, or not any more: the next capture takes all text."""

    async def arm(self, windows: Sequence[str], panes: Sequence[str] = ()) -> None:
        """Make these windows keep panes whose process failed, and keep these panes however they end."""

    async def disarm(self, windows: Sequence[str], panes: Sequence[str] = ()) -> None:
        """Undo :meth:`arm` where it is ours."""

    async def respawn(
        self, pane: str, pid: int, cwd: str, instead: Sequence[str] = (), mark: str = ""
    ) -> bool:
        """Start a dead pane's command again, only while ``pid`` is its dead process. False: it was not.

        ``instead`` is started in the place of its own command, if there is one. True as well when it has
        been done already under this ``mark``.
        """

    async def close_pane(self, pane: str, pid: int) -> bool:
        """Close a pane, only while it is dead and ``pid`` was its process."""

    async def enter(self, pane: str, pid: int, resumption: Resumption, mark: str = "") -> None:
        """Type a command line into the pane's shell once it waits for input, only while it is ``pid``.

        Only once under one ``mark``.
        """

    async def report(self, conversations: Mapping[str, str]) -> None:
        """Note the conversations (``AGENT:ID``) of these panes, as an agent's hook would now."""

    async def build_workspace(self, workspace: Workspace, mark: str = "") -> str:
        """Build a declared session, all or nothing, without its command lines; its session id."""

    async def type_lines(
        self, pane: str, pid: int, lines: Sequence[Command], mark: str = "", typed: int = 0
    ) -> None:
        """Type command lines in order, only while ``pid`` is the pane's process.

        The first ``typed`` of them have been typed already under this ``mark``. A Temporary error means
        that nothing was typed.
        """

    async def set_options(self, window: str, options: Pairs) -> None:
        """Set options of one window."""

    async def rebuild_window(
        self,
        session: Session,
        image: SessionImage,
        scrollbacks: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> None:
        """Build the image's one window into a living session, all or nothing; the index has to be free."""

    async def rebuild_pane(
        self,
        beside: Beside,
        image: SessionImage,
        scrollbacks: Mapping[str, bytes],
        starts: Sequence[Start] = (),
        mark: str = "",
    ) -> str:
        """Build the image's one pane beside a living one, all or nothing; its id."""
        ...

    async def build_declared_window(self, session: Session, index: int, window: DeclaredWindow) -> None:
        """Build one declared window into a living session, all or nothing, without its command lines."""

    async def build_declared_pane(self, beside: Beside, pane: DeclaredPane) -> str:
        """Put one declared pane beside a living one, all or nothing, without its command lines; its id."""
        ...

    async def arrange(self, window: str, layout: str, panes: int) -> None:
        """Give a window a layout while it has exactly so many panes; never one tmux may not survive."""

    async def marks(self, mark: str) -> Marks:
        """What carries this mark; nothing does where there is no server."""

    async def remove_marked(self, mark: str) -> None:
        """End the sessions and windows that carry this mark, and no others."""

    async def unmark(self, mark: str) -> None:
        """Take the mark from whatever carries it."""

    async def unmark_others(self, kept: Collection[str]) -> None:
        """Take every mark but these from whatever carries one."""

    async def close_session(self, session: Session) -> str:
        """End a living session and wait for its processes; the server stays. Nothing if it is gone.

        Returns what :meth:`let_go` takes when the server may end by itself again.
        """

    async def let_go(self, keeper: str) -> None:
        """The server need not be kept any longer."""

    async def clear_history(self, panes: Mapping[str, int]) -> None:
        """Forget what scrolled out of these panes, each only while this is its process."""

    def drop_caches(self) -> None:
        """Forget what is known of the texts of panes: the next captures take all of it."""

    async def recreate_socket(self) -> None:
        """Ask a live server whose socket is gone to make it again."""

    async def announce(self, session: str, text: str) -> bool:
        """Show a message to the clients of this session, or to all if it has none. False: nobody saw it."""

    async def reach(self) -> Reach:
        """How the server can be reached now, by what the file system and the kernel tell."""

    async def live_server(self) -> int:
        """The pid of a live server of ours, whether or not its socket answers; 0 if there is none."""


class Stopped(Protocol):
    """Processes that were stopped, and terminals: what the kernel says of them, and letting them go on."""

    def state(self, pid: int) -> ProcessState | None:
        """What a process does just now; None if it is gone."""

    def age(self, pid: int) -> float | None:
        """Seconds since a process began; None if it is gone."""

    async def all_stopped(self) -> Sequence[ProcessState]:
        """Every process of this machine that was stopped and that we may signal, with its command."""

    async def server(self, pid: int) -> ServerState | None:
        """A server that does not answer, from outside; None if it is gone."""

    async def let_go_on(self, pid: int, started: int) -> bool:
        """SIGCONT, only while the pid is still the process that began then. False: it is not."""

    async def send_to_group(self, state: ProcessState, what: Sending) -> bool:
        """Signal the group of a process, while it is this one and has the terminal. False: it is not."""

    async def full_terminals(self, terminals: Sequence[str]) -> Mapping[str, int]:
        """Those that take nothing just now, with the processor time (ticks) of the processes in them."""

    async def unblock(self, terminal: str, pid: int) -> bool:
        """Undo Ctrl-S, only while it is the terminal of this process. False: it is not."""


class LookAgain(Protocol):
    """Sees to it that the watch looks again, because an examiner has reason to."""

    def __call__(self, after: float = 0.0) -> None:
        """``after`` so many seconds."""


class Dismiss(Protocol):
    """Ends what waits of a session, or of something else that is the subject of an incident."""

    async def __call__(self, name: str, why: str, /) -> None: ...


class Examiner(Protocol):
    """Finds failures of one kind that a look alone does not show."""

    @property
    def causes(self) -> frozenset[Cause]:
        """The causes that it names, and answers for; no other examiner names them."""
        ...

    async def examine(self, look: Look, free: Mapping[str, Expected]) -> Sequence[Finding]:
        """What it finds at this look, diagnosed, with evidence; ``free`` are those whom nobody is healing.

        Asked in each cycle, whatever the presence of the server, and no longer than a look at it. Slow
        work runs in tasks of its own, which signal the watch when they have something to say.
        """
        ...

    async def still(self, finding: Finding, look: Look) -> bool:
        """Whether that is so at this look: asked right before acting, and afterwards for the verdict."""
        ...


class CheckExaminer(Examiner, Protocol):
    """Finds checks that fail."""

    async def ask(self, check: Check, look: Look) -> Finding | None:
        """Ask once, at once: what is wrong, whatever was found before; None if it passes."""
        ...


class Prober(Protocol):
    """Asks programs, and what they need, how they are."""

    async def probe(self, what: Probe, seconds: float, about: Mapping[str, str]) -> ProbeResult:
        """One try within ``seconds``; what it finds is a value. ``about`` tells a command whom it is for."""
        ...


class Healer(Protocol):
    """Does what checks let be done, as far as it is done to the machine."""

    async def heal(self, call: HealCall) -> str:
        """Do it; one sentence about what was done, without secrets.

        A Temporary error: it has not worked now. A Permanent one: it will not.
        """
        ...

    async def take_back(self, call: HealCall) -> str:
        """Undo it, where it has a way back; one sentence about that."""
        ...

    async def foresee(self, heal: Heal) -> str:
        """Which files it would change now, without doing it; empty for a heal that changes none."""
        ...


class Wellness(Protocol):
    """What rules that measure have to say of a program."""

    def ailing(self, spot: Spot, pane: Pane, since: float) -> str:
        """Why the program in this pane is not well by the rules that speak of it; empty if it is.

        In words that follow its name. It began at ``since``, in monotonic seconds.
        """
        ...


class Senses(Protocol):
    """What programs do, seen from outside."""

    async def measure(self, panes: Iterable[Pane]) -> Mapping[str, Vitals]:
        """Of what runs in front in these panes, by pane id; those that have gone are left out."""
        ...


class Instruments(Protocol):
    """What broken panes and the machine still show. Nothing here changes anything of them."""

    async def tails(self, panes: Sequence[str]) -> Mapping[str, Tail]:
        """The last lines of those that are there, by pane id, as they are."""
        ...

    async def processes(self, subjects: Sequence[Subject]) -> tuple[Mapping[str, Tree], str]:
        """What each subject is, by its key, as far as it came in time; and what did not, if anything."""
        ...

    async def stacks(self, pids: Sequence[int]) -> tuple[PythonStack, ...]:
        """What the threads of these Python processes do; of very many, only the first are asked."""
        ...

    async def call_out(self, processes: Sequence[ProcessFacts], signal: str) -> tuple[str, ...]:
        """Have these print their stacks, those that handle this signal; why it was not sent to the others."""
        ...

    async def machine(self, folders: Sequence[str], groups: Sequence[str]) -> tuple[Machine | None, str]:
        """The machine, the disks of these folders, and these memory groups; and what did not come in time."""
        ...


class RoundsMeter(Protocol):
    """What is counted of questions that are asked over and over. Every call is cheap and never fails."""

    def probing(self, asked: Collection[tuple[str, str]]) -> None:
        """These pairs of rule and probe are asked from now on; the series of all others go."""

    def probed(self, rule: str, probe: str, fault: str, seconds: float, loss: float) -> None:
        """One try has ended; ``fault`` is empty where all was well.

        ``loss`` is the share of the last ones that were lost.
        """


class ProbeMeter(RoundsMeter, Protocol):
    """What is counted of probes and heartbeats too."""

    def heartbeats(self, missed: Mapping[str, int]) -> None:
        """How many programs miss their heartbeat now, by rule."""


class CheckMeter(RoundsMeter, Protocol):
    """What is counted of checks too."""

    def stands(self, check: str, *, passing: bool) -> None:
        """Whether it counts as passing from now on."""


class Mailbox(Protocol):
    """The durable queue of what people are told. Each writing method is one transaction."""

    async def queue_notice(self, notice: Notice, channels: Sequence[str]) -> int:
        """Queue it for each channel. Returns how many older ones had to go for it."""

    async def queued_notices(self, channel: str) -> tuple[QueuedNotice, ...]:
        """Oldest first."""

    async def notices_sent_since(self, channel: str, since: float) -> tuple[float, ...]:
        """When messages went through the channel, in wall seconds, oldest first."""

    async def settle_notices(
        self, channel: str, numbers: Sequence[int], outcome: Delivery, error: str = ""
    ) -> None:
        """They have come to an end."""

    async def postpone_notices(self, numbers: Sequence[int], due: float, error: str) -> None:
        """They are tried again at ``due``, in wall seconds."""


class QuietBook(Protocol):
    """The durable part of what keeps quiet. Each writing method is one transaction with its audit row."""

    async def silences(self) -> tuple[Silence, ...]:
        """Those that nobody has ended, oldest first."""

    async def add_silence(self, asked: SilenceRequest, actor: str) -> Silence:
        """Begin one."""
        ...

    async def end_silence(self, silence: Silence, why: str, actor: str) -> bool:
        """End it. False: it has ended already."""
        ...

    async def withhold(self, notice: Notice) -> None:
        """Keep it until it may be told; good news take away what they end."""

    async def withheld(self) -> tuple[Notice, ...]:
        """Oldest first."""

    async def release(self, over: Sequence[Notice], told: Mapping[str, Sequence[Notice]]) -> None:
        """Forget what was withheld, and queue some of it, by channel, as it is to be told; all or nothing."""


class Messenger(Protocol):
    """The doors to people."""

    async def deliver(self, channel: Channel, message: Message) -> None:
        """Hand a message over. Temporary: it may be taken another time; Permanent: never."""


class Silencers(Protocol):
    """Alertmanagers, as far as they keep quiet."""

    async def silences(self, target: Alertmanager) -> tuple[ForeignSilence, ...]:
        """Silences that have not ended. Temporary: it gives no answer."""
        ...


class Meter(Protocol):
    """What the corridor counts. Every call is cheap and never fails."""

    def failure(self, session: str, failure: str) -> None: ...

    def finding(self, cause: str) -> None: ...

    def recovery(
        self, failure: str, strategy: str, outcome: str, duration: float, time_to_recovery: float | None
    ) -> None: ...

    def healed(self, check: str, outcome: Outcome) -> None:
        """A heal of this check has ended."""

    def refusal(self, reason: str) -> None: ...

    def retry(self, operation: str) -> None: ...

    def transaction(self, outcome: str) -> None: ...

    def circuit_call(self, circuit: str, outcome: str) -> None: ...

    def circuit_moved(self, circuit: str, to: str) -> None: ...

    def checkpoint(self, seconds: float) -> None: ...

    def checkpoint_failed(self, reason: str) -> None: ...

    def checkpoint_corrupt(self) -> None: ...

    def checkpoint_restored(self, seconds: float) -> None: ...

    def rehearsed(self, outcome: str, seconds: float) -> None: ...

    def rehearsals_held_off(self, reason: str) -> None: ...

    def alert_received(self, status: str) -> None: ...

    def alert_skipped(self, reason: str) -> None: ...

    def notified(self, channel: str, outcome: str) -> None: ...

    def connection_lost(self) -> None: ...

    def task_restarted(self, task: str) -> None: ...

    def loop_lag(self, seconds: float) -> None: ...

    def forget_session(self, session: str) -> None:
        """The session is neither live nor expected: its series go."""


class Logbook(Protocol):
    """Log lines for people and machines; a closed set of action words."""

    def say(
        self, action: Action, *, level: str = "info", session: str = "", trace: str = "", **detail: object
    ) -> None: ...


class Bell(Protocol):
    """Events from tmux: looks that end in waiting."""

    async def arm(self) -> Look:
        """Look, and be ready to ring. ABSENT and UNKNOWN are answers."""

    async def rung(self) -> Ring:
        """Wait for a ring, or for the end of the wait by other means."""

    async def ring(self) -> None:
        """Ring it ourselves."""

    async def close(self) -> None:
        """Leave no hook and no client behind."""


class Manager(Protocol):
    """The service manager that has started us. Every call is cheap and never fails."""

    @property
    def watchdog(self) -> float | None:
        """Seconds within which it wants to be fed; None if it keeps no watchdog over us."""

    def ready(self) -> None: ...

    def feed(self) -> None: ...

    def status(self, sentence: str) -> None:
        """One line for people."""


class Processes(Protocol):
    """Ends of processes, told through the callback given at construction."""

    def follow(self, wanted: Iterable[Watched]) -> None:
        """Watch exactly these from now on."""

    def close(self) -> None: ...


class SocketFile(Protocol):
    """The file behind which the tmux server listens."""

    @property
    def wiped(self) -> bool:
        """Whether its folder has gone, and no socket has been there since."""

    async def changed(self) -> None:
        """Wait until it, or its folder, comes, goes, or changes hands or mode."""


class Extensions(Protocol):
    """Users' own strategies, each function in a process of its own."""

    async def call(self, call: OwnCall, tell: Callable[[str], None]) -> None:
        """Run a function to its end; ``tell`` gets what it says for the log.

        A Temporary error: it has not worked now. A Permanent one: it will not.
        """

    async def end(self, mark: str) -> None:
        """End what still runs of the recovery with this mark, which another run of ours has begun."""

    async def forget(self, mark: str) -> None:
        """The recovery with this mark has ended: nothing of it has to be remembered."""


class Host(Protocol):
    """Facts about the machine that cost nothing to ask."""

    @property
    def extensions(self) -> Extensions:
        """The door to users' own strategies."""

    @property
    def stopped(self) -> Stopped:
        """The door to what was stopped."""

    @property
    def healer(self) -> Healer:
        """The door to what checks let be done."""
        ...

    @property
    def boot_id(self) -> str: ...

    def missing_folders(self, paths: Iterable[str]) -> tuple[str, ...]:
        """Those of the paths that are not folders now."""

    async def pressure(self, server: int = 0) -> Pressure:
        """How hard the machine is pressed now; ``server`` is the process whose control group counts."""

    async def room(self) -> Room | None:
        """What is left on the disk of the state folder; None if it cannot be asked."""

    async def transcripts(self, image: SessionImage) -> Mapping[str, frozenset[str]]:
        """The ids of the conversations that agents of this session can take up, by the agents' folders.

        Only folders of which it is known.
        """

    async def surroundings(self, question: Question) -> Surroundings:
        """What the machine tells about what has broken. As slow as the slowest disk that is asked about."""

    def real_folders(self, paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
        """Each path with what it is once its symbolic links are followed."""

    async def run_script(self, arguments: Sequence[str], cwd: str, mark: str = "") -> None:
        """Run a program to its end, within a time limit of minutes; what it starts carries the ``mark``."""

    async def end_script(self, mark: str) -> None:
        """End what is left of a program that was run under this mark by a run of ours that is gone."""

    async def command_lines(
        self, roots: Mapping[str, tuple[int, ...]]
    ) -> Mapping[str, tuple[tuple[str, ...], ...]]:
        """The argument vectors of the process trees under these processes, by session."""

    async def usage(self, roots: Mapping[str, tuple[int, ...]]) -> Mapping[str, Usage]:
        """What the process trees under these processes use, by session."""
