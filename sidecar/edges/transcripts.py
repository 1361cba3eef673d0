"""The door to agents' conversations: when an agent was started, and what Claude Code keeps of its talks.

Claude Code writes each conversation to ``projects/FOLDER/ID.jsonl`` below its configuration
folder, where FOLDER is the folder that it works in, every character but letters and digits
written as ``-``. Only names and times are read, never a text. Nothing here decides which
conversation is whose; the functions given at construction do.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sidecar.clock import Clock
from sidecar.edges import process
from sidecar.model.conversation import Speaker, Transcript
from sidecar.model.session import Look, Pane, SavedPane, Session, SessionImage

_CLAUDE = "claude"
_LONGEST_NAME = 200
"""Characters; a longer name is cut by its writer, so that it cannot be told here."""
_FRESH = 2.0
"""Seconds that a listing serves: looks can follow each other within milliseconds."""
_KEPT = 256
_ENVIRONMENT_LIMIT = 1 << 20


@dataclass(frozen=True, slots=True)
class Rules:
    """What is decided elsewhere."""

    agent: Callable[[tuple[str, ...]], str]
    """The name of the agent that an argv runs; empty if it is none."""
    named: Callable[[Speaker], str]
    """The conversation that the agent's hook or its arguments name."""
    alone: Callable[[Iterable[tuple[str, Speaker]]], Mapping[str, str]]
    """By folder: the key of the only agent there."""
    written: Callable[[Speaker, Sequence[Transcript], frozenset[str]], str]
    """The conversation that an agent is seen to write, without those that others hold."""


class Transcripts:
    """Fills in which conversation each agent is holding."""

    def __init__(self, clock: Clock, rules: Rules, environment: Mapping[str, str]) -> None:
        self._clock = clock
        self._rules = rules
        self._environment = environment
        self._listed: dict[Path, tuple[float, tuple[Transcript, ...]]] = {}

    def complete(self, look: Look) -> Look:
        """Name the conversations of a look that knows its processes already. Call it in a thread."""
        agents = dict(self._agents(look))
        if not agents:
            return look
        found = {pane: self._rules.named(speaker) for pane, (speaker, _) in agents.items()}
        silent = {pane: agents[pane] for pane, conversation in found.items() if not conversation}
        others = frozenset(filter(None, found.values()))
        for pane in self._rules.alone((pane, speaker) for pane, (speaker, _) in silent.items()).values():
            speaker, pid = silent[pane]
            if self._rules.agent(speaker.argv) == _CLAUDE:
                folder = _projects(_environment_of(pid) or self._environment) / _encoded(speaker.folder)
                found[pane] = self._rules.written(speaker, self._list(folder), others)
        return replace(look, sessions=tuple(_name(session, found) for session in look.sessions))

    def known(self, image: SessionImage) -> dict[str, frozenset[str]]:
        """By folder of its Claude Codes: the ids that can be taken up there, where that can be known."""
        theirs = {key: value for key, value in image.environment if value is not None}
        environment = {**self._environment, **dict(image.origin.environment), **theirs}
        projects = _projects(environment)
        if not projects.is_dir():
            return {}
        folders = {pane.cwd for pane in _saved_panes(image) if self._is_claude(pane)}
        return {
            folder: frozenset(each.id for each in _transcripts(projects / _encoded(folder), 0.0))
            for folder in folders
            if len(folder) <= _LONGEST_NAME
        }

    def _is_claude(self, pane: SavedPane) -> bool:
        return _CLAUDE in (self._rules.agent(pane.program), self._rules.agent(pane.argv))

    def _agents(self, look: Look) -> Iterator[tuple[str, tuple[Speaker, int]]]:
        """By pane: the agent in it, with its pid. A pane of a linked window comes once."""
        for session in look.sessions:
            for pane in session.panes():
                pid, argv = (pane.program.pid, pane.program.argv) if pane.program else (pane.pid, pane.argv)
                if not pane.dead and self._rules.agent(argv):
                    yield pane.id, (Speaker(argv, pane.reported, process.started(pid), pane.cwd), pid)

    def _list(self, folder: Path) -> tuple[Transcript, ...]:
        now = self._clock.monotonic()
        known = self._listed.get(folder)
        if known is None or now - known[0] > _FRESH:
            if len(self._listed) >= _KEPT:
                self._listed.clear()
            booted = self._clock.wall() - process.uptime()
            known = self._listed[folder] = (now, tuple(_transcripts(folder, booted)))
        return known[1]


def _projects(environment: Mapping[str, str]) -> Path:
    home = environment.get("HOME") or os.path.expanduser("~")
    return Path(environment.get("CLAUDE_CONFIG_DIR") or f"{home}/.claude") / "projects"


def _encoded(folder: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "-", folder)


def _transcripts(folder: Path, booted: float) -> Iterator[Transcript]:
    """The conversations that are kept in a folder; none if there is no such folder.

    ``booted`` is when the machine was, in wall seconds.
    """
    try:
        entries = os.scandir(folder)
    except OSError:
        return
    with entries:
        for entry in entries:
            name, dot, suffix = entry.name.rpartition(".")
            if dot and suffix == "jsonl":
                try:
                    yield Transcript(name, entry.stat().st_mtime - booted)
                except OSError:
                    continue


def _environment_of(pid: int) -> dict[str, str]:
    """Where a process has its home, as far as transcripts go."""
    found = {}
    for part in _read(f"/proc/{pid}/environ", _ENVIRONMENT_LIMIT).split(b"\0"):
        key, _, value = part.partition(b"=")
        if key in (b"HOME", b"CLAUDE_CONFIG_DIR"):
            found[key.decode()] = os.fsdecode(value)
    return found


def _read(path: str, limit: int = 4096) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(limit)
    except OSError:
        return b""


def _saved_panes(image: SessionImage) -> Iterator[SavedPane]:
    for window in image.windows:
        yield from window.panes


def _name(session: Session, found: Mapping[str, str]) -> Session:
    if not any(pane.id in found for pane in session.panes()):
        return session
    windows = (
        replace(window, panes=tuple(_named(pane, found) for pane in window.panes))
        for window in session.windows
    )
    return replace(session, windows=tuple(windows))


def _named(pane: Pane, found: Mapping[str, str]) -> Pane:
    return replace(pane, conversation=found[pane.id]) if pane.id in found else pane
