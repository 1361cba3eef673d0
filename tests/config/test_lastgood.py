"""The configuration that was last good: what is kept, and when a start takes it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sidecar import config_lastgood, config_read
from sidecar.config_lastgood import FILE
from sidecar.errors import ConfigInvalid, Permanent

WEB = """\
session_name: web
windows:
- layout: tiled
  panes: [vim, {shell_command: [{cmd: top, enter: false}]}]
"""


class Desk:
    """A configuration with a workspace file, and a state folder."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.state.mkdir(mode=0o700)
        self.file = folder / "config.yml"
        self.web = folder / "web.yaml"
        self.web.write_text(WEB)
        self.good = f"sessions: {{workspaces: ['{self.web}'], restore: never}}\n"
        self.file.write_text(self.good)

    def keep(self) -> None:
        config_lastgood.keep(config_read.load(self.file), self.state, 7.0)

    def load(self, **words: bool) -> config_lastgood.Start:
        return config_lastgood.load(self.file, self.state, **words)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_a_broken_file_gives_way_to_the_one_that_was_last_good(desk: Desk) -> None:
    desk.keep()
    wanted = config_read.load(desk.file)
    desk.file.write_text("sessions: {restore: nevr}\nrecovry: {}\n")
    found = desk.load()
    assert found.settings == wanted
    assert found.loaded == 7.0
    assert [fault.line for fault in found.faults] == [1, 2]
    assert stat.S_IMODE((desk.state / FILE).stat().st_mode) == 0o600


def test_strict_means_strict(desk: Desk) -> None:
    desk.keep()
    desk.file.write_text("[")
    with pytest.raises(ConfigInvalid):
        desk.load(strict=True)


def test_a_good_file_is_taken_as_it_is(desk: Desk) -> None:
    desk.keep()
    desk.file.write_text("")
    found = desk.load()
    assert (found.settings, found.faults, found.loaded) == (config_read.load(desk.file), (), None)


def test_a_copy_of_another_file_is_none(desk: Desk, tmp_path: Path) -> None:
    desk.keep()
    other = tmp_path / "other.yml"
    other.write_text("[")
    with pytest.raises(ConfigInvalid):
        config_lastgood.load(other, desk.state)


def test_a_broken_workspace_file_declares_what_it_did(desk: Desk) -> None:
    desk.keep()
    wanted = desk.load().settings.declared.sessions
    assert set(wanted) == {"web"}
    desk.web.write_text("session_name: [")
    found = desk.load().settings.declared
    assert found.sessions == wanted
    assert found.broken == {str(desk.web)}


def test_what_is_not_managed_any_more_is_not_declared(desk: Desk) -> None:
    desk.keep()
    text = desk.good.replace("sessions: {", "sessions: {ignore: [web], ")
    copy = config_lastgood.recall(desk.state)
    assert copy is not None
    config_lastgood.keep(config_read.load(desk.file), desk.state, 7.0)
    raw = (desk.state / FILE).read_text()
    (desk.state / FILE).write_text(raw.replace("sessions: {", "sessions: {ignore: [web], "))
    desk.file.write_text("[")
    found = desk.load()
    assert found.settings.text == text
    assert found.settings.declared.sessions == {}


@pytest.mark.parametrize(
    "garbage", [b"", b"\0" * 100, b"\xff\xfe", b"{}", b"[" * 100_000, b'{"source": "", "text": 3, "at": 1}']
)
def test_a_damaged_copy_is_none(desk: Desk, garbage: bytes) -> None:
    (desk.state / FILE).write_bytes(garbage)
    desk.file.write_text("[")
    with pytest.raises(ConfigInvalid):
        desk.load()


@pytest.mark.parametrize("kind", ["folder", "link", "pipe"])
def test_whatever_else_has_its_name_is_none(desk: Desk, kind: str, tmp_path: Path) -> None:
    desk.keep()
    path = desk.state / FILE
    path.rename(tmp_path / "moved")
    if kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to(tmp_path / "moved")
    else:
        os.mkfifo(path)
    assert config_lastgood.recall(desk.state) is None
    desk.file.write_text("[")
    with pytest.raises(ConfigInvalid):
        desk.load()


def test_a_folder_in_its_place_is_told(desk: Desk) -> None:
    (desk.state / FILE).mkdir()
    with pytest.raises(Permanent, match="cannot be kept"):
        desk.keep()


def test_a_copy_that_this_release_does_not_take_is_none(desk: Desk) -> None:
    desk.keep()
    raw = (desk.state / FILE).read_text()
    (desk.state / FILE).write_text(raw.replace("restore: never", "restore: sometimes"))
    desk.file.write_text("[")
    with pytest.raises(ConfigInvalid, match="is not YAML"):
        desk.load()
