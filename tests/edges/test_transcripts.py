"""Real processes and real files: which conversation each of them is holding."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.app import CONVERSATIONS
from sidecar.clock import SystemClock
from sidecar.edges.process import uptime
from sidecar.edges.transcripts import Transcripts
from sidecar.model.session import Look, Pane, Presence, Process, ServerId, Session, SessionImage, image_of
from tests.decide.builders import look as look_at
from tests.decide.builders import pane, session

ONE = "0b9c1f0e-58a4-4b1e-9f43-0a4f6f9b2c11"
TWO = "7d2f4a90-1111-4222-8333-944455556666"


@contextmanager
def agent(home: Path, *arguments: str, config: Path | None = None) -> Iterator[Process]:
    """A process that looks like Claude Code, with this home."""
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
    if config is not None:
        environment["CLAUDE_CONFIG_DIR"] = str(config)
    child = subprocess.Popen(["sleep", "1000"], env=environment)
    try:
        yield Process(child.pid, ("claude", *arguments))
    finally:
        child.kill()
        child.wait()


def transcript(config: Path, folder: str, conversation: str, *, age: float = 0.0) -> Path:
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in folder)
    file = config / "projects" / name / f"{conversation}.jsonl"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("{}\n")
    if age:
        then = file.stat().st_mtime - age
        os.utime(file, (then, then))
    return file


def with_agents(*agents: tuple[Process, str, str]) -> Look:
    """A pane each: process, folder, what was reported."""
    panes = [
        replace(pane(number), program=process, cwd=folder, reported=reported)
        for number, (process, folder, reported) in enumerate(agents, start=1)
    ]
    return look_at(session(*panes))


def conversations(found: Look) -> list[str]:
    return [each.conversation for each in found.sessions[0].panes()]


@pytest.fixture
def door(tmp_path: Path) -> Transcripts:
    return Transcripts(SystemClock(), CONVERSATIONS, {"HOME": str(tmp_path / "nobody")})


def test_a_look_without_agents_is_left_as_it_is(door: Transcripts) -> None:
    seen = look_at(session(pane(1, program=77)))
    assert door.complete(seen) is seen
    absent = Look(Presence.ABSENT, 1.0)
    assert door.complete(absent) is absent


def test_a_folder_that_is_written_by_one_agent_tells_its_conversation(
    door: Transcripts, tmp_path: Path
) -> None:
    with agent(tmp_path) as claude:
        transcript(tmp_path / ".claude", "/srv/my.app_1", ONE)
        transcript(tmp_path / ".claude", "/srv/my.app_1", TWO, age=3_600)
        (tmp_path / ".claude/projects/-srv-my-app-1/notes.txt").write_text("")
        assert conversations(door.complete(with_agents((claude, "/srv/my.app_1", "")))) == [ONE]
        assert conversations(door.complete(with_agents((claude, "/srv/else", "")))) == [""]


def test_the_agent_says_itself_where_it_keeps_its_conversations(door: Transcripts, tmp_path: Path) -> None:
    with agent(tmp_path, config=tmp_path / "other") as claude:
        transcript(tmp_path / ".claude", "/srv", TWO)
        transcript(tmp_path / "other", "/srv", ONE)
        assert conversations(door.complete(with_agents((claude, "/srv", "")))) == [ONE]


def test_two_agents_in_a_folder_are_told_apart_only_if_one_is_named(
    door: Transcripts, tmp_path: Path
) -> None:
    with agent(tmp_path) as first, agent(tmp_path) as second, agent(tmp_path, "--resume", TWO) as third:
        transcript(tmp_path / ".claude", "/srv", ONE)
        transcript(tmp_path / ".claude", "/srv", TWO)
        assert conversations(door.complete(with_agents((first, "/srv", ""), (second, "/srv", "")))) == [
            "",
            "",
        ]
        assert conversations(door.complete(with_agents((first, "/srv", ""), (third, "/srv", "")))) == [
            ONE,
            TWO,
        ]


def test_a_report_is_believed_of_the_process_that_it_is_about(door: Transcripts, tmp_path: Path) -> None:
    with agent(tmp_path) as claude:
        now = int(uptime())
        assert conversations(door.complete(with_agents((claude, "/srv", f"claude:{ONE}:{now}")))) == [ONE]
        assert conversations(door.complete(with_agents((claude, "/srv", f"claude:{ONE}:{now - 60}")))) == [""]


def test_an_agent_that_ended_meanwhile_has_no_conversation(door: Transcripts, tmp_path: Path) -> None:
    with agent(tmp_path) as claude:
        pass
    transcript(tmp_path / ".claude", "/srv", ONE)
    assert conversations(door.complete(with_agents((claude, "/srv", "")))) == [""]


def image(*panes: Pane, **environment: str) -> SessionImage:
    live = session(*panes)
    found = image_of(live, width=80, height=24)
    return replace(found, environment=tuple(environment.items()))


def test_what_can_be_taken_up_is_known_where_the_agent_keeps_its_conversations(
    door: Transcripts, tmp_path: Path
) -> None:
    transcript(tmp_path / ".claude", "/srv/a", ONE)
    panes = [
        replace(pane(1), program=Process(9, ("claude",)), cwd="/srv/a"),
        replace(pane(2), argv=("claude",), start_command="claude", cwd="/srv/b"),
        replace(pane(3), program=Process(9, ("codex",)), cwd="/srv/c"),
        replace(pane(4), program=Process(9, ("claude",)), cwd="/" + "x" * 300),
    ]
    known = door.known(image(*panes, HOME=str(tmp_path)))
    assert known == {"/srv/a": frozenset({ONE}), "/srv/b": frozenset()}
    assert door.known(image(*panes)) == {}


def test_a_linked_window_is_read_once(door: Transcripts, tmp_path: Path) -> None:
    with agent(tmp_path) as claude:
        transcript(tmp_path / ".claude", "/srv", ONE)
        shown: Session = with_agents((claude, "/srv", "")).sessions[0]
        twice = Look(
            Presence.PRESENT, 1.0, ServerId("b", 1, 1), sessions=(shown, replace(shown, id="$2", name="x"))
        )
        found = door.complete(twice)
        assert [p.conversation for s in found.sessions for p in s.panes()] == [ONE, ONE]
