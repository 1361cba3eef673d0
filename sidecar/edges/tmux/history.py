"""What panes have printed, captured so that only what is new costs anything.

A pane's history only grows at one end. What is old is remembered as sealed pieces, by digest; the
open end, from the last seal to the bottom of the screen, is captured anew whenever the pane has
changed. How is in ``pane_text``; here is what is known of all sessions, and the exchange with tmux.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice

from sidecar.edges.tmux.pane_text import Facts, Job, Known, Text, Whole, growth
from sidecar.edges.tmux.text import command, script
from sidecar.errors import Temporary, TmuxUnknown
from sidecar.model.scrollback import Manifest, Piece, digest_of
from sidecar.model.session import Look, Pane, Session, Window

_ATTEMPTS = 3
_FACTS = "#{pane_id} " + " ".join(
    f"#{{{name}}}"
    for name in (
        "pane_pid", "pane_dead", "pane_width", "pane_height", "history_size", "history_bytes",
        "alternate_on", "window_activity", "history_limit",
    )
)  # fmt: skip
_HEADER = f"%s #{{W:#{{P:{_FACTS};}}}}"
"""The server's clock, in seconds, and then the facts of every pane."""


@dataclass(frozen=True, slots=True)
class Texts:
    """The texts of one session."""

    by_pane: Mapping[str, str] = field(default_factory=dict)
    """The digest of its manifest, by pane id; a pane without text is not there."""
    manifests: Mapping[str, Manifest] = field(default_factory=dict)
    pieces: Mapping[str, bytes] = field(default_factory=dict)
    """New pieces by digest."""


@dataclass(frozen=True, slots=True)
class _Header:
    """What tmux says of the session at the moment of the capture."""

    second: int
    panes: Mapping[str, tuple[Facts, int]]
    """With the limit of its history."""

    def of(self, pane: str) -> tuple[Facts, int]:
        """
        Raises:
            Temporary: the pane is not there any more.
        """
        if pane not in self.panes:
            raise Temporary(f"pane {pane} has left the session", hint="The next look tells what is there.")
        return self.panes[pane]


class History:
    """What is known of the texts of all sessions. Changed by :meth:`keep` alone."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Known]] = {}
        self._fresh: dict[str, dict[str, Known]] = {}

    def begin(self, session: Session, look: Look, lines: int | None) -> Reading:
        """What to ask for, so that ``lines`` of history of every pane are had; none if 0.

        If None, nothing is asked for, and the texts are those that are known.
        """
        prefix = f"{look.server}/"
        there = {f"{prefix}{live.id}" for live in look.sessions}
        for memory in (self._known, self._fresh):
            for gone in memory.keys() - there:
                del memory[gone]
        key = f"{prefix}{session.id}"
        known = self._known.get(key, {})
        there_now = {pane.id for pane in session.panes()}
        stored = {pane: one for pane, one in known.items() if pane in there_now}
        self._fresh[key] = stored if lines is None else {}
        return Reading(session, lines or 0, known, self._fresh[key])

    def keep(self, instance: str) -> None:
        """The last capture of this session (``server/$id``) is stored: later ones may build on it."""
        if instance in self._fresh:
            self._known[instance] = self._fresh.pop(instance)

    def forget(self, instance: str) -> None:
        """What was thought to be stored is not: the next capture takes everything."""
        self._known.pop(instance, None)

    def clear(self) -> None:
        """The same of all sessions."""
        self._known.clear()
        self._fresh.clear()


class Reading:
    """The capture of one session's texts, in one exchange with tmux, or a few if panes were in doubt."""

    def __init__(
        self, session: Session, lines: int, known: Mapping[str, Known], fresh: dict[str, Known]
    ) -> None:
        self._session = session.id
        self._mark = f"sidecar-{secrets.token_hex(12)}"
        self._lines = lines
        self._known = known
        self._fresh = fresh
        self._pieces: dict[str, bytes] = {}
        self._jobs: dict[str, Job] = {}
        self._attempt = 0
        # Each once, however often its window is linked.
        seen = {pane.id: _seen(pane, window) for window in session.windows for pane in window.panes if lines}
        self.finished = not seen
        for pane, facts in seen.items():
            self._plan(pane, facts)

    def script(self) -> bytes:
        """Commands that print what is still wanted; their output is for :meth:`read`."""
        return b"" if self.finished else script(*self._script())

    def read(self, raw: bytes) -> bytes:
        """Take the answer to :meth:`script`; gives back what other commands had printed before it.

        Raises:
            TmuxUnknown: the answer is not whole.
            Temporary: the panes change faster than they can be read.
        """
        if self.finished:
            return raw
        self._attempt += 1
        before, *sections = _sections(raw, self._mark.encode())
        commands = {pane: len(list(job.commands())) for pane, job in self._jobs.items()}
        if len(sections) != 2 + sum(commands.values()):
            raise TmuxUnknown("the capture was cut off", hint="Nothing was stored.")
        header = _read_header(sections[0])
        bodies = iter(sections[1:])
        jobs, self._jobs = self._jobs, {}
        for pane, job in jobs.items():
            self._take(pane, job, header, list(islice(bodies, commands[pane])))
        if self._attempt == 1:
            self._doubt(self._fresh.keys() - jobs.keys(), header)
        if self._jobs and self._attempt == _ATTEMPTS:
            raise Temporary(
                f"{', '.join(self._jobs)} of the session change faster than they can be captured",
                hint="The next look takes it anew.",
            )
        self.finished = not self._jobs
        return before

    def texts(self) -> Texts:
        """Once it is finished: everything that is known and new."""
        with_text = {pane: known for pane, known in self._fresh.items() if known.digest}
        manifests = {known.digest: known.manifest for known in with_text.values()}
        named = {piece.digest for manifest in manifests.values() for piece in manifest.pieces}
        return Texts(
            by_pane={pane: known.digest for pane, known in with_text.items()},
            manifests=manifests,
            pieces={digest: self._pieces[digest] for digest in named & self._pieces.keys()},
        )

    def _plan(self, pane: str, facts: Facts, *, whole: bool = False) -> None:
        """Have the pane captured, unless it is as it was."""
        known = self._known.get(pane)
        self._fresh.pop(pane, None)
        if known is None or whole or known.wanted != self._lines:
            self._jobs[pane] = Whole(facts, self._lines)
        elif known.settled and known.facts == facts:
            self._fresh[pane] = known
        else:
            self._jobs[pane] = growth(known, facts) or Whole(facts, self._lines)

    def _doubt(self, panes: set[str], header: _Header) -> None:
        """Those that looked unchanged may have changed since the look."""
        for pane in panes:
            facts, _ = header.of(pane)
            if facts != self._fresh[pane].facts:
                self._plan(pane, facts)

    def _script(self) -> Iterator[str]:
        mark = command("display-message", "-p", self._mark)
        yield command("display-message", "-p", "-t", f"{self._session}:", f"{self._mark}\n{_HEADER}")
        for pane, job in self._jobs.items():
            for arguments in job.commands():
                yield mark
                yield command("capture-pane", "-p", *arguments, "-t", pane)
        yield mark

    def _take(self, pane: str, job: Job, header: _Header, bodies: list[bytes]) -> None:
        facts, limit = header.of(pane)
        if job.outrun(facts):
            self._plan(pane, facts)
            return
        if job.short(facts) and self._attempt < _ATTEMPTS:
            self._plan(pane, facts, whole=True)
            return
        # One that never stops printing is taken as it is in the end.
        text = job.read(facts, limit, bodies)
        if text is None:
            self._plan(pane, facts, whole=True)
            return
        settled = facts.activity < header.second
        self._pieces.update(text.fresh)
        self._fresh[pane] = self._remember(text, facts, settled, limit)

    def _remember(self, text: Text, facts: Facts, settled: bool, limit: int) -> Known:
        sealed, lines = text.sealed, sum(one.piece.lines for one in text.sealed) + text.tail
        while sealed and lines - sealed[0].piece.lines >= self._lines:
            lines -= sealed[0].piece.lines
            sealed = sealed[1:]
        pieces = [one.piece for one in sealed]
        if text.open:
            digest = digest_of(text.open)
            self._pieces[digest] = text.open
            pieces.append(Piece(digest, text.open.count(b"\n")))
        skip = min(max(lines - self._lines, 0), pieces[0].lines) if pieces else 0
        manifest = Manifest(tuple(pieces), skip)
        return Known(
            facts=facts,
            settled=settled,
            wanted=self._lines,
            limit=limit,
            tail=text.tail,
            sealed=sealed,
            anchor=text.anchor,
            manifest=manifest,
            digest=digest_of(manifest.encode()) if pieces else "",
        )


def _seen(pane: Pane, window: Window) -> Facts:
    return Facts(
        pid=pane.pid,
        dead=pane.dead,
        width=pane.width,
        height=pane.height,
        history=pane.history_lines,
        history_bytes=pane.history_bytes,
        alternate=pane.alternate,
        activity=window.activity,
    )


def _read_header(raw: bytes) -> _Header:
    second, _, panes = raw.decode("ascii").strip().partition(" ")
    found: dict[str, tuple[Facts, int]] = {}
    for record in panes.split(";")[:-1]:
        pane, *numbers = record.split(" ")
        pid, dead, width, height, history, size, alternate, activity, limit = map(int, numbers)
        found[pane] = (
            Facts(pid, bool(dead), width, height, history, size, bool(alternate), activity), limit
        )  # fmt: skip
    return _Header(int(second), found)


def _sections(raw: bytes, mark: bytes) -> Iterator[bytes]:
    """What stands before the first line that is the mark, and between such lines.

    Found step by step, since one search through all of it could hold up everything else.
    """
    start = 0
    while (found := raw.find(mark, start)) >= 0:
        yield raw[start:found]
        start = found + len(mark) + 1
    yield raw[start:]
