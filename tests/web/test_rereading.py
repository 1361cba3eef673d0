"""What is read again when it changes, and what is told of it."""

from __future__ import annotations

import asyncio
import os
import ssl
from pathlib import Path
from typing import Any

import pytest

from sidecar.errors import ConfigInvalid, Fault, Permanent, StoreUnavailable
from sidecar.model.access import Scope, TlsSettings, WebSettings
from sidecar.model.record import Action
from sidecar.web.rereading import EVERY, Rereader
from sidecar.web.tls import Loaded
from sidecar.web.tokens import Tokens, create, revoke
from tests.web.conftest import FakeChronicle

ONE = Loaded(WebSettings(users={"alice": "hash"}))
OTHER = Loaded(WebSettings(users={"bob": "hash"}))


class Turns:
    """A clock whose sleeper goes on when it is told to."""

    def __init__(self) -> None:
        self.slept: asyncio.Queue[float] = asyncio.Queue()
        self.go = asyncio.Semaphore(0)

    def wall(self) -> float:
        return 7.0

    async def sleep(self, seconds: float) -> None:
        self.slept.put_nowait(seconds)
        await self.go.acquire()


class Files:
    """A web-config file that says what it is told to, and its rereader."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "web.yml"
        self.file.write_text("0")
        self.found: Loaded | Permanent = ONE
        self.chronicle, self.clock = FakeChronicle(), Turns()
        clock: Any = self.clock
        self.rereader = Rereader(self.file, self.load, Tokens("admin", folder), clock, self.chronicle)

    def load(self) -> Loaded:
        if isinstance(self.found, Permanent):
            raise self.found
        return self.found

    def change(self, found: Loaded | Permanent) -> None:
        self.found = found
        fresh = self.file.with_name("fresh")
        fresh.write_text("0")
        fresh.rename(self.file)

    async def turn(self) -> None:
        """One look, to its end."""
        self.clock.go.release()
        assert await self.clock.slept.get() == EVERY

    @property
    def told(self) -> list[Action]:
        assert [action for action, _ in self.chronicle.said if action is not Action.TOKENS_REFUSED] == [
            action for action, _ in self.chronicle.audited
        ]
        return [action for action, _ in self.chronicle.audited]


@pytest.fixture
async def files(tmp_path: Path) -> Files:
    made = Files(tmp_path)
    await made.rereader.begin()
    return made


@pytest.fixture
async def turning(files: Files) -> Any:
    task = asyncio.create_task(files.rereader.run())
    await files.clock.slept.get()
    yield files
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def broken() -> ConfigInvalid:
    return ConfigInvalid([Fault("web.yml", 3, "rate_limit", "is not done here")])


async def test_what_has_not_changed_is_not_read_again(turning: Files) -> None:
    turning.found = broken()
    await turning.turn()
    assert turning.told == []


async def test_a_changed_file_is_taken_up(turning: Files) -> None:
    turning.change(OTHER)
    await turning.turn()
    assert turning.rereader.settings == OTHER.settings
    assert turning.told == [Action.WEB_CONFIG_RELOADED]
    assert turning.chronicle.audited[0][1]["users"] == ["bob"]


async def test_a_broken_file_changes_nothing_and_is_told_once(turning: Files) -> None:
    turning.change(broken())
    await turning.turn()
    await turning.turn()
    assert turning.rereader.settings == ONE.settings
    assert turning.told == [Action.WEB_CONFIG_REFUSED]
    assert turning.chronicle.audited[0][1]["faults"][0]["line"] == 3
    turning.change(OTHER)
    await turning.turn()
    assert turning.rereader.settings == OTHER.settings


async def test_a_file_that_is_gone_changes_nothing(turning: Files) -> None:
    turning.file.unlink()
    turning.found = broken()
    await turning.turn()
    assert turning.rereader.settings == ONE.settings


async def test_a_renewed_certificate_is_taken_up(tmp_path: Path) -> None:
    files = Files(tmp_path)
    for name in ("cert", "key"):
        (tmp_path / name).write_text("one")
    tls = WebSettings(TlsSettings(str(tmp_path / "cert"), str(tmp_path / "key")))
    contexts = [ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) for _ in range(2)]
    files.found = Loaded(tls, contexts[0])
    await files.rereader.begin()
    files.found = Loaded(tls, contexts[1])
    await files.rereader._look_at_file()
    assert files.rereader.context is contexts[0]
    (tmp_path / "cert").write_text("another")
    await files.rereader._look_at_file()
    assert files.rereader.context is contexts[1]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (ONE, Loaded(ONE.settings, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))),
        (Loaded(ONE.settings, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)), ONE),
    ],
)
async def test_encryption_neither_comes_nor_goes(tmp_path: Path, first: Loaded, second: Loaded) -> None:
    files = Files(tmp_path)
    files.found = first
    await files.rereader.begin()
    files.found = second
    with pytest.raises(ConfigInvalid, match="takes a restart"):
        await files.rereader.check()


async def test_a_file_that_would_let_everybody_in_changes_nothing(files: Files) -> None:
    files.change(Permanent("others can reach 192.0.2.1"))
    await files.rereader._look_at_file()
    assert files.rereader.settings == ONE.settings
    (fault,) = files.chronicle.audited[0][1]["faults"]
    assert fault["sentence"] == "others can reach 192.0.2.1"


async def test_without_a_file_nothing_is_read_again(tmp_path: Path) -> None:
    clock: Any = Turns()
    reads: list[Loaded] = [Loaded(WebSettings())]
    rereader = Rereader(None, reads.pop, Tokens("admin", tmp_path), clock, FakeChronicle())
    await rereader.begin()
    await rereader.take_up(await rereader.check())
    assert (rereader.settings, rereader.context, reads) == (WebSettings(), None, [])


async def test_tokens_are_told_when_they_come_and_go(tmp_path: Path) -> None:
    create(tmp_path, "old", Scope.READ, 1.0)
    files = Files(tmp_path)
    await files.rereader.begin()
    assert files.told == []
    tokens = files.rereader._tokens
    made = create(tmp_path, "am", Scope.ALERTS, 2.0)
    assert await tokens.caller(made)
    revoke(tmp_path, "am")
    assert await tokens.caller(made) is None
    await files.rereader._look_at_tokens()
    assert [detail for _, detail in files.chronicle.audited] == [
        {"made": ["am (alerts)"], "revoked": []}, {"made": [], "revoked": ["am (alerts)"]},
    ]  # fmt: skip


async def test_a_damaged_token_file_is_told_once(files: Files, tmp_path: Path) -> None:
    (tmp_path / "tokens").mkdir()
    (tmp_path / "tokens" / "x.json").write_text("{")
    os.chmod(tmp_path / "tokens" / "x.json", 0o600)
    await files.rereader._look_at_tokens()
    await files.rereader._look_at_tokens()
    assert [action for action, _ in files.chronicle.said] == [Action.TOKENS_REFUSED]


async def test_a_full_book_is_no_reason_to_let_nobody_in(
    files: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def full(*_: Any, **__: Any) -> None:
        raise StoreUnavailable("full")

    monkeypatch.setattr(files.chronicle, "audit", full)
    files.change(OTHER)
    await files.rereader._look_at_file()
    assert files.rereader.settings == OTHER.settings
    files.change(broken())
    await files.rereader._look_at_file()
    assert files.rereader.settings == OTHER.settings
