"""Whatever comes back as it was also passes its rehearsal: no false alarm."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.box import TmuxBox
from tests.fidelity import test_fields, test_shared
from tests.fidelity.conftest import Patient
from tests.theatre import Theatre

CASES = {**test_fields.CASES, **test_shared.CASES}


@pytest.fixture
async def theatre(tmux: TmuxBox) -> AsyncIterator[Theatre]:
    theatre = Theatre(tmux)
    yield theatre
    theatre.store.close()


@pytest.mark.parametrize("case", CASES)
async def test_a_session_that_comes_back_passes(patient: Patient, theatre: Theatre, case: str) -> None:
    await patient.do(*CASES[case])
    for capture in (await patient.take(lines=100)).values():
        row = await theatre.play(capture)
        assert row.faults == ()
    assert not (patient.tmux.folder / "pwned").exists()
