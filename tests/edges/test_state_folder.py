"""The state folder belongs to this user alone, and so does the way to it."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from sidecar.edges.store.database import prepare_folder
from sidecar.errors import UnsafeState


@pytest.mark.parametrize(("mode", "safe"), [(0o777, False), (0o702, False), (0o1777, True), (0o770, True)])
def test_nobody_else_can_put_another_folder_in_its_place(tmp_path: Path, mode: int, safe: bool) -> None:
    above = tmp_path / "above"
    above.mkdir()
    above.chmod(mode)
    for folder in (above / "state", above / "between" / "state"):
        with contextlib.nullcontext() if safe else pytest.raises(UnsafeState, match="in place of"):
            prepare_folder(folder)
    (tmp_path / "link").symlink_to(above / "state")
    with contextlib.nullcontext() if safe else pytest.raises(UnsafeState, match="in place of"):
        prepare_folder(tmp_path / "link")


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives folders away")
def test_a_folder_below_another_users_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, 4242, -1)
    os.chown(tmp_path, 4243, -1)
    monkeypatch.setattr(os, "getuid", lambda: 4242)
    with pytest.raises(UnsafeState, match="in place of"):
        prepare_folder(state)
    os.chown(tmp_path, 4242, -1)
    prepare_folder(state)
