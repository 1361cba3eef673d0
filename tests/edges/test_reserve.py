"""The space that is kept for the record: made, given up, made again, and never in anybody's way."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from sidecar.edges.store import reserve
from sidecar.edges.store.reserve import FILE, Reserve

_SIZE = 100_000


def test_it_is_made_once_and_given_up_once(tmp_path: Path) -> None:
    kept = Reserve(tmp_path, _SIZE)
    assert (kept.size, kept.give_up()) == (0, False)
    assert (kept.make(), kept.make()) == (True, False)
    facts = (tmp_path / FILE).stat()
    assert (facts.st_size, kept.size, facts.st_mode & 0o777) == (_SIZE, _SIZE, 0o600)
    # It takes the room that it says, and is no hole.
    assert facts.st_blocks * 512 >= _SIZE
    assert (kept.give_up(), kept.give_up()) == (True, False)
    assert not (tmp_path / FILE).exists()
    assert kept.make()


def test_a_later_start_finds_it(tmp_path: Path) -> None:
    Reserve(tmp_path, _SIZE).make()
    assert Reserve(tmp_path, _SIZE).size == _SIZE


def test_what_was_left_half_made_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b"x" * 100)
    kept = Reserve(tmp_path, _SIZE)
    assert kept.size == 0
    assert kept.make()


def test_a_small_disk_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    left = SimpleNamespace(f_bavail=50, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda path: left)
    kept = Reserve(tmp_path)
    assert not kept.make()
    left.f_bavail = 100
    assert kept.make()
    assert kept.size == 100 * 4096 // 4


def test_a_folder_that_is_gone(tmp_path: Path) -> None:
    kept = Reserve(tmp_path / "gone", _SIZE)
    assert (kept.make(), kept.size) == (False, 0)


def test_a_disk_that_fills_up_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Reserve(tmp_path, _SIZE)

    def no_room(count: int) -> bytes:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(reserve.os, "urandom", no_room)
    assert (kept.make(), kept.size, (tmp_path / FILE).exists()) == (False, 0, False)
