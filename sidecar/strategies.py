"""A recovery strategy of your own: what a package imports that brings one.

A strategy is a value that names its steps, each with what it does and how that is taken back::

    from sidecar.strategies import Context, Step, Strategy

    def restart(context: Context) -> None:
        context.pane.send_keys("jupyter lab", enter=True)

    def runs(context: Context) -> bool:
        return context.pane.pane_current_command == "jupyter-lab"

    strategy = Strategy(
        failures=("crashed",),
        units=("program",),
        steps=(Step("restart", restart, done=runs, nothing_to_undo="a program that runs harms nobody"),),
        verify=runs,
    )

The package announces it in its ``pyproject.toml``, and a ladder of the configuration uses it as
``custom:notebook``::

    [project.entry-points."sidecar.strategies"]
    notebook = "my_package:strategy"

Every function runs in a process of its own, with a time limit, and may be cut off at any point and run
again: ``docs/extending.md`` tells what follows from that. This module needs nothing but Python; libtmux
is imported when a function asks for the session.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import libtmux

GROUP = "sidecar.strategies"
"""The entry-point group."""
MEMORY_LIMIT = 64 * 1024
"""Bytes of JSON that a recovery may remember."""
_LONGEST = 3600.0
_MOST_STEPS = 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _.-]{0,59}")


class TryAgain(Exception):
    """It did not work now, and may work later: the step is tried again as the retry policy says.

    Raised by a step's functions. ``hint`` is for the operator; ``after`` are the least seconds to wait.
    Any other error that a function raises counts as this one.
    """

    def __init__(self, sentence: str, *, hint: str = "", after: float = 0.0) -> None:
        super().__init__(sentence)
        self.hint = hint
        self.after = after


class GiveUp(Exception):
    """It will not work, however often it is tried: what was done is undone, and the recovery has failed."""

    def __init__(self, sentence: str, *, hint: str = "") -> None:
        super().__init__(sentence)
        self.hint = hint


@dataclass(frozen=True)
class Part:
    """One broken part of the session."""

    unit: str
    """``terminal``, ``program``, ``pane``, ``window`` or ``session``."""
    pane: str = ""
    """Pane id (``%3``), where a pane is concerned."""
    pid: int = 0
    """The process that is gone, or is stopped; 0 if there is none."""
    window: int | None = None
    """Window index, where a window is concerned."""
    argv: tuple[str, ...] = ()
    """The program that ran there, as it was started; empty where none is known."""


@dataclass(frozen=True)
class Finding:
    """What is broken, and why."""

    failure: str
    """``crashed``, ``corrupted``, ``frozen``, ... as in ``docs/words.md``."""
    cause: str
    """``command_failed``, ``process_suspended``, ... as in ``docs/words.md``."""
    intent: str = "failure"
    """``failure``, ``person`` or ``unknown``."""
    parts: tuple[Part, ...] = ()
    evidence: tuple[str, ...] = ()
    """What was observed, one sentence for each fact."""


@dataclass(frozen=True)
class Checkpoint:
    """The newest good checkpoint of the session."""

    id: int
    taken: float
    """Wall seconds."""


@dataclass
class Context:
    """What a function gets: the session, what is wrong with it, and a memory that outlives a crash.

    In a test of your own, make one by hand: name, finding and socket are enough.
    """

    name: str
    """The session's name."""
    finding: Finding
    socket: str
    """Path of the tmux server's socket."""
    session_id: str = ""
    """The session's id (``$3``); empty finds it by its name."""
    checkpoint: Checkpoint | None = None
    again: bool = False
    """An earlier attempt at this step may have had its effect, or some of it."""
    say: Callable[[str], None] = print
    """Writes a line into the log of the sidecar."""
    memory_file: str = ""
    """Where the memory is kept; empty keeps it in this process only."""
    _memory: dict[str, Any] = field(default_factory=dict)

    @property
    def server(self) -> libtmux.Server:
        """The tmux server.

        Raises:
            GiveUp: libtmux is not installed.
        """
        try:
            import libtmux
        except ImportError as error:
            raise GiveUp(
                "libtmux is not installed beside the sidecar",
                hint="pip install 'tmux-sidecar[extend]' brings it.",
            ) from error
        return libtmux.Server(socket_path=self.socket)

    @property
    def session(self) -> libtmux.Session:
        """The session as it is now.

        Raises:
            TryAgain: it is not there.
        """
        sessions = self.server.sessions
        if self.session_id:
            found = sessions.get(default=None, session_id=self.session_id)
        else:
            found = sessions.get(default=None, session_name=self.name)
        if found is None:
            raise TryAgain(f"session {self.name} is not there", hint="The sidecar looks after that itself.")
        return found

    @property
    def pane(self) -> libtmux.Pane:
        """The first broken pane, as it is now.

        Raises:
            GiveUp: no pane is broken, or it is gone.
        """
        wanted = next((part.pane for part in self.finding.parts if part.pane), "")
        found = self.session.panes.get(default=None, pane_id=wanted)
        if found is None:
            raise GiveUp(
                f"pane {wanted or '(none is broken)'} is not there", hint="Somebody acted meanwhile."
            )
        return found

    @property
    def memory(self) -> Mapping[str, Any]:
        """What this recovery has remembered so far, in any step and any attempt."""
        if self.memory_file and not self._memory:
            try:
                self._memory = json.loads(Path(self.memory_file).read_text())
            except FileNotFoundError:
                self._memory = {}
        return dict(self._memory)

    def remember(self, **values: Any) -> None:
        """Keep values (anything that JSON has) for later steps, attempts and for undoing.

        They are on disk when this returns, so remember *before* you change what they describe.

        Raises:
            ValueError: they come to more than 64 KiB, or are nothing that JSON has.
        """
        memory = {**self.memory, **values}
        try:
            text = json.dumps(memory, allow_nan=False)
        except TypeError as error:
            raise ValueError(f"only what JSON has can be remembered: {error}") from error
        if len(text) > MEMORY_LIMIT:
            raise ValueError(f"a recovery may remember {MEMORY_LIMIT // 1024} KiB, and not {len(text)} bytes")
        self._memory = memory
        if self.memory_file:
            _write_whole(Path(self.memory_file), text)


def _write_whole(file: Path, text: str) -> None:
    """All of it or nothing, also when the machine is switched off meanwhile."""
    draft = file.with_name(f"{file.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as writer:
        writer.write(text)
        writer.flush()
        os.fsync(writer.fileno())
    draft.replace(file)


Act = Callable[[Context], None]
"""Changes something. Returns nothing; raises if it did not work."""
Question = Callable[[Context], bool]
"""Looks, and changes nothing."""


@dataclass(frozen=True)
class Step:
    """One effect, and how it is taken back.

    Raises:
        ValueError: it does not say how it is taken back, or what happens when it is done twice.
    """

    name: str
    """For people: in dry runs, the journal and the audit trail."""
    do: Act
    undo: Act | None = None
    """Takes back what ``do`` has done, wherever it was cut off. May itself be cut off and run again."""
    nothing_to_undo: str = ""
    """Why there is no way back and none is needed; given where ``undo`` is not."""
    done: Question | None = None
    """Asked before ``do`` is run again: whether it has been done already."""
    idempotent: bool = False
    """``do`` may be done twice; given where ``done`` is not."""
    seconds: float = 30.0
    """How long one attempt may take before it is cut off."""
    by_hand: tuple[str, ...] = ()
    """Commands for a person, should ``undo`` not work. ``{session}`` becomes the session's name."""

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError(f"step {self.name!r}: a name has 1 to 60 letters, digits, spaces, dots, - and _")
        where = f"step {self.name!r}"
        for word, function in (("do", self.do), ("undo", self.undo), ("done", self.done)):
            if not (callable(function) or (function is None and word != "do")):
                raise ValueError(f"{where}: {word} is no function")
        if (self.undo is None) is not bool(self.nothing_to_undo):
            raise ValueError(f"{where} needs either undo or nothing_to_undo (why none is needed)")
        if (self.done is None) is not self.idempotent:
            raise ValueError(f"{where} needs either done or idempotent=True: it may be cut off and run again")
        if isinstance(self.by_hand, str) or not all(isinstance(line, str) for line in self.by_hand):
            raise ValueError(f"{where}: by_hand is a tuple of commands")
        _check_seconds(self.seconds, f"{where}: seconds")


@dataclass(frozen=True)
class Strategy:
    """A recovery strategy: what it is for, its steps in order, and when it has worked.

    Raises:
        ValueError: it contradicts itself.
    """

    failures: tuple[str, ...]
    """What it can mend: ``crashed``, ``corrupted``, ``frozen``, ``unhealthy``."""
    units: tuple[str, ...]
    """What may be broken: ``terminal``, ``program``, ``pane``, ``window`` or ``session``."""
    steps: tuple[Step, ...]
    causes: tuple[str, ...] = ()
    """Only for these causes; empty for all."""
    verify: Question | None = None
    """Whether it has worked; asked after the last step, and again for as long as the retry policy allows.
    Without it the session has to be as it was before it broke."""
    verify_seconds: float = 10.0
    """How long one answer may take."""

    def __post_init__(self) -> None:
        for word in ("failures", "units", "causes"):
            value = getattr(self, word)
            if isinstance(value, str) or not all(isinstance(each, str) for each in value):
                raise ValueError(f"{word} is a tuple of words")
            if not value and word != "causes":
                raise ValueError(f"{word} is empty")
        if not self.steps or not all(isinstance(step, Step) for step in self.steps):
            raise ValueError("steps has at least one Step, and nothing else")
        names = [step.name for step in self.steps]
        if len(set(names)) < len(names) or len(names) > _MOST_STEPS:
            raise ValueError(f"steps has at most {_MOST_STEPS}, each with a name of its own")
        if self.verify is not None and not callable(self.verify):
            raise ValueError("verify is no function")
        if self.verify is None and {"window", "session"} & set(self.units):
            raise ValueError(
                "a strategy for windows or sessions needs verify: what is gone cannot be compared"
            )
        _check_seconds(self.verify_seconds, "verify_seconds")


def _check_seconds(value: float, what: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _LONGEST:
        raise ValueError(f"{what} is a number above 0, and at most {_LONGEST:g}")
