"""Restarting units, with a stand-in that answers as systemctl does: its statuses and its words."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.clock import SystemClock
from sidecar.edges.heals import units
from sidecar.edges.heals.notes import Notes
from sidecar.errors import Permanent, Temporary
from sidecar.model.heal import HealCall, UnitHeal, UnitManager
from tests.heals.bench import call

SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$0.calls"
for last; do :; done
case "$*" in *" show "*)
    echo "ActiveState=$(cat "$0.state")"
    echo "ActiveEnterTimestampMonotonic=$(cat "$0.since")"
    exit 0
esac
case "$last" in
    missing) echo "Failed to restart missing.service: Unit missing.service not found."; exit 5;;
    masked) echo "Failed to restart masked.service: Unit masked.service is masked."; exit 1;;
    polkit) echo "Failed to restart polkit.service: Interactive authentication required."
            echo "See system logs and 'systemctl status polkit.service' for details."; exit 1;;
    denied) echo "Failed to restart denied.service: Access denied"; exit 4;;
    broken) echo "Job for broken.service failed because the control process exited with error code."
            echo 'See "systemctl status broken.service" for details.'; exit 1;;
    slow) exec sleep 1020;;
esac
"""


class Machine:
    """One with a systemctl of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "systemctl"
        self.program.write_text(SYSTEMCTL)
        self.program.chmod(0o755)
        self.booted = folder / "booted"
        self.booted.mkdir()

    async def restart(self, heal: UnitHeal, made: HealCall | None = None) -> str:
        notes = Notes(self.folder / "heals", SystemClock())
        return await units.restart(heal, made or call(heal), notes, SystemClock(), self.booted)

    def calls(self) -> list[str]:
        return Path(f"{self.program}.calls").read_text().splitlines()

    def tells(self, state: str, since: float) -> None:
        Path(f"{self.program}.state").write_text(state)
        Path(f"{self.program}.since").write_text(str(int(since * 1e6)))


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return Machine(tmp_path)


async def test_a_unit_is_restarted(machine: Machine) -> None:
    assert (await machine.restart(UnitHeal("api.service"))).startswith("restarted the unit api.service in ")
    assert machine.calls() == ["--system --no-ask-password restart -- api.service"]


async def test_one_of_a_user(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    heal = UnitHeal("api", UnitManager.USER)
    for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(Permanent, match="no manager of this user's units"):
        await machine.restart(heal)
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    await machine.restart(heal)
    assert machine.calls() == ["--user --no-ask-password restart -- api"]


@pytest.mark.parametrize(
    ("unit", "kind", "words", "hint"),
    [
        ("missing", Permanent, "ended with 5: .*not found", "name of the unit"),
        ("masked", Permanent, "is masked", "refuses it"),
        ("polkit", Permanent, "ended with 1", "refuses it"),
        ("denied", Permanent, "ended with 4", "polkit"),
        ("broken", Temporary, "ended with 1", "journalctl"),
    ],
)
async def test_what_systemd_refuses(
    machine: Machine, unit: str, kind: type[Permanent | Temporary], words: str, hint: str
) -> None:
    with pytest.raises(kind, match=words) as caught:
        await machine.restart(UnitHeal(unit))
    assert hint in caught.value.hint


async def test_one_that_does_not_come_up_in_time(machine: Machine) -> None:
    with pytest.raises(Temporary, match=r"was not restarted within 0\.3 s; systemd goes on with it"):
        await machine.restart(UnitHeal("slow", seconds=0.3))


async def test_no_systemd_and_no_systemctl(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Permanent, match="systemctl cannot be run: No such file"):
        await machine.restart(UnitHeal("api"))
    machine.booted.rmdir()
    with pytest.raises(Permanent, match="systemd does not run here") as caught:
        await machine.restart(UnitHeal("api"))
    assert "command" in caught.value.hint


@pytest.mark.parametrize(
    ("state", "later", "restarts"),
    [("active", 5.0, 1), ("active", -5.0, 2), ("activating", 5.0, 2), ("failed", 5.0, 2)],
)
async def test_after_an_attempt_that_was_cut_off(
    machine: Machine, state: str, later: float, restarts: int
) -> None:
    """systemd has gone on with it meanwhile, or it never came so far."""
    heal = UnitHeal("api")
    await machine.restart(heal)
    machine.tells(state, SystemClock().monotonic() + later)
    said = await machine.restart(heal, call(heal, again=True))
    assert ("by an attempt that was cut off" in said) is (restarts == 1)
    assert sum(" restart " in each for each in machine.calls()) == restarts


async def test_an_attempt_that_was_cut_off_before_it_asked(machine: Machine) -> None:
    heal = UnitHeal("api")
    assert (await machine.restart(heal, call(heal, again=True))).startswith("restarted")
    assert len(machine.calls()) == 1
