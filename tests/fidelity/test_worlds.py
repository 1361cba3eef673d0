"""Whatever a person makes is there again after its server was killed, and nothing runs on the way."""

from __future__ import annotations

import shutil
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings

from tests.fidelity.conftest import Patient
from tests.fidelity.worlds import Making, World, worlds

_EXAMPLES = settings(
    # A world takes about half a second.
    max_examples=settings.default.max_examples // 4,
    deadline=None,
    # Shrinking would take minutes; the failing world is told whole.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@_EXAMPLES
@given(world=worlds)
async def test_a_world_comes_back_as_it_was(world: World, patient: Patient) -> None:
    root = patient.tmux.folder / "cwd"
    try:
        await _make(patient, world, root)
        before = await patient.take()
        if before:
            await patient.lose()
            captures = list(before.values())
            await patient.restore(reversed(captures) if world.backwards else captures)
            assert await patient.differences(before) == []
        assert not list(patient.tmux.folder.rglob("pwned"))
    finally:
        await patient.lose()
        shutil.rmtree(root, ignore_errors=True)


async def _make(patient: Patient, world: World, root: Path) -> None:
    for name in world.folders:
        (root / name).mkdir(parents=True)
    await patient.do(*Making(world, str(root)).commands(), strict=False)
