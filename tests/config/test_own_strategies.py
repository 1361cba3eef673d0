"""Ladders that name strategies of one's own: what packages say of them decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar import config_lastgood, config_read
from sidecar.config import Settings
from sidecar.errors import ConfigInvalid
from sidecar.model.incident import Cause, FailureKind
from sidecar.model.ladder import Rung
from sidecar.model.plan import Strategy
from tests.guestbook import on_path, package

GOOD = """
strategy = Strategy(
    ("crashed",), ("pane",), (Step("it", nothing, undo=nothing, idempotent=True),), causes=("out_of_memory",)
)
"""
KIT = Strategy("custom:kit")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    on_path(package(tmp_path, GOOD), monkeypatch)
    return tmp_path


def parse(ladders: str, *, lenient: bool = False) -> Settings:
    return config_read.parse(f"recovery: {{ladders: {{{ladders}}}}}", "f", lenient=lenient)


def fault(ladders: str) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        parse(ladders)
    (one,) = caught.value.faults
    return one.sentence


def test_a_rung_knows_what_it_is_good_for(folder: Path) -> None:
    ladders = parse(
        "crashed: [{strategy: 'custom:kit', retry: {max_attempts: 1}}, respawn_pane],"
        "out_of_memory: ['custom:kit']"
    ).recovery.ladders
    own, ours = ladders[FailureKind.CRASHED]
    assert (own.strategy, own.retry is None) == (KIT, False)
    assert own.extension is not None
    assert own.extension.package == "kit 1.0"
    assert ours == Rung(Strategy.RESPAWN_PANE)
    assert ladders[Cause.OUT_OF_MEMORY] == (Rung(KIT, extension=own.extension),)


@pytest.mark.parametrize(
    ("ladders", "words"),
    [
        ("frozen: ['custom:kit']", "custom:kit (kit 1.0) mends nothing that is frozen"),
        ("process_killed: ['custom:kit']", "custom:kit (kit 1.0) mends nothing that is process_killed"),
        ("crashed: ['custom:kot']", "no installed package brings custom:kot; installed are: custom:kit"),
        ("crashed: ['custom:kit', 'custom:kit']", "names custom:kit twice"),
    ],
)
def test_it_has_to_belong_there(folder: Path, ladders: str, words: str) -> None:
    assert fault(ladders) == words


def test_one_that_cannot_be_loaded_is_a_fault_and_the_last_good_file_does_without(
    folder: Path, tmp_path: Path
) -> None:
    file, state = tmp_path / "config.yml", tmp_path / "state"
    state.mkdir()
    file.write_text("recovery: {ladders: {crashed: ['custom:kit', respawn_pane]}}\n")
    config_lastgood.keep(config_read.load(file), state, 5.0)
    package(folder, "raise RuntimeError('half an upgrade')\n")
    start = config_lastgood.load(file, state)
    assert start.loaded == 5.0
    assert (
        "custom:kit cannot be used: kit:strategy cannot be imported: RuntimeError" in start.faults[0].sentence
    )
    assert start.settings.recovery.ladders[FailureKind.CRASHED] == (Rung(KIT), Rung(Strategy.RESPAWN_PANE))
    with pytest.raises(ConfigInvalid):
        config_lastgood.load(file, state, strict=True)


def test_an_alert_may_ask_for_it(folder: Path) -> None:
    settings = config_read.parse("alerts: [{match: {a: b}, session: web, strategy: 'custom:kit'}]", "f")
    assert settings.alerts[0].strategy == KIT
