"""Tokens: made once, kept as digests, revoked at once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from sidecar import redact
from sidecar.errors import Permanent, UnsafeState
from sidecar.model.access import Caller, Scope
from sidecar.web.tokens import MOST, Tokens, create, digest_of, ensure_token, read_all, revoke


def test_the_token_is_made_once_and_is_private(tmp_path: Path) -> None:
    path = tmp_path / "token"
    token = ensure_token(path)
    assert len(token) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert ensure_token(path) == token


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o644, 0o666])
def test_a_token_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "token"
    ensure_token(path)
    path.chmod(mode)
    with pytest.raises(UnsafeState) as refused:
        ensure_token(path)
    assert "chmod 600" in refused.value.hint


def test_a_token_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "token"
    ensure_token(path)
    monkeypatch.setattr(os, "getuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(UnsafeState, match="another user"):
        ensure_token(path)


def test_a_token_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    folder, garbage, empty = tmp_path / "folder", tmp_path / "garbage", tmp_path / "empty"
    folder.mkdir()
    for path, content in ((garbage, b"\xff\xfe"), (empty, b"\n")):
        path.write_bytes(content)
        path.chmod(0o600)
    for path in (folder, garbage, empty, tmp_path / "missing" / "token"):
        with pytest.raises(Permanent, match=path.name) as refused:
            ensure_token(path)
        assert refused.value.hint


async def test_a_token_opens_as_soon_as_it_is_made_and_until_it_is_revoked(tmp_path: Path) -> None:
    admin = ensure_token(tmp_path / "token")
    tokens = Tokens(admin, tmp_path)
    assert await tokens.caller(admin) == Caller(Scope.ADMIN, "admin token")
    made = create(tmp_path, "am", Scope.ALERTS, 5.0)
    assert await tokens.caller(made) == Caller(Scope.ALERTS, "am")
    again = Tokens(admin, tmp_path)
    assert await again.caller(made) == Caller(Scope.ALERTS, "am")
    revoke(tmp_path, "am")
    assert await tokens.caller(made) is None
    other = create(tmp_path, "am", Scope.READ, 6.0)
    assert (await tokens.caller(made), await tokens.caller(other)) == (None, Caller(Scope.READ, "am"))
    for stranger in ("", "x", made[:-1], f"{made}x", "é", "\udcff"):
        assert await tokens.caller(stranger) is None


def test_what_is_kept_is_private_and_does_not_tell_the_token(tmp_path: Path) -> None:
    made = create(tmp_path / "new", "am", Scope.ALERTS, 5.0)
    folder = tmp_path / "new" / "tokens"
    assert stat.S_IMODE(folder.stat().st_mode) == stat.S_IMODE(folder.parent.stat().st_mode) == 0o700
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert made.startswith("sct_")
    assert made not in file.read_text()
    assert redact.text(f"curl -H {made}") == "curl -H ***"


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    made = create(tmp_path, "am", Scope.ALERTS, 5.0)
    with pytest.raises(Permanent, match="there is a token 'am' already"):
        create(tmp_path, "am", Scope.ADMIN, 6.0)
    (stored,), _ = read_all(tmp_path)
    assert (stored.scope, stored.digest) == (Scope.ALERTS, digest_of(made))


def test_there_is_a_bound(tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    for number in range(MOST):
        (tmp_path / "tokens" / f"{number}.json").write_text("")
    with pytest.raises(Permanent, match="100 tokens already"):
        create(tmp_path, "am", Scope.READ, 5.0)
    (tmp_path / "tokens" / "more.json").write_text("")
    assert any("more than 100" in fault for fault in read_all(tmp_path)[1])


def test_what_is_not_there_cannot_be_revoked(tmp_path: Path) -> None:
    with pytest.raises(Permanent, match="no token 'am'"):
        revoke(tmp_path, "am")


def test_files_that_hold_no_token_are_named_and_open_nothing(tmp_path: Path) -> None:
    create(tmp_path, "good", Scope.READ, 5.0)
    folder = tmp_path / "tokens"
    good = (folder / "good.json").read_bytes()
    for name, content in {
        "other": good, "garbage": b"\xff{", "deep": b"[" * 3000, "huge": b" " * 9000,
        "scope": b'{"scope": 1}',
    }.items():  # fmt: skip
        (folder / f"{name}.json").write_bytes(content)
        (folder / f"{name}.json").chmod(0o600)
    (folder / "open.json").write_bytes(good)
    (folder / "open.json").chmod(0o644)
    (folder / "link.json").symlink_to(folder / "good.json")
    (folder / "folder.json").mkdir()
    (folder / "empty.json").touch(0o600)
    found, faults = read_all(tmp_path)
    assert [stored.name for stored in found] == ["good"]
    assert sorted(fault.split(".json")[0].rpartition("/")[2] for fault in faults) == [
        "deep", "folder", "garbage", "huge", "link", "open", "other", "scope",
    ]  # fmt: skip


def test_a_folder_that_is_none_is_no_reason_to_fall(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("")
    assert read_all(tmp_path)[0] == ()
    with pytest.raises(Permanent, match="cannot be made"):
        create(tmp_path, "am", Scope.READ, 5.0)


def test_a_token_that_cannot_be_stored_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Permanent, match="No space left"):
        create(tmp_path, "am", Scope.READ, 5.0)
    assert list((tmp_path / "tokens").iterdir()) == []
