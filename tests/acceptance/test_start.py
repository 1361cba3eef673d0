"""A service that cannot run says why in one sentence, and leaves nothing behind."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from tests.box import SidecarBox, TmuxBox


def refused(tmux: TmuxBox, *arguments: str, state: Path | None = None) -> str:
    """What a start that ends at once has said."""
    box = SidecarBox(tmux, state or tmux.folder / "state", arguments)
    box.log = tmux.folder / "sidecar.log"
    box.start(ready=False)
    assert box.process is not None
    assert box.process.wait(30) == 1
    said = box.log.read_text()
    assert "Traceback" not in said
    assert "never awaited" not in said
    return said


def test_a_port_in_use_is_named(tmux: TmuxBox) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        said = refused(tmux, "--listen", f"127.0.0.1:{port}")
    assert f"127.0.0.1:{port} cannot be listened on: Address already in use" in said


def test_a_state_folder_that_cannot_be_made_is_named(tmux: TmuxBox) -> None:
    file = tmux.folder / "file"
    file.touch()
    assert f"the state folder {file} cannot be made" in refused(tmux, state=file)


def test_a_socket_folder_that_cannot_be_made_is_named(tmux: TmuxBox) -> None:
    file = tmux.folder / f"tmux-{os.getuid()}"
    file.touch()
    assert f"{file} cannot hold the socket of a tmux server" in refused(tmux)


def test_a_token_that_others_can_read_is_refused(tmux: TmuxBox) -> None:
    state = tmux.folder / "state"
    state.mkdir(mode=0o700)
    (state / "token").write_text("secret\n")
    (state / "token").chmod(0o644)
    assert "can be read by others" in refused(tmux)


def test_a_machine_without_tmux_is_told_so(tmux: TmuxBox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmux.folder))
    assert "tmux is not installed" in refused(tmux)
