"""One for one server: also where the folder of its socket was wiped, and never kept by one that has ended."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sidecar.edges.tmux.sole import claim
from sidecar.errors import AlreadyRunning, Permanent

HOLD = """
import sys
from pathlib import Path
from sidecar.edges.tmux.sole import claim
let_go = claim(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def test_a_second_one_is_told_who_has_it(tmp_path: Path) -> None:
    socket = tmp_path / "tmux" / "default"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(socket)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}"):
                claim(socket)
            shutil.rmtree(socket.parent)
            for _ in range(3):
                with pytest.raises(AlreadyRunning, match=f"pid {holder.pid}"):
                    claim(socket)
            claim(socket.with_name("another"))()
        finally:
            holder.kill()
    claim(socket)()


def test_the_same_folder_by_another_way_is_the_same_server(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    let_go = claim(tmp_path / "link" / "default")
    shutil.rmtree(tmp_path / "real")
    (tmp_path / "real").mkdir()
    with pytest.raises(AlreadyRunning):
        claim(tmp_path / "real" / "default")
    let_go()
    claim(tmp_path / "real" / "default")()
    assert list((tmp_path / "real").iterdir()) == []


def test_a_folder_that_cannot_hold_it_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Permanent, match="cannot hold the socket of a tmux server"):
        claim(tmp_path / "file" / "default")
