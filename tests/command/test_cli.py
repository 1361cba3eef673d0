"""The commands that need no service, and how each of them fails."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import pytest
from click.testing import CliRunner, Result

from sidecar import __version__
from sidecar.cli import main
from sidecar.config import Settings
from sidecar.config_lastgood import Start
from sidecar.errors import AlreadyRunning
from sidecar.model.policy import Mode


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path


def sidecar(*words: str) -> Result:
    return CliRunner().invoke(main, words, prog_name="sidecar")


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize("path", [(), *commands(main)], ids=" ".join)
def test_help_names_every_command_and_option(path: tuple[str, ...]) -> None:
    command: click.Command = main
    for name in path:
        assert isinstance(command, click.Group)
        command = command.commands[name]
    done = sidecar(*path, "--help")
    assert done.exit_code == 0
    assert command.help
    for name in command.commands if isinstance(command, click.Group) else ():
        assert f"\n  {name} " in done.output
    for parameter in command.params:
        assert not isinstance(parameter, click.Option) or parameter.help
        assert parameter.opts[0].upper() in done.output.upper()


def test_version() -> None:
    done = sidecar("--version")
    assert (done.exit_code, done.output) == (0, f"sidecar, version {__version__}\n")


class Served:
    """Stands in for ``sidecar.serve``: keeps what it was asked to serve."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.state = Path()
        self.answer: int | Exception = 0

    def serve(self, begin: Start, read: Callable[[], Settings], state: Path) -> int:
        self.settings, self.state, self.read = begin.settings, state, read
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    service = Served()
    module = ModuleType("sidecar.serve")
    module.serve = service.serve  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sidecar.serve", module)
    return service


def test_run_without_a_file_takes_the_defaults(served: Served, home: Path) -> None:
    assert sidecar("run").exit_code == 0
    assert served.settings == Settings()
    assert served.state == home / "state" / "tmux-sidecar"


def test_run_reads_the_default_file(served: Served, home: Path) -> None:
    file = home / "config" / "tmux-sidecar" / "config.yml"
    file.parent.mkdir(parents=True)
    file.write_text("http: {listen: '127.0.0.1:1'}\n")
    assert sidecar("run").exit_code == 0
    assert served.settings.http.addresses[0][1] == 1
    assert served.settings.source == file


def test_run_reads_the_same_file_again_with_the_same_options(
    served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "c.yml").write_text("sessions: {manage: [a]}\n")
    monkeypatch.chdir(tmp_path)
    assert sidecar("run", "--config", "c.yml", "--observe").exit_code == 0
    (tmp_path / "c.yml").write_text("sessions: {manage: [b]}\n")
    monkeypatch.chdir("/")
    again = served.read()
    assert (again.sessions.manage, again.recovery.mode) == (("b",), Mode.OBSERVE)


def test_run_options_win_over_the_file(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "my.yml"
    file.write_text("tmux: {socket_path: /tmp/x, timeout: 5s}\nhttp: {listen: '127.0.0.1:1'}\n")
    options = ("--listen", "[::1]:2", "--tmux-socket-name", "work", "--observe", "--state", str(tmp_path))
    assert sidecar("run", "--config", str(file), *options).exit_code == 0
    settings = served.settings
    assert settings.http.addresses == (("::1", 2),)
    assert (settings.tmux.socket_name, settings.tmux.socket_path) == ("work", None)
    assert settings.tmux.timeout == 5.0
    assert settings.recovery.mode is Mode.OBSERVE
    assert served.state == tmp_path


def test_run_passes_the_exit_status_on(served: Served) -> None:
    served.answer = 1
    assert sidecar("run").exit_code == 1


def test_an_error_is_one_sentence_and_a_hint(served: Served) -> None:
    served.answer = AlreadyRunning("process 7 has it", pid=7, hint="Stop it.\x1b[0m")
    done = sidecar("run")
    assert (done.exit_code, done.stderr) == (1, "sidecar: process 7 has it\nhint: Stop it.\\x1b[0m\n")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--listen", "9847"), "write HOST:PORT"),
        (("--listen", "127.0.0.1:70000"), "ports end at 65535"),
        (("--tmux-socket-name", "a/b"), "a path goes into socket_path"),
        (("--tmux-socket-path", "relative"), "has to begin with /"),
        (("--tmux-socket-path", "/" + "x" * 120), "longer than 107 bytes"),
        (("--tmux-socket-path", "/x", "--tmux-socket-name", "x"), "give one"),
        (("--no-such",), "No such option"),
    ],
)
def test_wrong_usage_is_status_2(served: Served, options: tuple[str, ...], sentence: str) -> None:
    done = sidecar("run", *options)
    assert done.exit_code == 2
    assert sentence in done.stderr


def test_every_fault_is_printed(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "bad.yml"
    file.write_text("no: 1\nhttp:\n  listen: x\n")
    for done in (sidecar("run", "--config", str(file)), sidecar("config", "check", str(file))):
        assert done.exit_code == 1
        first, second = done.stderr.splitlines()
        assert first.startswith(f"{file}:1: no: 'no' is an unknown key")
        assert second.startswith(f"{file}:3: http.listen: 'x' is no address")


def test_check_of_a_good_file(tmp_path: Path) -> None:
    file = tmp_path / "good.yml"
    file.write_text("recovery: {mode: observe}\n")
    done = sidecar("config", "check", str(file))
    assert (done.exit_code, done.output) == (0, f"{file}: ok\n")


def test_check_of_a_missing_file(home: Path) -> None:
    done = sidecar("config", "check")
    assert done.exit_code == 1
    assert done.stderr == (
        f"{home}/config/tmux-sidecar/config.yml: cannot be read: No such file or directory\n"
    )


def test_demo_passes_the_exit_status_on(monkeypatch: pytest.MonkeyPatch) -> None:
    module: Any = ModuleType("sidecar.demo")
    module.main = lambda: 1
    monkeypatch.setitem(sys.modules, "sidecar.demo", module)
    assert sidecar("demo").exit_code == 1


def test_checking_the_configuration_checks_its_workspace_files(home: Path) -> None:
    (home / "a.yaml").write_text("session_name: a\nwindows: []\n")
    (home / "b.yaml").write_text("session_name: b\nwindows: [{layuot: tiled}]\n")
    file = home / "config.yml"
    file.write_text(f"sessions: {{workspaces: ['{home}/a.yaml', '{home}/b.yaml']}}\n")
    done = sidecar("config", "check", str(file))
    assert done.exit_code == 1
    first, second = done.output.splitlines()
    assert first == f"{home}/a.yaml:2: windows: is empty: a session has at least one window"
    assert second.startswith(f"{home}/b.yaml:2: windows[0].layuot: has no effect: 'layuot' is an unknown key")
    (home / "a.yaml").write_text("session_name: a\nwindows: [{}]\n")
    (home / "b.yaml").write_text("session_name: b\nwindows: [{}]\n")
    assert sidecar("config", "check", str(file)).output == f"{file}: ok\n"


def test_checking_the_configuration_checks_who_gets_in(home: Path) -> None:
    file, web = home / "config.yml", home / "web.yml"
    file.write_text(f"http: {{web_config_file: '{web}'}}\n")
    web.write_text("basic_auth_users: {a: b}\n")
    done = sidecar("config", "check", str(file))
    assert (done.exit_code, done.stderr.startswith(f"{web}:1: basic_auth_users.a: is no bcrypt")) == (1, True)
    file.write_text("http: {listen: '0.0.0.0:1'}\n")
    done = sidecar("config", "check", str(file))
    assert (done.exit_code, "others can reach 0.0.0.0" in done.stderr) == (1, True)
