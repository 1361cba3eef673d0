"""A server that the sidecar starts is like the one that was lost, and outlives the sidecar."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from sidecar.edges.tmux import birth
from sidecar.edges.tmux.birth import (
    SETSID,
    SYSTEM_SCOPE,
    USER_SCOPE,
    Birthplace,
    Surroundings,
    birth_environment,
    choose_birthplaces,
    config_arguments,
    limit_arguments,
    scope_arguments,
    unit_of,
)
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from sidecar.errors import NoBirthplace
from sidecar.model.session import SavedPane, SavedWindow, ServerOrigin, ServerSettings, SessionImage
from tests.box import TmuxBox, eventually
from tests.door import open_door


def image(name: str, origin: ServerOrigin | None = None, command: str = "sleep 1000") -> SessionImage:
    pane = SavedPane(0, "", "/", f'"{command}"', (), (), True)
    window = SavedWindow(0, "one", "", False, True, False, False, (pane,))
    return SessionImage(name, 80, 24, "/bin/sh", "", (), (window,), origin or ServerOrigin())


@pytest.mark.parametrize(
    ("around", "places"),
    [
        (Surroundings(), (SETSID,)),
        (Surroundings(user_manager=True), (USER_SCOPE, SETSID)),
        (Surroundings(system_manager=True), (SETSID,)),
        (Surroundings(unit="a.service", kill_mode="process"), (SETSID,)),
        (Surroundings(unit="a.service", kill_mode="none"), (SETSID,)),
        (Surroundings(unit="a.service", kill_mode="control-group", user_manager=True), (USER_SCOPE,)),
        (Surroundings(unit="a.service", kill_mode="control-group", system_manager=True), (SYSTEM_SCOPE,)),
        (Surroundings(unit="a.service", kill_mode="process", system_manager=True), (SYSTEM_SCOPE, SETSID)),
    ],
)
def test_the_birthplace_outlives_us(around: Surroundings, places: tuple[Birthplace, ...]) -> None:
    assert choose_birthplaces(around) == places


@pytest.mark.parametrize("kill_mode", ["control-group", "mixed", ""])
def test_where_it_would_die_with_us_none_is_started(kill_mode: str) -> None:
    with pytest.raises(NoBirthplace, match=r"started from a\.service would be killed") as raised:
        choose_birthplaces(Surroundings(unit="a.service", kill_mode=kill_mode))
    assert "KillMode=process" in raised.value.hint


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/\n", ""),
        ("0::/user.slice/user-1000.slice/session-3.scope\n", ""),
        ("0::/user.slice/user-1000.slice/user@1000.service/init.scope\n", ""),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/sidecar.service\n", "sidecar.service"),
        ("0::/system.slice/sidecar.service\n", "sidecar.service"),
        ("12:cpu:/\n1:name=systemd:/system.slice/sidecar@x.service/sub\n0::/\n", "sidecar@x.service"),
    ],
)
def test_our_own_unit(cgroup: str, unit: str) -> None:
    assert unit_of(cgroup) == unit


def test_the_recorded_environment_is_taken_to_the_letter() -> None:
    ours = {"PATH": "/bin", "NOTIFY_SOCKET": "/run/x", "INVOCATION_ID": "1", "TMUX_PANE": "%1"}
    assert birth_environment((("A", "1"),), ours) == {"A": "1"}
    assert birth_environment((), ours) == {"PATH": "/bin"}


def test_systemd_run_is_lent_the_bus_and_tmux_does_not_see_it() -> None:
    wanted = {"A": "secret", "DBUS_SESSION_BUS_ADDRESS": "old"}
    ours = {"XDG_RUNTIME_DIR": "/run/user/1", "DBUS_SESSION_BUS_ADDRESS": "new", "B": "2"}
    prefix, environment = scope_arguments(USER_SCOPE, wanted, ours)
    assert environment == {"A": "secret", "DBUS_SESSION_BUS_ADDRESS": "new", "XDG_RUNTIME_DIR": "/run/user/1"}
    assert prefix[: len(USER_SCOPE.prefix)] == USER_SCOPE.prefix
    unlent = subprocess.run(
        [*prefix[len(USER_SCOPE.prefix) :], "env"], env={**environment, "PATH": os.defpath},
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert set(unlent.splitlines()) == {"A=secret", "DBUS_SESSION_BUS_ADDRESS=old", f"PATH={os.defpath}"}
    assert scope_arguments(SETSID, wanted, ours) == ((), wanted)
    assert scope_arguments(USER_SCOPE, ours, ours) == (USER_SCOPE.prefix, ours)


def test_configuration_files_that_are_gone_are_not_named(tmp_path: Path) -> None:
    there = tmp_path / "tmux.conf"
    there.touch()
    assert config_arguments(f"{there},{tmp_path}/gone") == ("-f", str(there))
    assert config_arguments("/dev/null") == ("-f", "/dev/null")
    assert config_arguments("") == ()


def test_a_limit_is_set_for_what_follows() -> None:
    done = subprocess.run(
        [*limit_arguments(100), "sh", "-c", "ulimit -S -n; echo $0 $1", "a b", "c"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == "100\na b c\n"
    assert limit_arguments(None) == ()


async def test_a_new_server_is_like_the_old_one(tmux: TmuxBox, door: TmuxDoor) -> None:
    config = tmux.folder / "my.conf"
    # A configuration may complain, print and fail without harm to the rebuild.
    lines = ("set -g @mine yes", "set -g no-such-option 1", "run-shell 'exit 3'", "display-message -p 'x $9'")
    config.write_text("".join(f"{line}\n" for line in lines))
    folder = tmux.folder / "home"
    folder.mkdir()
    environment = (("A", 'x"$`\\y\n2'), ("PATH", os.environ["PATH"]), ("TMUX_TMPDIR", "/elsewhere"))
    origin = ServerOrigin(environment, str(folder), str(config))
    assert await door.rebuild(image("web", origin), {}) == tmux.show("=web:", "#{session_id}")
    look = await door.look()
    assert (look.config_files, tmux.run("show-options", "-gv", "@mine")) == (str(config), "yes")
    assert look.server is not None
    server = Path(f"/proc/{look.server.pid}")
    assert (server / "cwd").readlink() == folder
    session = look.find("web")
    assert session is not None
    again = (await door.capture(session, look, 0, 1.0, private=False)).image.origin
    assert {key: value for key, value in again.environment if key != "PWD"} == dict(environment)
    assert {(server / "fd" / name).readlink().name for name in ("0", "1", "2")} == {"null"}


async def test_a_server_that_was_left_half_born_is_brought_up_to_date(tmux: TmuxBox, door: TmuxDoor) -> None:
    """By a kill -9 right after its start: it has neither settings nor a session."""
    born = ("start-server", ";", "set-option", "-s", "exit-empty", "off")
    tmux.run(*born, ";", "set-option", "-s", "@sidecar_newborn", "1")
    settings = ServerSettings(session=(("@mine", "yes"), ("history-limit", "777")))
    origin = ServerOrigin((("A", "1"),), settings=settings)
    server = tmux.run("display-message", "-p", "#{pid}")
    await door.rebuild(image("web", origin), {})
    assert str(tmux.server_pid()) == server
    assert tmux.run("show-options", "-gv", "history-limit") == "777"
    assert "A=1" in tmux.run("show-environment", "-g").splitlines()
    assert tmux.run("show-options", "-s", "-q", "@sidecar_newborn") == ""


async def test_a_server_that_stands_keeps_its_settings(tmux: TmuxBox, door: TmuxDoor) -> None:
    tmux.run("new-session", "-d", "-s", "other", "sleep 1000")
    tmux.run("set-option", "-g", "history-limit", "555")
    settings = ServerSettings(session=(("history-limit", "777"),))
    await door.rebuild(image("web", ServerOrigin(settings=settings)), {})
    assert tmux.run("show-options", "-gv", "history-limit") == "555"


async def test_the_limit_of_open_files_is_not_our_raised_one(tmux: TmuxBox, runner: TmuxRunner) -> None:
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    await open_door(tmux, runner, descriptors=soft - 1).rebuild(image("web"), {})
    limits = Path(f"/proc/{tmux.server_pid()}/limits").read_text()
    assert f"{soft - 1} " in next(line for line in limits.splitlines() if line.startswith("Max open files"))


async def test_sessions_that_are_lost_together_share_one_new_server(tmux: TmuxBox, door: TmuxDoor) -> None:
    names = [f"s{number}" for number in range(5)]
    ids = await asyncio.gather(*(door.rebuild(image(name), {}) for name in names))
    assert len(set(ids)) == 5
    assert tmux.sessions() == set(names)
    assert len(set(tmux.run("list-sessions", "-F", "#{pid}").splitlines())) == 1


async def test_a_failed_birth_leaves_no_server(tmux: TmuxBox, door: TmuxDoor) -> None:
    good = image("web")
    twice = replace(good, windows=(good.windows[0], replace(good.windows[0])))
    with pytest.raises(Exception, match="in use"):
        await door.rebuild(twice, {})
    await asyncio.to_thread(eventually, lambda: tmux.server_pid() == 0, "the end of the server")


@pytest.fixture
def manager(tmux: TmuxBox, runner: TmuxRunner) -> Iterator[TmuxRunner]:
    """A runner in surroundings where a service manager seems to be there."""
    (tmux.folder / "systemd").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmux.folder / "systemd" / "private"))
        path = f"{tmux.folder}:{runner.environment['PATH']}"
        yield replace(
            runner, environment={**runner.environment, "XDG_RUNTIME_DIR": str(tmux.folder), "PATH": path}
        )


def systemd_run(tmux: TmuxBox, body: str) -> None:
    program = tmux.folder / "systemd-run"
    program.write_text(f"#!/bin/sh\n{body}\n")
    program.chmod(0o700)


async def test_a_scope_is_asked_for_where_there_is_a_manager(tmux: TmuxBox, manager: TmuxRunner) -> None:
    systemd_run(tmux, 'echo "$@" > asked; while [ "$1" != -- ]; do shift; done; shift; exec "$@"')
    origin = ServerOrigin((("PATH", "/usr/bin:/bin"),), str(tmux.folder))
    await open_door(tmux, manager).rebuild(image("web", origin), {})
    asked = (tmux.folder / "asked").read_text()
    assert asked.startswith("--scope --quiet --collect --user -- env -u XDG_RUNTIME_DIR ")
    assert tmux.sessions() == {"web"}
    shared = tmux.run("show-environment", "-g").splitlines()
    assert "PATH=/usr/bin:/bin" in shared
    assert not any(line.startswith("XDG_RUNTIME_DIR") for line in shared)


async def test_a_manager_that_refuses_is_done_without(tmux: TmuxBox, manager: TmuxRunner) -> None:
    systemd_run(tmux, "echo 'Failed to connect to bus: No medium found' >&2; exit 1")
    await open_door(tmux, manager).rebuild(image("web"), {})
    assert tmux.sessions() == {"web"}


async def test_a_manager_that_refuses_a_unit_of_its_own_ends_it(
    tmux: TmuxBox, manager: TmuxRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(birth, "_own_cgroup", lambda: "0::/system.slice/no-such-unit.service\n")
    systemd_run(tmux, "echo 'Failed to start transient scope unit' >&2; exit 1")
    with pytest.raises(NoBirthplace, match="user scope: Failed to start transient scope unit"):
        await open_door(tmux, manager).rebuild(image("web"), {})
    assert tmux.sessions() == set()


_BEARER = """
import asyncio, sys
from pathlib import Path
from sidecar.clock import SystemClock
from sidecar.config import TmuxSettings
from sidecar.edges.tmux.door import TmuxDoor
from sidecar.edges.tmux.run import TmuxRunner
from tests.edges.test_tmux_birth import image

async def bear():
    door = TmuxDoor(
        TmuxRunner(TmuxSettings(socket_name=sys.argv[1])), SystemClock(), boot_id="", complete=lambda x: x,
        in_front=lambda x: True, valid_layout=lambda x, y: False, scratch=Path(sys.argv[2]),
    )
    await door.rebuild(image("web"), {})
    print("born", flush=True)
    await asyncio.sleep(1000)

asyncio.run(bear())
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_new_server_outlives_the_process_that_bore_it(tmux: TmuxBox, number: signal.Signals) -> None:
    root = Path(__file__).parents[2]
    bearer = subprocess.Popen(
        [sys.executable, "-c", _BEARER, tmux.name, str(tmux.folder / "scratch")],
        env={**tmux.environment, "PYTHONPATH": str(root)}, cwd=root,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    assert bearer.stdout is not None
    assert bearer.stdout.readline() == b"born\n"
    os.killpg(bearer.pid, number)
    bearer.wait()
    # The end of file: nobody holds the pipe any more, the new server neither.
    assert bearer.stdout.read() == b""
    bearer.stdout.close()
    assert tmux.sessions() == {"web"}
    assert os.getsid(tmux.server_pid()) == tmux.server_pid()
