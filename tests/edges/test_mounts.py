"""Disks by the table of mounts."""

from __future__ import annotations

from pathlib import Path

from sidecar.edges.mounts import disks

TABLE = r"""
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
23 22 0:5 / /proc rw,nosuid - proc proc rw
24 22 8:2 / /srv rw,relatime shared:1 master:2 - xfs /dev/sdb1 rw
25 22 8:3 / /with\040space rw - ext4 /dev/sdc1 rw
26 22 8:2 /sub /again rw - xfs /dev/sdb1 rw
27 22 7:0 / /snap/core ro,nodev - squashfs /dev/loop0 ro
28 22 0:30 / /tmp rw - tmpfs tmpfs rw
29 28 8:1 /home /tmp/bound rw - ext4 /dev/sda1 rw
"""


def found(tmp_path: Path, *folders: str, state: str = "/root/state") -> tuple[str, ...]:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE.lstrip())
    return disks(folders, state, table)


def test_each_disk_is_named_once_and_never_that_of_the_state_folder(tmp_path: Path) -> None:
    assert found(tmp_path, "/root", "/srv/a/b", "/again", "/srv", "/tmp/bound/x") == ("/srv",)
    assert found(tmp_path, "/", "/srv", state="/srv/state") == ("/",)


def test_what_never_fills_up_is_left_out(tmp_path: Path) -> None:
    assert found(tmp_path, "/proc/self", "/snap/core/1", "/tmp/work", "relative") == ("/tmp",)


def test_names_are_read_as_the_kernel_writes_them(tmp_path: Path) -> None:
    assert found(tmp_path, "/with space/x", "/without") == ("/with space",)


def test_the_real_table_is_understood(tmp_path: Path) -> None:
    assert disks(["/"], "/nowhere/at/all") == ()
