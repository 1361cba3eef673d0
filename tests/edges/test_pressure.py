"""What the kernel tells about pressure, and what is told where it tells nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from sidecar.edges import pressure


def test_the_kernels_own_account_is_read(tmp_path: Path) -> None:
    (tmp_path / "cpu").write_text("some avg10=29.47 avg60=25.42 avg300=18.53 total=250835927\n")
    (tmp_path / "memory").write_text(
        "some avg10=0.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=9.00 avg60=0.00 avg300=0.00 total=0\n"
    )
    found = pressure.read(tmp_path)
    assert (found.cpu_stalled, found.memory_stalled) == (29.47, 0.5)
    assert 0.0 < found.memory_available <= 1.0
    assert found.load >= 0.0


@pytest.mark.parametrize("content", [None, "", "nothing known\n"])
def test_a_kernel_that_tells_nothing_is_no_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "cpu").write_text(content)
    found = pressure.read(tmp_path)
    assert (found.cpu_stalled, found.memory_stalled) == (None, None)
