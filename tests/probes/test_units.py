"""Units, with a stand-in that prints what systemctl prints: no systemd runs in a container."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sidecar.edges.probes import units
from sidecar.edges.probes.finding import Unmeasured
from sidecar.edges.probes.prober import Prober
from sidecar.model.heal import UnitManager
from sidecar.model.probe import FAULTS, UNASKED, ProbeFault, ProbeKind
from sidecar.model.probe_tended import UnitProbe, UnitState

SYSTEMCTL = """#!/bin/sh
echo "$*" >> "$0.calls"
for last; do :; done
show() { printf 'Result=%s\\nLoadState=%s\\nActiveState=%s\\nSubState=%s\\n' "$@"; }
case "$last" in
    api.service) show success loaded active running;;
    reload.service) show success loaded reloading reload;;
    stopped.service) show success loaded inactive dead;;
    crashed.service) show exit-code loaded failed failed;;
    killed.service) show signal loaded failed failed;;
    masked.service) show success masked inactive dead;;
    silent.service) exit 0;;
    refused.service) echo "Failed to connect to bus: No such file or directory" >&2; exit 1;;
    slow.service) exec sleep 1020;;
    *) show success not-found inactive dead;;
esac
"""
INACTIVE = (UnitState.INACTIVE,)


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = tmp_path / "systemctl"
    file.write_text(SYSTEMCTL)
    file.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return file


@pytest.mark.parametrize(
    ("probe", "fault", "fact"),
    [
        (UnitProbe("api.service"), None, "the unit api.service is active (running)"),
        (UnitProbe("reload.service"), None, "the unit reload.service is reloading (reload)"),
        (UnitProbe("stopped.service"), ProbeFault.BAD_STATE, "the unit stopped.service is inactive (dead)"),
        (UnitProbe("stopped.service", states=INACTIVE), None, "the unit stopped.service is inactive (dead)"),
        (
            UnitProbe("crashed.service"),
            ProbeFault.BAD_STATE,
            "the unit crashed.service is failed (failed, exit-code)",
        ),
        (
            UnitProbe("killed.service"),
            ProbeFault.BAD_STATE,
            "the unit killed.service is failed (failed, signal)",
        ),
        (UnitProbe("masked.service"), ProbeFault.BAD_STATE, "the unit masked.service is inactive (dead)"),
        (UnitProbe("gone.service"), ProbeFault.MISSING, "there is no unit gone.service"),
        (UnitProbe("gone.service", states=INACTIVE), None, "the unit gone.service is inactive (dead)"),
    ],
)
async def test_states(
    program: Path, tmp_path: Path, probe: UnitProbe, fault: ProbeFault | None, fact: str
) -> None:
    found = await units.unit(probe, 10.0, tmp_path)
    assert (found.fault, found.fact) == (fault, fact)
    assert fault is None or fault in FAULTS[ProbeKind.UNIT]
    calls = Path(f"{program}.calls").read_text()
    wanted = "--property=LoadState,ActiveState,SubState,Result"
    assert calls == f"--system --no-ask-password show {wanted} -- {probe.unit}\n"


@pytest.mark.parametrize(
    ("unit", "why"),
    [
        ("silent.service", "ended with 0"),
        ("refused.service", "ended with 1: Failed to connect to bus: No such file or directory"),
        ("slow.service", "has not answered within 0.2 s"),
    ],
)
async def test_no_answer_says_nothing(program: Path, tmp_path: Path, unit: str, why: str) -> None:
    with pytest.raises(Unmeasured, match=why):
        await units.unit(UnitProbe(unit), 0.2 if unit == "slow.service" else 10.0, tmp_path)


async def test_a_manager_of_this_user(program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    probe = UnitProbe("api.service", UnitManager.USER)
    none = await units.unit(probe, 10.0, tmp_path)
    assert (none.fault, none.fact) == (ProbeFault.NO_SYSTEMD, "no manager of this user's units is known")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert (await units.unit(probe, 10.0, tmp_path)).fault is None
    assert Path(f"{program}.calls").read_text().startswith("--user ")


async def test_where_systemd_does_not_run(
    prober: Prober, program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = await units.unit(UnitProbe("api.service"), 10.0, tmp_path / "gone")
    assert (found.fault, found.fact) == (ProbeFault.NO_SYSTEMD, "systemd does not run here")
    assert found.fault in UNASKED
    assert not Path(f"{program}.calls").exists()
    if not Path("/run/systemd/system").is_dir():
        assert (await prober.probe(UnitProbe("api.service"), 10.0, {})).fault is ProbeFault.NO_SYSTEMD
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    missing = await units.unit(UnitProbe("api.service"), 10.0, tmp_path)
    assert missing.fault is ProbeFault.NO_SYSTEMD
