"""Folders on a disk that does not answer: neither waited for nor in anybody's way."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.edges.folders import Folders
from sidecar.edges.tmux.folders import existing
from tests.box import eventually

FAR = "/far/away"


@pytest.fixture
def mended(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """The disk under FAR answers once this is set."""
    event, isdir = threading.Event(), os.path.isdir

    def asked(path: str) -> bool:
        if path == FAR:
            event.wait(30)
            return True
        return isdir(path)

    monkeypatch.setattr(os.path, "isdir", asked)
    yield event
    event.set()
    eventually(lambda: not workers(), "the end of all threads")


def workers() -> list[threading.Thread]:
    return [one for one in threading.enumerate() if one.name == "folders"]


def test_what_is_there_is_told_with_what_it_really_is(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "file").touch()
    paths = [str(tmp_path / name) for name in ("real", "link", "file", "none")]
    real = str((tmp_path / "real").resolve())
    assert Folders().real(paths) == {paths[0]: real, paths[1]: real}


def test_one_that_hangs_is_left_out_and_hides_no_other(tmp_path: Path, mended: threading.Event) -> None:
    folders, near = Folders(patience=0.1), str(tmp_path)
    for _ in range(3):
        assert folders.real([FAR, near]) == {near: str(tmp_path.resolve())}
    assert len(workers()) == 1, "it is asked about once"
    mended.set()
    eventually(lambda: FAR in folders.real([FAR, near]), "an answer from afar")


def test_what_is_built_opens_where_an_answer_comes_from(mended: threading.Event) -> None:
    assert existing(FAR, Folders(patience=0.1)) == "/"
