"""What is known about one broken part when its cause is asked for, and each single fact that it tells.

A clue is a question with an observed fact as its answer, or none. What a clue is worth, and for
which cause, is in ``causes``.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from sidecar.decide.detect import Expected, server_of
from sidecar.decide.lost import FATAL_SIGNALS
from sidecar.model.incident import Broken, Evidence, Exit, Role, Unit
from sidecar.model.session import Look, Pane, Presence
from sidecar.model.surroundings import Surroundings

_KILLED = -9
_POLITE = frozenset({-1, -2, -15})
"""HUP, INT, TERM: how a person or an orderly stop ends a server."""


@dataclass(frozen=True, slots=True)
class Context:
    """The evidence that is there when a failure is diagnosed."""

    look: Look
    expected: Expected | None
    exits: Mapping[int, Exit] = field(default_factory=dict)
    server_exit: Exit | None = None
    """The end of the server in which the session was last seen."""
    bell_words: str = ""
    """What the waiting tmux client said when the server left it; empty when nothing."""
    boot_id: str = ""
    missed: float | None = None
    """Monotonic seconds at which a look had come back without it for the first time, if one has."""
    surroundings: Surroundings | None = None
    """What the machine tells; None when it was not asked, or has not answered in time."""


@dataclass(frozen=True, slots=True)
class Clues:
    """One broken part and all that is known about it."""

    part: Broken
    context: Context
    is_shell: Callable[[Sequence[str]], bool]

    @property
    def whole(self) -> bool:
        """Whether it is a session that is gone."""
        return self.part.unit in (Unit.SESSION, Unit.SERVER)

    @property
    def server_lives(self) -> bool:
        """Whether the server in which the session was last seen has answered."""
        look, expected = self.context.look, self.context.expected
        if expected is None or look.presence is not Presence.PRESENT or look.server is None:
            return False
        return expected.instance.startswith(f"{look.server}/")

    @property
    def server_end(self) -> Exit | None:
        """How the server ended with which the session went, if it did."""
        return None if not self.whole or self.server_lives else self.context.server_exit

    @property
    def ends(self) -> tuple[Exit, ...]:
        """The ends that matter here: the server's if it was killed, else those of the lost processes."""
        server = self.server_end
        if server is not None and server.code in FATAL_SIGNALS:
            return (server,)
        if not self.whole:
            return self._own()
        return tuple(self.context.exits[pid] for pid in self._lost() if pid in self.context.exits)

    @property
    def fatal(self) -> tuple[Exit, ...]:
        """Those of them that nobody means: by SIGKILL or a crash, before tmux let go of the process."""
        missed = self.context.missed
        return tuple(
            end
            for end in self.ends
            if end.code in FATAL_SIGNALS and (missed is None or not self.whole or end.seen <= missed)
        )

    @property
    def pids(self) -> frozenset[int]:
        """The processes whose end would explain it."""
        known, expected = {end.pid for end in self.ends}, self.context.expected
        if not self.whole or expected is None or self.server_lives:
            return frozenset(known or {self.part.pid})
        return frozenset({*known, server_of(expected.instance)})

    @property
    def pane(self) -> Pane | None:
        """The pane as it was, if it is known."""
        expected = self.context.expected
        if expected is not None and expected.session is not None:
            for pane in expected.session.panes():
                if pane.id == self.part.pane:
                    return pane
        return self.context.look.pane(self.part.pane)

    def _of_window(self) -> Iterable[int]:
        expected, index = self.context.expected, self.part.window
        windows = (
            (*expected.lost, *(expected.session.windows if expected.session else ())) if expected else ()
        )
        return [pane.pid for window in windows if window.index == index for pane in window.panes]

    def _lost(self) -> Iterable[int]:
        """What went with the session: a pane that was kept dead before had no part in that."""
        expected = self.context.expected
        panes = expected.session.panes() if expected and expected.session else ()
        return [pane.pid for pane in panes if not pane.dead]

    def _own(self) -> tuple[Exit, ...]:
        """The end of the part's own process: as we saw it, else by tmux's account."""
        part = self.part
        if part.unit is Unit.WINDOW:
            return tuple(self.context.exits[pid] for pid in self._of_window() if pid in self.context.exits)
        known = self.context.exits.get(part.pid)
        if part.code is None or (known is not None and known.code is not None):
            return () if known is None else (known,)
        role = Role.PROGRAM if part.unit is Unit.PROGRAM else Role.PANE
        return (Exit(role, part.pid, "", part.pane, part.code, self.context.look.taken, "tmux"),)


Clue = Callable[[Clues], Evidence | None]


def never_seen(clues: Clues) -> Evidence | None:
    expected = clues.context.expected
    if not clues.whole or (expected is not None and expected.instance):
        return None
    return Evidence("record", "the session is declared and was never seen")


def another_boot(clues: Clues) -> Evidence | None:
    expected, boot = clues.context.expected, clues.context.boot_id
    if not clues.whole or not boot or expected is None or not expected.instance:
        return None
    if expected.instance.startswith(f"{boot}/"):
        return None
    return Evidence("kernel", f"boot id is {boot}, the session was last seen in another boot")


def removed_first(clues: Clues) -> Evidence | None:
    """Order outranks status: whatever killed them came after tmux had let go."""
    late = [end for end in clues.ends if end.code in FATAL_SIGNALS]
    if not clues.whole or not late or clues.fatal or not clues.server_lives:
        return None
    return Evidence("order", f"tmux had removed it before {_who(late[0])} {describe_code(late[0].code)}")


def closed_in_server(clues: Clues) -> Evidence | None:
    expected = clues.context.expected
    if not clues.server_lives or expected is None or expected.session is None or clues.fatal:
        return None
    if not clues.whole:
        return None
    return Evidence("order", "tmux removed the session and its server lives; no process of it was killed")


def killed(clues: Clues) -> Evidence | None:
    """A process, not the server, was ended by SIGKILL."""
    return _told(end for end in clues.fatal if end.code == _KILLED and end.role is not Role.SERVER)


def crashed(clues: Clues) -> Evidence | None:
    """A process, not the server, was ended by a signal of its own making."""
    return _told(end for end in clues.fatal if end.code != _KILLED and end.role is not Role.SERVER)


def server_killed(clues: Clues) -> Evidence | None:
    end = clues.server_end
    return exit_fact(end) if end is not None and end.code == _KILLED else None


def server_crashed(clues: Clues) -> Evidence | None:
    end = clues.server_end
    if end is None or end.code is None or end.code in (0, _KILLED) or end.code in _POLITE:
        return None
    return exit_fact(end)


def server_stopped(clues: Clues) -> Evidence | None:
    end = clues.server_end
    return exit_fact(end) if end is not None and (end.code == 0 or end.code in _POLITE) else None


def last_words(clues: Clues) -> Evidence | None:
    words = clues.context.bell_words
    return Evidence("tmux client", words) if clues.whole and not clues.server_lives and words else None


def failed_by_itself(clues: Clues) -> Evidence | None:
    code = clues.part.code
    if clues.whole or code is None or code <= 0 or _runs_shell(clues):
        return None
    return Evidence("exit status", f"a command ended by itself with {code}")


def kept_as_failed(clues: Clues) -> Evidence | None:
    pane = clues.pane
    if clues.part.unit is not Unit.PANE or clues.part.code is not None:
        return None
    if pane is None or not pane.start_command:
        return None
    # tmux keeps a pane under `failed` only after a signal or a status other than 0.
    return Evidence("tmux", "the pane was started as a command and was kept as failed")


def ended_politely(clues: Clues) -> Evidence | None:
    code = clues.part.code
    if clues.whole or code is None or code in FATAL_SIGNALS or code > 0:
        return None
    return Evidence("exit status", f"the process {describe_code(code)}")


def shell_left(clues: Clues) -> Evidence | None:
    code = clues.part.code
    if clues.whole or code is None or code < 0 or not _runs_shell(clues):
        return None
    return Evidence("argv", f"an interactive shell ended by itself with {code}")


def exit_fact(end: Exit) -> Evidence:
    """An end, for people."""
    where = f" of {end.pane}" if end.pane else ""
    return Evidence(end.source, f"{_who(end)}{where} {describe_code(end.code)}")


def describe_code(code: int | None) -> str:
    """An exit code for people."""
    if code is None:
        return "ended in a way that could not be learnt"
    if code >= 0:
        return f"exited with {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def _who(end: Exit) -> str:
    names = {Role.SERVER: "tmux server", Role.PANE: "pane's process", Role.PROGRAM: "program"}
    return f"{names[end.role]} {end.pid}"


def _told(ends: Iterable[Exit]) -> Evidence | None:
    facts = [exit_fact(end) for end in ends]
    return Evidence(facts[0].source, "; ".join(fact.fact for fact in facts)) if facts else None


def _runs_shell(clues: Clues) -> bool:
    pane = clues.pane
    if pane is None:
        return False
    return clues.is_shell(pane.argv) if pane.argv else not pane.start_command
