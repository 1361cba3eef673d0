"""The configuration file: what it may say, and the sentence for everything else."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
import yaml
from hypothesis import given

from sidecar import config_read
from sidecar.config import (
    DEFAULT_LADDERS,
    AlertRoute,
    AuditSettings,
    CheckpointSettings,
    HttpSettings,
    NotifySettings,
    SessionOverride,
    SessionSettings,
    Settings,
    TmuxSettings,
)
from sidecar.decide.group import route
from sidecar.errors import ConfigInvalid
from sidecar.model.heartbeat import Heartbeat, May
from sidecar.model.incident import Cause, FailureKind
from sidecar.model.ladder import Rung
from sidecar.model.notice import Apprise
from sidecar.model.plan import StepKind, Strategy
from sidecar.model.policy import AtOnce, BreakerPolicy, Budget, Jitter, Mode, Restore, ResumeRule, RetryPolicy
from sidecar.model.probe import CommandProbe, DnsProbe, HttpProbe, RecordType, Redirects, TcpProbe
from sidecar.model.quiet import Day, Window
from sidecar.model.running import Sending
from sidecar.model.stress import ResourceLimits
from sidecar.model.supervise import ProgramRule, Stop

HERE = Path(__file__).parent
BAD = sorted((HERE / "bad").glob("*.yml"))
GOOD = (HERE / "good" / "everything.yml").read_text()


def faults(content: str) -> tuple[str, ...]:
    with pytest.raises(ConfigInvalid) as caught:
        config_read.parse(content, "f")
    return tuple(
        f"{fault.line}: {fault.key}: {fault.sentence}" if fault.key else f"{fault.line}: {fault.sentence}"
        for fault in caught.value.faults
    )


def test_apprise_has_to_be_installed_where_it_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    line = "notify: [{apprise: 'ntfy://topic'}]\n"
    [channel] = config_read.parse(line, "f").notify.channels
    assert (channel.name, channel.target) == ("apprise", Apprise("ntfy://topic"))
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    [fault] = faults(line)
    assert fault.startswith("1: notify[0].apprise: needs Apprise, which is not installed here: pip install ")
    # What was in force once is not refused for a package that has gone since.
    assert config_read.parse(line, "f", lenient=True).notify.channels == (channel,)


@pytest.mark.parametrize("file", BAD, ids=lambda file: file.stem)
def test_every_fault_has_its_line_and_its_sentence(file: Path) -> None:
    wanted = file.with_suffix(".txt").read_text().splitlines()
    assert list(faults(file.read_text())) == wanted


def test_every_bad_file_has_its_sentences() -> None:
    assert {file.stem for file in BAD} == {file.stem for file in (HERE / "bad").glob("*.txt")}


def test_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    file = HERE / "good" / "everything.yml"
    settings = config_read.load(file)
    assert settings.source == file
    assert settings.tmux == TmuxSettings("work", "/home/me/tmux.sock", 1.5)
    assert settings.sessions == SessionSettings(
        manage=("work-*", "[[]odd", "日本"),
        ignore=("scratch",),
        restore=Restore.ALWAYS,
        workspaces=("/home/me/tmuxp",),
        unblock_terminal=600.0,
        overrides={
            "api": SessionOverride(
                restore=Restore.NEVER,
                unblock_terminal=0.0,
                critical_processes=("^node ", "redis-server"),
            ),
            "a b;\"$(x)'é": SessionOverride(
                ladder={FailureKind.CRASHED: (Rung(Strategy.RESTORE_CHECKPOINT),)}
            ),
        },
    )
    assert list(map(str, settings.declared.faults)) == [
        "/home/me/tmuxp: cannot be read: No such file or directory"
    ]
    assert settings.checkpoints == CheckpointSettings(60.0, 0, ("secret*",), 129_600.0, 64 * 2**20, 0.0)
    recovery = settings.recovery
    assert recovery.mode is Mode.OBSERVE
    assert recovery.retry == RetryPolicy(5, 0.05, 10.0, 1.5, Jitter.NONE)
    assert recovery.circuit == BreakerPolicy(2, 300.0, 30.0)
    assert (recovery.per_session, recovery.overall) == (Budget(3, 3600.0), Budget(30, 3600.0))
    assert recovery.at_once == AtOnce(5, 0.25)
    assert recovery.slow_retry == 1800.0
    assert recovery.starts == Budget(3, 5.0)
    assert settings.resources == ResourceLimits(
        8.5, 30.0, 60.0, 300.0, Budget(2, 20.0), 80.0, 2.5, 3, 10**9, 10**8, 500
    )
    assert recovery.ladders == {
        **DEFAULT_LADDERS,
        Cause.OUT_OF_MEMORY: (Rung(Strategy.REBUILD_WORKSPACE),),
        FailureKind.FROZEN: (
            Rung(
                Strategy.RESPAWN_PANE,
                RetryPolicy(1, 0.05, 10.0, 1.5, Jitter.NONE),
                BreakerPolicy(2, 300.0, 30.0, slow_rate=0.75),
            ),
        ),
    }
    assert recovery.operations == {StepKind.SAVE: RetryPolicy(2, 0.05, 10.0, 1.5, Jitter.NONE)}
    assert recovery.stable == 300.0
    assert settings.audit == AuditSettings(30 * 86_400.0, 2000)
    assert settings.resume == (
        ResumeRule(r"^claude\b", "claude --resume {id}", "claude --continue"),
        ResumeRule("^run ", "{argv} | awk '{ print $1 }' ${HOME}", heavy=True),
    )
    assert settings.alerts == (
        AlertRoute(
            {"alertname": "ApiDown", "severity": "page"},
            "{{ labels.instance }}-{{labels.job}}",
            FailureKind.FROZEN,
            Strategy.RESPAWN_PANE,
        ),
        AlertRoute({"alertname": "Gone"}, "api"),
    )
    silence, ask, short = settings.heartbeats
    assert silence == Heartbeat(
        "work-t*",
        window="1",
        pane=0,
        output_age=600.0,
        cpu_flat=300.0,
        io_flat=300.0,
        may=(May.INTERRUPT, May.RESPAWN),
    )
    assert ask == Heartbeat(
        "work-api",
        name="api",
        window="serv*",
        http=HttpProbe("https://127.0.0.1:8443/health", (200, 503), "ok|up", Redirects.NEVER, verify=False),
        tcp=TcpProbe("::1", 5432),
        dns=DnsProbe("db.example", "9.9.9.9:5353", RecordType.AAAA),
        command=CommandProbe(("pg_isready", "-q")),
        interval=20.0,
        retry_interval=0.5,
        timeout=5.0,
        after=4,
        slow=1.0,
        grace=60.0,
    )
    assert (short.http, short.dns) == (HttpProbe("http://127.0.0.1/"), DnsProbe("db.example"))
    db, api, once = settings.programs
    assert db == ProgramRule("work-db", "db", "db", 0, "^postgres", restart=Restore.ALWAYS)
    assert api == ProgramRule(
        "work-*",
        name="api",
        window="serve",
        run=("node", "server.js"),
        delay=2.0,
        max_delay=30.0,
        start_grace=5.0,
        intensity=Budget(3, 120.0),
        expected_exits=(0, 2, -10, -1),
        after=("db", "work-db:db.0"),
        stop=Stop(Sending.INTERRUPT, 30.0),
    )
    assert once.restart is Restore.NEVER
    assert settings.notify == NotifySettings(tmux=False)
    nightly, once, exact = settings.quiet
    assert nightly == Window(
        "nightly",
        ("db-*", "check:db"),
        frozenset({Day.FRI, Day.SAT}),
        22 * 60 + 30,
        4 * 60,
        zone="Europe/Berlin",
    )
    assert nightly.tz == ZoneInfo("Europe/Berlin")
    # The clock is put forward at 01:00 UTC in that night.
    assert (once.start, once.end) == (1_774_746_000.0, 1_774_749_600.0 + 1_800.0)
    assert (once.hold, once.reason) == (True, "the move")
    assert (exact.start, exact.end) == (1_774_751_400.0, 1_774_756_800.0)
    assert settings.http == HttpSettings(("[::1]:0",), "/home/me/token")
    assert settings.http.addresses == (("::1", 0),)


@pytest.mark.parametrize("name", ["empty.yml", "blank.yml"])
def test_what_is_not_said_keeps_its_default(name: str) -> None:
    assert config_read.parse((HERE / "good" / name).read_text(), name) == Settings()


@pytest.mark.parametrize(
    ("word", "seconds"), [("off", 0.0), ("Off", 0.0), ("0", 0.0), ("0s", 0.0), ("1s", 1.0), ("1h30m", 5400.0)]
)
def test_rehearsals_can_be_switched_off(word: str, seconds: float) -> None:
    settings = config_read.parse(f"checkpoints: {{rehearse: {word}}}", "f")
    assert settings.checkpoints.rehearse == seconds


def test_a_step_that_nobody_knows_has_no_retry_of_its_own() -> None:
    (fault,) = faults("recovery: {operations: {dance: {max_attempts: 1}}}")
    assert fault.startswith("1: recovery.operations.dance: 'dance' is an unknown step. There are: save, ")


def test_failures_and_causes_are_told_apart() -> None:
    assert not {*FailureKind} & {*Cause}
    assert not [word for word in DEFAULT_LADDERS if isinstance(word, Cause)]


def test_an_empty_list_of_channels_calls_nobody() -> None:
    assert config_read.parse("notify: []", "f").notify == NotifySettings(tmux=False)


def test_a_template_that_is_accepted_is_also_understood() -> None:
    settings = config_read.parse(GOOD, "f")
    labels = {"alertname": "ApiDown", "severity": "page", "instance": "a", "job": "b"}
    assert route(labels, settings.alerts).session == "a-b"


def test_faults_name_the_file_and_come_in_order() -> None:
    with pytest.raises(ConfigInvalid) as caught:
        config_read.parse("http: {listen: x}\nno: 1\ntmux: {timeout: 0s}", "c.yml")
    assert [str(fault).partition(" ")[0] for fault in caught.value.faults] == [
        "c.yml:1:",
        "c.yml:2:",
        "c.yml:3:",
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read: No such file"):
        config_read.load(tmp_path / "none.yml")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read: Is a directory"):
        config_read.load(tmp_path)


def test_an_impossible_name() -> None:
    with pytest.raises(ConfigInvalid, match="cannot be read: embedded null"):
        config_read.load(Path("a\0b"))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_bytes(b"tmux:\n  socket_name: \xe9\n")
    with pytest.raises(ConfigInvalid) as caught:
        config_read.load(file)
    assert [str(fault) for fault in caught.value.faults] == [f"{file}:2: is not UTF-8 text"]


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text("recovery: {mode: observe}", "utf-8-sig")
    assert config_read.load(file).recovery.mode is Mode.OBSERVE


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    file = tmp_path / "c.yml"
    file.write_text("#" * (1 << 20) + "\n")
    with pytest.raises(ConfigInvalid, match="is larger than 1048576 bytes"):
        config_read.load(file)


def test_the_default_file_may_be_missing_but_not_unreadable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_read.load_or_default(None) == Settings()
    config_read.default_path().parent.mkdir()
    config_read.default_path().symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigInvalid, match="cannot be read"):
        config_read.load_or_default(None)


def test_folders_follow_the_xdg_specification() -> None:
    home = Path(os.path.expanduser("~"))
    assert config_read.default_path({}) == home / ".config/tmux-sidecar/config.yml"
    assert config_read.state_dir({}) == home / ".local/state/tmux-sidecar"
    assert config_read.state_dir({"XDG_STATE_HOME": "relative"}) == home / ".local/state/tmux-sidecar"
    assert config_read.state_dir({"XDG_STATE_HOME": "/s"}) == Path("/s/tmux-sidecar")
    assert config_read.default_path({"XDG_CONFIG_HOME": "/c"}) == Path("/c/tmux-sidecar/config.yml")


def _keys(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from _keys(item)
    elif isinstance(value, list):
        for item in value:
            yield from _keys(item)


_words = st.sampled_from(sorted(set(_keys(yaml.safe_load(GOOD))))) | st.text(max_size=8)
_scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12) | _words | st.dates()
    | st.sampled_from(["15s", "100MB", "5 per 10m", "auto", "{id}", "{{ labels.x }}", "127.0.0.1:1", "[a"])
)  # fmt: skip
_documents = st.recursive(
    _scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_words, inner, max_size=5),
    max_leaves=20,
)


def read(content: str) -> None:
    """Either settings, or faults that say where they are."""
    try:
        config_read.parse(content, "f")
    except ConfigInvalid as error:
        found = error.faults
    else:
        return
    last_line = len(content.splitlines()) + 1
    assert found
    assert all(fault.sentence and 0 <= fault.line <= last_line for fault in found)


@given(st.dictionaries(st.sampled_from(sorted(yaml.safe_load(GOOD))), _documents, max_size=4))
def test_any_document_gives_settings_or_faults(document: dict[str, Any]) -> None:
    read(yaml.safe_dump(document, allow_unicode=True))


@given(st.text(st.characters() | st.sampled_from("{}[]:,-&*!|>'\"\\%@`\n #?~")))
def test_any_text_gives_settings_or_faults(content: str) -> None:
    read(content)


@given(st.data())
def test_a_damaged_file_gives_settings_or_faults(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD)))
    end = data.draw(st.integers(start, min(start + 20, len(GOOD))))
    read(GOOD[:start] + data.draw(st.text(max_size=4)) + GOOD[end:])
