"""Maintenance windows: by which clock, on whatever machine."""

from __future__ import annotations

import re
import zoneinfo
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sidecar import config_quiet, config_read
from sidecar.errors import ConfigInvalid
from sidecar.model.quiet import Window

PAGE = Path(__file__).parents[2] / "docs" / "quiet.md"


def read(line: str) -> Window:
    [window] = config_read.parse(f"quiet: [{{name: w, from: '02:00', to: '04:00', {line}}}]\n", "f").quiet
    return window


def sentence(line: str) -> str:
    with pytest.raises(ConfigInvalid) as caught:
        read(line)
    [fault] = caught.value.faults
    assert fault.line == 1
    return fault.sentence


def offset(window: Window, month: int) -> timedelta | None:
    return datetime(2026, month, 1, 12, tzinfo=window.tz).utcoffset()


@pytest.mark.parametrize("named", ["Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin"])
def test_the_clock_of_this_machine(monkeypatch: pytest.MonkeyPatch, named: str) -> None:
    if named.startswith("/") and not Path(named).exists():
        pytest.skip("this machine has no time zone files")
    monkeypatch.setenv("TZ", named)
    for line in ("", "zone: local"):
        window = read(line)
        assert (offset(window, 1), offset(window, 7)) == (timedelta(hours=1), timedelta(hours=2))


def test_a_machine_without_a_clock_of_its_own_has_utc(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(config_quiet, "_LOCALTIME", tmp_path / "localtime")
    assert read("").tz is UTC
    (tmp_path / "localtime").write_bytes(b"nothing")
    assert sentence("") == (f"needs a `zone`: the machine's own is not understood ({tmp_path / 'localtime'})")


def test_a_clock_that_is_not_understood_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
    assert "needs a `zone`" in sentence("")
    assert read("zone: UTC").zone == "UTC"


@pytest.mark.parametrize("zone", ["Europe", "../etc/passwd", "/etc/localtime", "Mars/Olympus"])
def test_what_is_no_zone(zone: str) -> None:
    assert "is an unknown time zone" in sentence(f"zone: {zone}")


def test_a_machine_without_time_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    def none(key: str) -> zoneinfo.ZoneInfo:
        raise zoneinfo.ZoneInfoNotFoundError(key)

    monkeypatch.setattr(zoneinfo, "ZoneInfo", none)
    monkeypatch.setattr(zoneinfo, "available_timezones", set)
    assert sentence("zone: Europe/Berlin") == (
        "'Europe/Berlin' is not known: this machine has no time zone data (Debian: tzdata)"
    )


def test_there_are_not_too_many() -> None:
    lines = "\n".join(f"- {{name: w{n}, from: '1:00', to: '2:00'}}" for n in range(51))
    with pytest.raises(ConfigInvalid, match="has 51 windows, and may have 50"):
        config_read.parse(f"quiet:\n{lines}\n", "f")


def test_every_example_of_the_page_can_be_loaded() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        config_read.parse(example, "f")
