"""A pane that was killed out of a window which lives on, and was not kept: it comes back at its place."""

from __future__ import annotations

import os
import signal

import pytest

from sidecar.decide.layout import shape
from tests.acceptance.test_causes import detail, facts, of, unkept, watched
from tests.acceptance.test_recovery import _stored_with
from tests.box import SidecarBox, TmuxBox, eventually

SHOWN = "#{window_index}.#{pane_index} #{pane_current_path} #{pane_current_command} #{@mine}"
PLACES = ("1.0", "1.1", "1.2")


def build(tmux: TmuxBox) -> None:
    """A window of three panes beside and above each other, and a window that has no part in it."""
    tmux.run("new-session", "-d", "-s", "web", "-x", "120", "-y", "40", "-c", str(tmux.folder), "sleep 5000")
    tmux.run("new-window", "-d", "-t", "=web:1", "-c", str(tmux.folder), "sleep 5001")
    tmux.run("split-window", "-d", "-h", "-l", "40", "-t", "=web:1", "-c", "/usr", "sleep 5002")
    tmux.run("split-window", "-d", "-v", "-l", "9", "-t", "=web:1.1", "-c", "/tmp", "echo old; sleep 5003")
    for place in PLACES:
        tmux.run("set-option", "-p", "-t", f"=web:{place}", "@mine", f"#(touch pwned) {place}")


def ready(tmux: TmuxBox, sidecar: SidecarBox) -> dict[str, int]:
    """Wait until all is stored and watched, in a window that keeps nothing; the pids by place."""
    eventually(lambda: _stored_with(sidecar, "pwned) 1.2"), "a checkpoint of it")
    unkept(tmux, "=web:1")
    found = pids(tmux)
    for pid in found.values():
        watched(sidecar, pid)
    return found


def pids(tmux: TmuxBox) -> dict[str, int]:
    """By window and pane index."""
    lines = (line.split() for line in tmux.panes("#{window_index}.#{pane_index} #{pane_pid}"))
    return {place: int(pid) for place, pid in lines}


def layout(tmux: TmuxBox) -> str:
    """Of the injured window, without the ids of its panes."""
    return shape(tmux.show("=web:1", "#{window_layout}"))


@pytest.mark.parametrize("lost", PLACES)
def test_it_comes_back_where_it_was(tmux: TmuxBox, sidecar: SidecarBox, lost: str) -> None:
    build(tmux)
    before, shown, was = ready(tmux, sidecar), tmux.panes(SHOWN), layout(tmux)
    os.kill(before[lost], signal.SIGKILL)
    row = detail(sidecar, sidecar.verified("web"))
    assert of(row) == ("crashed", "process_killed", "rebuild_pane")
    assert "is gone, and in no other window" in facts(row)
    assert "was ended by SIGKILL" in facts(row)
    assert (tmux.panes(SHOWN), layout(tmux)) == (shown, was)
    after = pids(tmux)
    assert {place for place in before if before[place] != after[place]} == {lost}
    assert not list(tmux.folder.rglob("pwned"))
    assert "@sidecar_rebuilt" not in tmux.run("show-options", "-p", "-t", f"=web:{lost}")


def test_two_at_once_come_back_in_their_order(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    before, shown, was = ready(tmux, sidecar), tmux.panes(SHOWN), layout(tmux)
    server = tmux.server_pid()
    os.kill(server, signal.SIGSTOP)
    for place in ("1.0", "1.1"):
        os.kill(before[place], signal.SIGKILL)
    os.kill(server, signal.SIGCONT)
    eventually(lambda: len(pids(tmux)) == len(before) and sidecar.recoveries("web"), "all panes")
    sidecar.verified("web")
    assert (tmux.panes(SHOWN), layout(tmux)) == (shown, was)
    after = pids(tmux)
    assert {place for place in before if before[place] != after[place]} == {"1.0", "1.1"}


def test_its_text_and_its_program_come_back(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    tmux.run("respawn-pane", "-k", "-t", "=web:1.1", "bash --norc")
    tmux.run("set-option", "-p", "-t", "=web:1.1", "@sidecar_resume", "sleep 7777")
    tmux.run("send-keys", "-t", "=web:1.1", "echo 'so it' was; sleep 7777", "Enter")
    eventually(lambda: "so it was" in tmux.run("capture-pane", "-p", "-t", "=web:1.1"), "its text")
    eventually(lambda: tmux.show("=web:1.1", "#{pane_current_command}") == "sleep", "its program")
    sidecar.call("POST", "/api/v1/checkpoints", {"session": "web"})
    before = ready(tmux, sidecar)
    os.kill(before["1.1"], signal.SIGKILL)
    row = detail(sidecar, sidecar.verified("web"))
    assert [step["kind"] for step in row["steps"]] == ["save", "rebuild_pane", "start_program"]
    assert "so it was" in tmux.run("capture-pane", "-p", "-t", "=web:1.1")
    assert tmux.show("=web:1.1", "#{pane_current_command}") == "sleep"


def test_what_people_do_with_panes_is_no_failure(tmux: TmuxBox, sidecar: SidecarBox) -> None:
    build(tmux)
    tmux.run("split-window", "-d", "-t", "=web:1.0", "trap '' HUP; while :; do sleep 5009; done")
    before = ready(tmux, sidecar)
    stubborn = before["1.1"]
    tmux.run("kill-pane", "-t", "=web:1.1")
    eventually(lambda: not _stored_with(sidecar, "5009"), "a look without it")
    # It has outlived its pane: that somebody ends it now says nothing about why that is gone.
    os.kill(stubborn, signal.SIGKILL)
    tmux.run("break-pane", "-d", "-s", "=web:1.1")
    tmux.run("join-pane", "-d", "-s", "=web:1.1", "-t", "=web:0")
    tmux.run("swap-pane", "-d", "-s", "=web:0.0", "-t", "=web:1.0")
    tmux.run("new-window", "-d", "-t", "=web:7", "sleep 5010")
    eventually(lambda: _stored_with(sidecar, "5010"), "a look at all that")
    assert sidecar.recoveries("web") == []
    assert not [line for line in sidecar.actions() if line["action"] == "incident_opened"]
