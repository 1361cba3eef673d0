"""The composition root: one straight line that puts everything together, and takes it apart in reverse.

The only place that has met both the corridor and the doors.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry

from sidecar import __version__, config_lastgood, errand
from sidecar.clock import SystemClock, SystemDice
from sidecar.config import Settings
from sidecar.config_lastgood import Start
from sidecar.decide import conversation, layout, retain, stress
from sidecar.decide.by_hand import tmux_at
from sidecar.decide.defaults import Premises
from sidecar.edges import mounts, process
from sidecar.edges.aside import is_misplaced, put_aside
from sidecar.edges.diagnostics import DiagnosticsDoor
from sidecar.edges.guests import Guests
from sidecar.edges.heals.door import HealDoor
from sidecar.edges.host import LocalHost
from sidecar.edges.logs import JsonLog, adopt_library_logs
from sidecar.edges.metrics import Metrics
from sidecar.edges.notify import LocalMessenger
from sidecar.edges.probes.panes import Panes
from sidecar.edges.probes.prober import Prober
from sidecar.edges.probes.vitals import VitalsDoor
from sidecar.edges.process_watch import ProcessWatch
from sidecar.edges.stopped import StoppedDoor
from sidecar.edges.store import Store
from sidecar.edges.systemd import Notifier
from sidecar.edges.tmux.birth import birth_environment
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.doorbell import Doorbell
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.edges.tmux.socket_watch import SocketWatch
from sidecar.edges.tmux.sole import claim
from sidecar.edges.tmux.stage import Stage, stage_folder
from sidecar.edges.transcripts import Rules, Transcripts
from sidecar.entrance import Entrance, Telling
from sidecar.errors import ConfigInvalid, Permanent, SidecarError
from sidecar.flow import places
from sidecar.flow.absence import AbsenceExaminer
from sidecar.flow.archive import Archive
from sidecar.flow.checkpoint import Checkpointer
from sidecar.flow.checks import REMEMBERED, Checks
from sidecar.flow.circuits import Circuits
from sidecar.flow.critical import CriticalExaminer
from sidecar.flow.custody import Custody
from sidecar.flow.dependencies import Dependencies
from sidecar.flow.desk import FrontDesk
from sidecar.flow.examine import Examination
from sidecar.flow.execute import Executor
from sidecar.flow.foreign import Foreign
from sidecar.flow.frozen import ServerExaminer
from sidecar.flow.heartbeat import Heartbeats
from sidecar.flow.inquiry import Inquiry
from sidecar.flow.keeper import Keeper
from sidecar.flow.lanes import Lanes
from sidecar.flow.notify import Notices
from sidecar.flow.own_prober import OwnProber
from sidecar.flow.pace import Pace
from sidecar.flow.person import Person
from sidecar.flow.picture import picture
from sidecar.flow.pulse import Pulse
from sidecar.flow.quiet import Quiet
from sidecar.flow.reach import SocketExaminer
from sidecar.flow.records import Records
from sidecar.flow.recover import Recoverer
from sidecar.flow.rehearse import Props, Rehearser
from sidecar.flow.reload import Reloader
from sidecar.flow.rounds import Rounds
from sidecar.flow.shape import ShapeExaminer
from sidecar.flow.strain import Strain
from sidecar.flow.supervise import Supervisor
from sidecar.flow.suspended import ProgramExaminer
from sidecar.flow.terminals import TerminalExaminer
from sidecar.flow.ward import Ward
from sidecar.flow.watch import Tools, Watch
from sidecar.model.check import Check
from sidecar.model.heartbeat import Heartbeat
from sidecar.model.incident import SignalKind
from sidecar.model.record import Action, IncidentRow
from sidecar.model.session import Look, Presence, armed_in
from sidecar.model.status import Status
from sidecar.tasks import Tasks
from sidecar.web.routes import Service, make_app
from sidecar.web.tokens import TokenDamaged, ensure_token

CONVERSATIONS = Rules(conversation.agent_name, conversation.named, conversation.alone, conversation.written)

_USAGE_EVERY = 15.0
_LAG_EVERY = 0.5
_DRAIN_SECONDS = 10.0
_STALE_CYCLE = 30.0


class Sidecar:
    """The service. ``start`` builds it, ``stop`` leaves nothing behind."""

    def __init__(
        self,
        settings: Settings,
        state: Path,
        *,
        environment: Mapping[str, str] = os.environ,
        reread: Callable[[], Settings] | None = None,
        found: Start | None = None,
        log_level: str = "info",
    ) -> None:
        """
        Args:
            settings: those to start with.
            state: the state folder.
            environment: the one that tmux and what is started get.
            reread: gives the settings anew, for a reload; without it they never change.
            found: how the file was found that they are from.
            log_level: the least that is logged.
        """
        self.settings = settings
        self._found = found or Start(settings)
        self._state = state
        self._environment = environment
        self._reread = reread or (lambda: settings)
        self._clock = SystemClock()
        self._transcripts = Transcripts(self._clock, CONVERSATIONS, environment)
        self._log = JsonLog(self._clock, log_level)
        self._manager = Notifier(environment)
        self._status = Status()
        self._incidents: tuple[IncidentRow, ...] = ()
        self._looked = asyncio.Event()
        """Set by each finished cycle."""
        self._undo = contextlib.AsyncExitStack()
        self.address = ""
        self.token = ""

    async def start(self) -> None:
        """Take the locks, open the doors, start the tasks.

        Raises:
            SidecarError: it cannot run here; nothing is left behind.
        """
        try:
            await self._start()
        except BaseException:
            await self._undo.aclose()
            raise

    @property
    def status(self) -> Status:
        """The present picture."""
        return self._status

    @property
    def desk(self) -> FrontDesk:
        """Where requests are made, once it has started."""
        return self._desk

    async def stop(self) -> None:
        """Let running recoveries end, then take everything apart in reverse."""
        self._manager.stopping()
        self._ward.draining = True
        await self._tasks.settle("recover ", _DRAIN_SECONDS)
        await self._undo.aclose()
        self._log.say(Action.STOPPED)

    async def reload(self) -> None:
        """Read the configuration again, and look at once with what it says.

        Raises:
            ConfigInvalid: it has faults; nothing has changed.
            StoreUnavailable: the change could not be put on record; nothing has changed.
        """
        self._manager.reloading(self._clock.monotonic())
        try:
            await self._reload_all()
            self._quiet.look_again()
            self._watch.signal(SignalKind.REQUEST)
        finally:
            self._manager.ready()
            self._redraw()

    async def _reload_all(self) -> None:
        files = self._entrance.files
        try:
            web_config = await files.check()
        except Permanent as error:
            await files.refuse(error)
            raise
        await self._reloader.reload()
        await files.take_up(web_config)

    def adopt_library_logs(self) -> None:
        """What libraries log takes the form of our own lines from now on, in the whole process."""
        adopt_library_logs(self._log)

    def hang_up(self) -> None:
        """SIGHUP: reload, without anybody to answer to; the log tells."""
        self._tasks.spawn("reload", self._reload_on_hang_up())

    async def _reload_on_hang_up(self) -> None:
        # What is wrong with the file has been logged, fault by fault.
        with contextlib.suppress(ConfigInvalid), errand.sent_by("operator", signal="SIGHUP"):
            await self.reload()

    async def _start(self) -> None:
        clock, settings, log = self._clock, self.settings, self._log
        runner = TmuxRunner(settings.tmux, dict(self._environment))
        if shutil.which("tmux", path=self._environment.get("PATH")) is None:
            raise Permanent("tmux is not installed", hint="On Debian: apt-get install tmux.")
        self._descriptors = process.raise_descriptor_limit()
        host = LocalHost(
            self._transcripts,
            StoppedDoor(clock),
            self._build_extensions(runner),
            HealDoor(self._state, clock),
            self._state,
        )
        self.metrics = Metrics(
            CollectorRegistry(), lambda: self._status, version=__version__, python=platform.python_version()
        )
        self._store = store = await asyncio.to_thread(self._open_store)
        self._undo.callback(store.close)
        self.metrics.reserve(store.reserve_bytes)
        self.metrics.seed(await store.counts())
        self._undo.callback(claim(runner.socket))
        self._ward = ward = Ward(settings, clock.wall())
        tmux = self._open_door(host, runner, self._state / "scrollback")
        bell = Doorbell(runner, clock, host.boot_id, self._complete)
        self._tasks = tasks = Tasks(self._task_ended)
        self._strain = strain = Strain(ward, store, host, clock, log, lambda: self._strained())
        lanes = self._lanes = Lanes(ward, log, strain)
        checkpointer = Checkpointer(ward, tmux, store, clock, self.metrics, log, strain.turned_down)
        self._circuits = Circuits(store, clock, self.metrics, lambda: ward.settings.recovery.circuit)
        by_hand = tmux_at(str(runner.socket))
        executor = Executor(store, clock, SystemDice(), self.metrics, log, ward.retry, by_hand)
        self._reloader = Reloader(ward, self._reread, store, clock, log, self._keep_settings)
        messenger = LocalMessenger()
        notices = Notices(ward, store, messenger, clock, SystemDice(), self.metrics, log, platform.node())
        self._person = person = Person(ward, tmux, store, store.quiet, notices, clock, self.metrics, log)
        foreign = Foreign(ward, messenger, clock, log, self._unheld)
        self._quiet = Quiet(ward, store, store.quiet, person, clock, log, self._unheld)
        socket = SocketWatch(runner.socket, clock)
        self._undo.callback(socket.close)
        server_examiner = ServerExaminer(ward, tmux, host.stopped, clock, self._notice)
        heartbeats = self._build_heartbeats()
        checks = self._checks = self._build_checks(person, host.stopped, runner)
        examiners = (
            server_examiner,
            SocketExaminer(tmux, socket, host.boot_id),
            ShapeExaminer(ward, host, clock, self._notice),
            ProgramExaminer(host.stopped, clock, self._notice),
            TerminalExaminer(ward, host.stopped, clock, self._notice),
            AbsenceExaminer(ward, store, clock),
            CriticalExaminer(ward, host, clock, self._notice),
            heartbeats,
            checks,
        )
        supervisor = Supervisor(ward, store, host.stopped, clock, SystemDice(), log, self._notice, heartbeats)
        examination = Examination(examiners, supervisor, log, checks)
        recoverer = Recoverer(
            ward, tmux, store, host, clock, self.metrics, log, checkpointer, executor, self._circuits, person,
            Pace(clock, strain.starts, strain.memory), examination, strain,
            DiagnosticsDoor(runner, self._environment),
        )  # fmt: skip
        rehearser = Rehearser(
            ward, Props(self._build_stage(host), store, host, clock, SystemDice(), self.metrics, log, person)
        )
        watched = ProcessWatch(clock, lambda ended: self._watch.process_ended(ended))
        self._undo.callback(watched.close)
        folders = {"state folder": str(self._state), "tmux socket folder": str(runner.socket.parent)}
        inquiry = Inquiry(host, store, clock, log, folders)
        tools = Tools(
            tmux, bell, store, host, watched, socket, clock, log, self.metrics, checkpointer, recoverer,
            lanes, examination, inquiry, tasks.spawn,
        )  # fmt: skip
        self._watch = watch = Watch(ward, tools, self._cycled)
        self._archive = Archive(
            ward, tmux, store, store.shelf, clock, self.metrics, checkpointer, watch, recoverer
        )
        self._custody = Custody(ward, tmux, store, clock, self.metrics, log, watch)
        self._records = Records(ward, store, self._circuits, clock, watch)
        self._desk = FrontDesk(ward, watch, store, clock, self.metrics, tasks.spawn, log)
        keeper = Keeper(ward, store, clock, log)
        self._undo.push_async_callback(self._leave_tmux, tmux, bell)
        await self._reconcile(watch, checkpointer, rehearser, keeper)
        self._undo.push_async_callback(self._lay_down)
        self._undo.push_async_callback(tasks.cancel)
        await watch.tidy()
        await watch.take_up_unfinished()
        tasks.keep("watch", watch.run)
        tasks.keep("tick", watch.tick)
        tasks.keep("server state", server_examiner.glance)
        tasks.keep("heartbeats", heartbeats.run)
        tasks.keep("checks", checks.run)
        tasks.keep("doorbell", watch.doorbell)
        tasks.keep("socket", watch.socket)
        tasks.keep("strain", strain.run)
        tasks.keep("checkpoint", checkpointer.run)
        tasks.keep("settings", checkpointer.notice_settings)
        tasks.keep("rehearsal", rehearser.run)
        tasks.keep("notices", notices.run)
        tasks.keep("quiet", self._keep_quiet)
        tasks.keep("foreign silences", foreign.run)
        tasks.keep("usage", lambda: self._measure(host))
        tasks.keep("incidents", self._follow_incidents)
        tasks.keep("loop lag", self._feel_lag)
        tasks.keep("keeper", keeper.run)
        tasks.keep("reserve", keeper.guard_reserve)
        await self._listen()
        pulse = Pulse(
            self._manager, store, clock, watch.first_cycle, lambda: watch.cycles, lambda: self._status
        )
        tasks.keep("pulse", pulse.run)
        await self._desk.take_up_pending()
        log.say(Action.STARTED, address=self.address, version=__version__, mode=settings.recovery.mode)

    def _keep_settings(self, settings: Settings) -> None:
        config_lastgood.keep(settings, self._state, self._clock.wall())

    def _build_heartbeats(self) -> Heartbeats:
        clock, dice, log, meter = self._clock, SystemDice(), self._log, self.metrics.probes
        prober = Prober(clock)
        self._undo.push_async_callback(prober.close)
        rounds: Rounds[Heartbeat] = Rounds(prober, clock, dice, meter, log)
        dependencies = Dependencies(
            self._ward,
            self._circuits,
            rounds,
            clock,
            self._notice,
            lambda name, why: self._watch.dismiss(name, why),
        )
        return Heartbeats(
            self._ward, rounds, dependencies, VitalsDoor(clock), clock, dice, meter, log, self._notice
        )

    def _build_checks(self, person: Person, stopped: StoppedDoor, runner: TmuxRunner) -> Checks:
        clock, meter = self._clock, self.metrics.checks
        prober = Prober(clock, commands=places.COMMANDS + places.HUNG, panes=Panes(runner, clock))
        self._undo.push_async_callback(prober.close)
        rounds: Rounds[Check] = Rounds(
            OwnProber(prober, self._ward, self._store, clock), clock, SystemDice(), meter, self._log,
            places.Room(), remembered=REMEMBERED,
        )  # fmt: skip
        return Checks(
            self._ward, rounds, self._store, stopped, person, clock, meter, self._log, self._notice,
            lambda name, why: self._watch.dismiss(name, why), self._survey,
        )  # fmt: skip

    async def _survey(self) -> Premises:
        """What the checks that come without being configured are about."""
        await self._watch.first_cycle.wait()
        sessions = {name: entry.session for name, entry in self._ward.expected.items()}
        folders = {pane.cwd for session in sessions.values() if session for pane in session.panes()}
        disks: tuple[str, ...] = ()
        # Without the table of mounts the state folder's own disk is the only one that is known.
        with contextlib.suppress(OSError):
            disks = await asyncio.to_thread(mounts.disks, folders - {""}, str(self._state))
        return Premises(str(self._state), self.address, disks, tuple(sessions))

    def _open_store(self) -> Store:
        return Store(
            self._state,
            self._clock,
            retain.keep,
            on_corrupt=self._tell_damage,
            on_write=self.metrics.written,
            on_audit=self.metrics.audited,
            on_reserve=self._tell_reserve,
        )

    def _tell_damage(self, count: int) -> None:
        """From whichever thread: so many things in the store are not what was stored."""
        self.metrics.checkpoint_corrupt(count)
        self._log.say(
            Action.STORE_DAMAGED,
            level="error",
            found=count,
            hint="Nothing of it is used. `sidecar checkpoint verify` and `sidecar audit list` name it.",
        )

    def _tell_reserve(self, size: int) -> None:
        """From whichever thread: the space that is kept for the record is another now."""
        self.metrics.reserve(size)
        if size:
            self._log.say(Action.RESERVE_MADE, bytes=size)
        else:
            self._log.say(
                Action.RESERVE_GIVEN_UP,
                level="error",
                hint="The disk is full, and the record goes on in what was kept for it. Free some space.",
            )

    def _complete(self, look: Look) -> Look:
        return self._transcripts.complete(process.complete(look))

    def _open_door(self, host: LocalHost, runner: TmuxRunner, scratch: Path) -> TmuxDoor:
        return TmuxDoor(
            runner,
            self._clock,
            boot_id=host.boot_id,
            complete=self._complete,
            in_front=process.in_front,
            valid_layout=layout.valid,
            scratch=scratch,
            descriptors=self._descriptors,
        )

    def _build_extensions(self, runner: TmuxRunner) -> Guests:
        environment = birth_environment((), self._environment)
        return Guests(runner.socket, self._state / "extensions", environment, self._clock)

    def _build_stage(self, host: LocalHost) -> Stage:
        return Stage(
            stage_folder(self._state),
            self._clock,
            self._environment,
            lambda runner, scratch: self._open_door(host, runner, scratch),
        )

    async def _reconcile(
        self, watch: Watch, checkpointer: Checkpointer, rehearser: Rehearser, keeper: Keeper
    ) -> None:
        """Take up what an earlier run left: its sessions, its incidents, its circuits."""
        now = self._clock.wall()
        if self._store.set_aside is not None:
            self._log.say(Action.DATABASE_SET_ASIDE, level="error", file=str(self._store.set_aside))
            await self._store.audit(
                Action.DATABASE_SET_ASIDE, now, detail={"file": self._store.set_aside.name}
            )
        self._tell_lost_records()
        await self._circuits.load()
        await watch.load()
        if self._found.loaded is None:
            await self._reloader.keep()
        else:
            await self._reloader.fall_back(self._found.faults, self._found.loaded)
        await self._reloader.tell_workspace_faults()
        await checkpointer.count()
        await rehearser.load()
        await self._quiet.load()
        await self._strain.load()
        await self._store.audit(Action.STARTED, now, detail={"version": __version__, "pid": os.getpid()})
        self._undo.push_async_callback(self._sign_off, keeper)

    async def _sign_off(self, keeper: Keeper) -> None:
        # Where the book cannot take it, the next start tells that an end is missing.
        with contextlib.suppress(SidecarError):
            await self._store.audit(Action.STOPPED, self._clock.wall(), detail={"pid": os.getpid()})
            await keeper.note_head()

    def _tell_lost_records(self) -> None:
        """What the database has lost while nobody was there."""
        if self._store.cut_off:
            self._log.say(
                Action.DATABASE_LOG_DAMAGED,
                level="error",
                folder=str(self._state),
                hint="What was recorded last before the last end is lost; `sidecar checkpoint list` shows "
                "what is there.",
            )
        if self._store.is_fresh and self._store.set_aside is None and (self._state / "token").exists():
            self._log.say(
                Action.DATABASE_LOST,
                level="error",
                folder=str(self._state),
                hint="The folder was in use, and its database is new: what was recorded before is not there.",
            )

    async def _lay_down(self) -> None:
        """What still runs is for the next start to go on with, and no crash has cut it off."""
        # Where the book cannot take it, the next start counts it as one.
        with contextlib.suppress(SidecarError):
            for number in await self._store.lay_down(self._clock.wall()):
                self._log.say(Action.RECOVERY_INTERRUPTED, level="warning", recovery=number)

    async def _listen(self) -> None:
        token_file = Path(self.settings.http.token_file or self._state / "token")
        self.token = await self._own_token(token_file)
        self._entrance = entrance = Entrance(
            self.settings.http,
            self._state,
            self.token,
            self._clock,
            Telling(self._log, self._store),
            self.metrics.connection,
        )
        await entrance.files.begin()
        service = Service(
            desk=self._desk,
            archive=self._archive,
            custody=self._custody,
            quiet=self._quiet,
            checks=self._checks,
            people=self._person,
            records=self._records,
            settings=lambda: self._ward.settings,
            reload=self.reload,
            status=lambda: self._status,
            ready=lambda: self._watch.first_cycle.is_set() and not self._ward.draining,
            healthy=lambda: self._clock.wall() - self._watch.cycled < _STALE_CYCLE,
            render=self.metrics.render,
            observe=self.metrics.request,
            clock=self._clock,
            gate=entrance.gate,
        )
        self._undo.push_async_callback(entrance.close)
        addresses = await entrance.open(make_app(service))
        self.address = addresses[0].partition(" ")[0]
        self._tasks.keep("web files", entrance.files.run)
        address_file = self._state / "address"
        if address_file.is_symlink() or is_misplaced(address_file):
            await self._put_aside(address_file)
        try:
            address_file.write_text("\n".join(addresses) + "\n")
        except OSError as error:
            raise Permanent(
                f"{address_file} cannot be written: {error.strerror}", hint="Check the disk and its folder."
            ) from error
        self._undo.callback(address_file.unlink, missing_ok=True)

    async def _own_token(self, path: Path) -> str:
        """The token; a damaged one gives way to a new one, unless the configuration names its file."""
        try:
            return ensure_token(path)
        except TokenDamaged:
            if self.settings.http.token_file is not None:
                raise
        await self._put_aside(path)
        return ensure_token(path)

    async def _put_aside(self, path: Path) -> None:
        """What is damaged in the state folder is kept, under another name, and said."""
        try:
            aside = put_aside(path)
        except OSError as error:
            raise Permanent(
                f"{path} cannot be moved: {error.strerror}", hint="Check the disk and its folder."
            ) from error
        hint = "What was made in its place is new: whoever has the old one needs it."
        self._log.say(Action.STATE_SET_ASIDE, level="error", file=str(aside), hint=hint)
        await self._store.audit(Action.STATE_SET_ASIDE, self._clock.wall(), detail={"file": aside.name})

    async def _leave_tmux(self, tmux: TmuxDoor, bell: Doorbell) -> None:
        """No hook, no option, no waiting client of ours stays behind."""
        await bell.close()
        look = await tmux.look()
        with contextlib.suppress(SidecarError):
            await tmux.disarm(*armed_in(look.sessions))

    def _notice(self, after: float = 0.0) -> None:
        """An examiner has reason to look (again)."""
        self._tasks.spawn("look again", self._look_after(after))

    async def _look_after(self, seconds: float) -> None:
        await self._clock.sleep(seconds)
        self._watch.signal(SignalKind.STOPPED)

    async def _measure(self, host: LocalHost) -> None:
        while True:
            look = self._ward.look
            if look.presence is Presence.PRESENT:
                roots = {
                    session.name: tuple(pane.pid for pane in session.panes())
                    for session in look.sessions
                    if session.name in self._ward.expected
                }
                self._ward.usage = await host.usage(roots)
            if not await asyncio.to_thread(self._store.is_on_disk):
                self._log.say(
                    Action.DATABASE_LOST,
                    level="error",
                    folder=str(self._state),
                    hint="Somebody has removed it; what is recorded now is lost. Restart the sidecar.",
                )
            self._redraw()
            await self._clock.sleep(stress.pause(_USAGE_EVERY, self._ward.stress))

    def _cycled(self) -> None:
        self._redraw()
        self._looked.set()

    async def _follow_incidents(self) -> None:
        """Show what is open by the book as it is now, for ever; a cycle follows whatever changes that."""
        while True:
            await self._looked.wait()
            self._looked.clear()
            incidents = await self._store.open_incidents()
            if incidents != self._incidents:
                self._incidents = incidents
                self._redraw()

    def _strained(self) -> None:
        """Something became short, or is not short any more: whoever waits for it may come."""
        self._lanes.move_up()
        self._watch.signal(SignalKind.RETRY)

    async def _keep_quiet(self) -> None:
        # Before the first look nobody can tell what is still wrong.
        await self._watch.first_cycle.wait()
        await self._quiet.run()

    def _unheld(self) -> None:
        """Something became quiet, or is not quiet any more."""
        self._watch.signal(SignalKind.REQUEST)
        self._redraw()

    async def _feel_lag(self) -> None:
        while True:
            due = self._clock.monotonic() + _LAG_EVERY
            await self._clock.sleep(_LAG_EVERY)
            late = max(self._clock.monotonic() - due, 0.0)
            self._ward.lags.append(late)
            self.metrics.loop_lag(late)

    def _redraw(self) -> None:
        self._status = picture(
            self._ward,
            incidents=self._incidents,
            circuits=self._circuits.states,
            checks=self._checks.states(),
            alerts_pending=self._desk.pending_alerts,
            store_bytes=self._store.size_bytes(),
            started=self._status.started or self._clock.wall(),
            last_look=self._watch.cycled,
        )

    def _task_ended(self, name: str, error: BaseException | None) -> None:
        self.metrics.task_restarted(name.split(" ")[0])
        self._log.say(
            Action.TASK_FAILED,
            level="error",
            task=name,
            error=repr(error) if error else "it ended by itself",
            hint=getattr(error, "hint", ""),
        )
