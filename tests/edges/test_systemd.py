"""What the service manager is told, with a real socket in its role."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from sidecar.edges.systemd import Notifier


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    """The name as it stands in NOTIFY_SOCKET, and the socket."""
    name = f"@sidecar-{secrets.token_hex(8)}" if request.param == "abstract" else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(name.replace("@", "\0", 1) if name.startswith("@") else name)
        door.settimeout(5)
        yield name, door


def test_every_message_arrives_as_it_is_specified(manager: tuple[str, socket.socket]) -> None:
    name, door = manager
    notifier = Notifier({"NOTIFY_SOCKET": name})
    notifier.ready()
    notifier.reloading(12.345678)
    notifier.feed()
    notifier.status("two\nlines")
    notifier.status("two\nlines")
    notifier.stopping()
    told = [door.recv(4096).decode() for _ in range(5)]
    assert told == [
        "READY=1",
        "RELOADING=1\nMONOTONIC_USEC=12345678",
        "WATCHDOG=1",
        "STATUS=two lines",
        "STOPPING=1",
    ]


@pytest.mark.parametrize("name", ["", "relative", "/nowhere/at/all", "@nobody-listens-here"])
def test_nobody_who_listens_is_no_error(name: str) -> None:
    Notifier({"NOTIFY_SOCKET": name}).ready()
    Notifier({}).feed()


def test_a_manager_that_does_not_read_is_not_waited_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(tmp_path / "notify"))
        notifier = Notifier({"NOTIFY_SOCKET": str(tmp_path / "notify")})
        for _ in range(2_000):
            notifier.feed()


@pytest.mark.parametrize(
    ("environment", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "90000000"}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": str(os.getpid())}, 90.0),
        ({"WATCHDOG_USEC": "90000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": ""}, None),
    ],
)
def test_the_watchdog_is_kept_over_us_or_not(environment: dict[str, str], seconds: float | None) -> None:
    assert Notifier(environment).watchdog == seconds
