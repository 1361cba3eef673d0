"""A declared session that is damaged: each difference is found, told from people's work, and cured."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from sidecar.decide.layout import shape as shape_of
from tests.acceptance.test_workspaces import declare
from tests.box import SidecarBox, TmuxBox, eventually, sidecar_box

WEB = """\
session_name: web
start_directory: {folder}
windows:
- window_name: code
  layout: main-vertical
  panes: [null, null, {{start_directory: sub}}]
- window_name: logs
  window_index: 7
  window_shell: sleep 5001
- window_name: run
  panes:
  - sleep 5002
"""
PIDS = "#{window_name}.#{pane_index} #{pane_pid}"


@dataclass
class Web:
    """The declared session, alive and looked after."""

    tmux: TmuxBox
    sidecar: SidecarBox

    def pids(self) -> dict[str, int]:
        return {where: int(pid) for where, pid in (line.split() for line in self.tmux.panes(PIDS))}

    def shape(self) -> list[str]:
        fields = "#{window_index} #{window_name} #{pane_index} #{pane_current_path}"
        return self.tmux.panes(fields)

    def kill(self, where: str) -> None:
        """kill -9 of a pane's process, where tmux does not keep the pane."""
        self.tmux.run("set-option", "-w", "-t", f"=web:{where.partition('.')[0]}", "remain-on-exit", "off")
        pid = self.pids()[where]
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: pid not in self.pids().values(), "the end of the pane")

    def cured(self, count: int = 2) -> dict[str, Any]:
        return self.sidecar.verified("web", count)

    def looked(self) -> None:
        """Two looks and the pause between them have passed, and more."""
        before = self.sidecar.get("/api/v1/sessions")["last_look"]
        eventually(lambda: self.sidecar.get("/api/v1/sessions")["last_look"] > before + 6.0, "more looks")


@contextmanager
def web(tmux: TmuxBox, config: str = "") -> Iterator[Web]:
    file = declare(tmux, web=WEB.format(folder=tmux.folder), config=config)
    with sidecar_box(tmux, "--config", str(file)) as sidecar:
        sidecar.verified("web")
        sidecar.stored("web")
        found = Web(tmux, sidecar)
        eventually(lambda: "sleep" in tmux.show("=web:run", "#{pane_current_command}"), "the program")
        yield found


STRICT = ", shape: strict"


def lose_a_window(web: Web) -> None:
    web.kill("logs.0")


def lose_a_pane(web: Web) -> None:
    web.kill("code.1")


def sweep_a_folder_away(web: Web) -> None:
    sub = web.tmux.folder / "sub"
    shutil.rmtree(sub)
    sub.mkdir()


def close_a_window(web: Web) -> None:
    web.tmux.run("kill-window", "-t", "=web:logs")


def close_a_pane(web: Web) -> None:
    web.tmux.run("kill-pane", "-t", "=web:code.1")


def change_the_layout(web: Web) -> None:
    web.tmux.run("select-layout", "-t", "=web:code", "even-horizontal")


def leave_the_folder(web: Web) -> None:
    web.tmux.run("send-keys", "-t", "=web:code.0", "cd /", "Enter")


def stop_the_program(web: Web) -> None:
    web.tmux.run("send-keys", "-t", "=web:run.0", "C-c")


@pytest.mark.parametrize(
    ("config", "injure", "cause", "strategy", "fact"),
    [
        ("", lose_a_window, "shape_differs", "rebuild_window", "was ended by SIGKILL"),
        ("", lose_a_pane, "shape_differs", "rebuild_pane", "was ended by SIGKILL"),
        ("", sweep_a_folder_away, "folder_differs", "furnish_pane", "was removed beneath the shell"),
        (STRICT, close_a_window, "shape_differs", "rebuild_window", "the file is law, whoever closed it"),
        (STRICT, close_a_pane, "shape_differs", "rebuild_pane", "the file is law, whoever closed it"),
        (STRICT, change_the_layout, "layout_differs", "arrange_window", "and the file is law"),
        (STRICT, leave_the_folder, "folder_differs", "furnish_pane", "waits in /, and the file is law"),
        (STRICT, stop_the_program, "program_differs", "furnish_pane", "nothing runs in front"),
    ],
)
def test_damage_is_found_and_cured(
    tmux: TmuxBox, config: str, injure: Callable[[Web], None], cause: str, strategy: str, fact: str
) -> None:
    with web(tmux, config) as found:
        shape, before = found.shape(), found.pids()
        layout = tmux.show("=web:code", "#{window_layout}")
        injure(found)
        left = set(found.pids().values()) & set(before.values())
        row = found.cured()
        assert (row["failure"], row["cause"], row["strategy"]) == ("corrupted", cause, strategy)
        assert fact in str(row["evidence"])
        assert found.shape() == shape
        # Nothing else was touched.
        assert left <= set(found.pids().values())
        assert shape_of(tmux.show("=web:code", "#{window_layout}")) == shape_of(layout)
        assert "sleep 5002" in tmux.run("capture-pane", "-p", "-t", "=web:run.0")
        eventually(lambda: "sleep" in tmux.show("=web:run", "#{pane_current_command}"), "the program")
        eventually(lambda: found.sidecar.sessions()["web"]["health"] == "healthy", "health")


def test_what_people_do_stays_so(tmux: TmuxBox) -> None:
    with web(tmux) as found:
        tmux.run("new-window", "-d", "-t", "=web:", "-n", "mine", "sleep 5003")
        tmux.run("split-window", "-d", "-t", "=web:run", "sleep 5004")
        for work in (close_a_window, close_a_pane, change_the_layout, leave_the_folder, stop_the_program):
            work(found)
        tmux.run("rename-window", "-t", "=web:run", "jogging")
        tmux.run("resize-pane", "-Z", "-t", "=web:code")
        eventually(lambda: "code 0 /\n" in "\n".join([*found.shape(), ""]), "another folder")
        shape = found.shape()
        found.looked()
        assert found.shape() == shape
        assert tmux.show("=web:code", "#{window_zoomed_flag}") == "1"
        # Moved, they live elsewhere.
        tmux.run("break-pane", "-d", "-s", "=web:code.1", "-n", "moved")
        tmux.run("move-window", "-s", "=web:code", "-t", "=web:20")
        shape = found.shape()
        found.looked()
        assert found.shape() == shape
        assert len(found.sidecar.recoveries("web")) == 1
        assert found.sidecar.sessions()["web"]["health"] == "healthy"


def test_a_pane_that_was_left_dead_is_started_again(tmux: TmuxBox) -> None:
    text = "session_name: web\nwindows: [{panes: [{shell: 'sleep 5005'}, null]}]\n"
    tmux.run("new-session", "-d", "-s", "web", "sleep 5005")
    tmux.run("set-option", "-w", "-t", "=web:", "remain-on-exit", "on")
    tmux.run("split-window", "-d", "-t", "=web:")
    os.kill(int(tmux.show("=web:0.0", "#{pane_pid}")), signal.SIGKILL)

    def is_dead() -> bool:
        # tmux may miss the end of a process until it has another to reap.
        tmux.run("run-shell", "true")
        return tmux.show("=web:0.0", "#{pane_dead}#{pane_dead_signal}") == "19"

    eventually(is_dead, "the dead pane")
    with sidecar_box(tmux, "--config", str(declare(tmux, web=text))) as sidecar:
        row = sidecar.verified("web")
        assert (row["cause"], row["strategy"]) == ("dead_pane_left", "respawn_pane")
        assert "is dead since before it was looked after, status -9" in str(row["evidence"])
        assert tmux.panes("#{pane_dead}") == ["0", "0"]


def test_what_differs_is_shown_while_nothing_may_be_done(tmux: TmuxBox) -> None:
    with web(tmux, STRICT) as found:
        file = tmux.folder / "config.yml"
        file.write_text(file.read_text() + "recovery: {mode: observe}\n")
        assert found.sidecar.call("POST", "/-/reload")[0] == 200
        close_a_window(found)
        shown = eventually(
            lambda: (one := found.sidecar.sessions()["web"])["health"] == "corrupted" and one, "corrupted"
        )
        (difference,) = shown["differences"]
        assert (difference["where"], difference["field"]) == ("window 'logs'", "presence")
        assert (difference["wanted"], difference["found"]) == ("present", "absent")
        page = found.sidecar.get("/metrics", raw=True)
        assert 'sidecar_session_health{session="web",state="corrupted"} 1.0' in page
        told = found.sidecar.get("/api/v1/sessions/web/explain")
        assert (told["cause"], told["by_itself"]["reason"]) == ("shape_differs", "observe_mode")


def test_nothing_is_compared_where_it_is_switched_off(tmux: TmuxBox) -> None:
    with web(tmux, ", overrides: {web: {shape: off}}") as found:
        lose_a_pane(found)
        found.looked()
        assert len(found.sidecar.recoveries("web")) == 1
