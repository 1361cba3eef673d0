"""Sockets to listen on, and what stands in their way."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from sidecar.edges.listening import identity, listen_at, listen_on, remove
from sidecar.errors import Permanent


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_free_port_is_taken_once(host: str) -> None:
    with listen_on(host, 0) as listening:
        listening.listen()
        port = listening.getsockname()[1]
        with pytest.raises(Permanent, match=f"{host}:{port} cannot be listened on: Address already in use"):
            listen_on(host, port)


@pytest.mark.parametrize("host", ["192.0.2.1", "a" * 70])
def test_an_address_that_is_not_ours(host: str) -> None:
    with pytest.raises(Permanent, match="cannot be listened on"):
        listen_on(host, 0)


def test_a_socket_file_is_private_from_its_birth(tmp_path: Path) -> None:
    with listen_at(tmp_path / "door"):
        assert stat.S_IMODE((tmp_path / "door").lstat().st_mode) == 0o600


@pytest.mark.parametrize("path", ["no/such/door", "file/door", "d" * 200])
def test_a_path_that_cannot_be_used(tmp_path: Path, path: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Permanent, match="cannot be listened on"):
        listen_at(tmp_path / path)


def test_only_our_own_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "door"
    listen_at(path).close()
    ours = identity(path)
    path.rename(tmp_path / "kept")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(path))
        remove(path, ours)
        assert path.exists()
    path.unlink()
    remove(path, ours)
    (tmp_path / "kept").rename(path)
    remove(path, ours)
    assert not path.exists()
