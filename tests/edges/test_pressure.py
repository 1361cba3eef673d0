"""What the kernel tells about pressure, and what is told where it tells nothing."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sidecar.edges import pressure
from tests.group import memory_group


def test_the_kernels_own_account_is_read(tmp_path: Path) -> None:
    (tmp_path / "cpu").write_text("some avg10=29.47 avg60=25.42 avg300=18.53 total=250835927\n")
    (tmp_path / "memory").write_text(
        "some avg10=0.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=9.00 avg60=0.00 avg300=0.00 total=0\n"
    )
    found = pressure.read(tmp_path)
    assert (found.cpu_stalled, found.memory_stalled, found.memory_blocked) == (29.47, 0.5, 9.0)
    assert 0.0 < found.memory_available <= 1.0
    assert found.load >= 0.0


@pytest.mark.parametrize("content", [None, "", "nothing known\n"])
def test_a_kernel_that_tells_nothing_is_no_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "cpu").write_text(content)
    found = pressure.read(tmp_path)
    assert (found.cpu_stalled, found.memory_stalled) == (None, None)


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    """Control groups as files."""
    return tmp_path / "cgroup"


def write_group(folder: Path, **files: object) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(f"{content}\n")


def available(tmp_path: Path, groups: Path, membership: str) -> float | None:
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "cgroup").write_text(membership)
    return pressure.group_available(7, tmp_path / "proc", groups)


V1 = {
    "memory__limit_in_bytes": 1000,
    "memory__usage_in_bytes": 900,
    "memory__stat": "total_inactive_file 300",
}
V2 = {"memory__max": 1000, "memory__current": 900, "memory__stat": "inactive_file 100"}


def test_a_group_of_version_1_has_what_its_limit_leaves(tmp_path: Path, groups: Path) -> None:
    write_group(groups / "memory" / "tmux", **V1)
    assert available(tmp_path, groups, "4:memory:/tmux\n2:cpu:/\n") == pytest.approx(0.4)


def test_a_group_of_version_2_has_what_the_tightest_above_it_leaves(tmp_path: Path, groups: Path) -> None:
    write_group(groups / "user" / "tmux", **{**V2, "memory__max": "max"})
    write_group(groups / "user", **V2)
    assert available(tmp_path, groups, "0::/user/tmux\n") == pytest.approx(0.2)


@pytest.mark.parametrize("membership", ["0::/\n", "4:memory:/gone\n0::/\n", "3:cpu:/tmux\n", ""])
def test_without_a_limit_nothing_is_told(tmp_path: Path, groups: Path, membership: str) -> None:
    write_group(groups / "memory", **{**V1, "memory__limit_in_bytes": 9223372036854771712})
    assert available(tmp_path, groups, membership) is None


def test_a_process_that_is_gone_has_no_group() -> None:
    assert pressure.group_available(2**22 + 1) is None


def test_a_real_group_is_found_by_its_process() -> None:
    with memory_group(64 * 2**20) as group, subprocess.Popen(["sleep", "60"]) as process:
        try:
            group.add(process.pid)
            found = pressure.group_available(process.pid)
        finally:
            process.kill()
    assert found is not None
    assert 0.8 < found <= 1.0


def test_the_room_on_a_disk_is_read(tmp_path: Path) -> None:
    found = pressure.room(tmp_path)
    assert found is not None
    assert 0 <= found.free <= found.size


def test_a_folder_that_is_gone_has_no_disk(tmp_path: Path) -> None:
    assert pressure.room(tmp_path / "gone") is None
