"""Two hosts in network namespaces, and a line between them that loses, delays or cuts.

Where the kernel has netem, it is the line. A relay of our own, which copies frames between two
interfaces and throws some away, does the same on every kernel.
"""

from __future__ import annotations

import ctypes
import fcntl
import heapq
import os
import random
import select
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

_TUNSETIFF = 0x400454CA
_TAP_WITHOUT_HEADER = 0x0002 | 0x1000
NEAR, FAR = "10.77.0.1", "10.77.0.2"


def lacking() -> str:
    """Why namespaces cannot be had here; empty if they can."""
    if os.geteuid():
        return "network namespaces need root"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    name = f"t{os.getpid()}"
    made = _ip("netns", "add", name, check=False)
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    _ip("netns", "del", name)
    return ""


def netem_lacking() -> str:
    """Why netem cannot be had here; empty if it can."""
    if reason := lacking():
        return reason
    name = f"t{os.getpid()}"
    _ip("netns", "add", name)
    try:
        tried = _in(name, "tc", "qdisc", "add", "dev", "lo", "root", "netem", "loss", "1%")
    finally:
        _ip("netns", "del", name)
    return f"the kernel has no netem: {tried.stderr.strip()}" if tried.returncode else ""


@dataclass
class Weather:
    """What the line does to each frame, in either direction."""

    loss: float = 0.0
    delay: float = 0.0
    """Seconds."""


@dataclass
class Line:
    """Two hosts and the line between them."""

    near: str
    """The namespace of the one that asks."""
    far: str
    """The namespace of the one that answers."""
    weather: Weather = field(default_factory=Weather)

    def set(self, *, loss: float = 0.0, delay: float = 0.0) -> None:
        """The line is like this from now on."""
        self.weather = Weather(loss, delay)

    def on_far(self, *argv: str) -> list[str]:
        return ["ip", "netns", "exec", self.far, *argv]


class NetemLine(Line):
    def set(self, *, loss: float = 0.0, delay: float = 0.0) -> None:
        for name in (self.near, self.far):
            done = _in(
                name, "tc", "qdisc", "replace", "dev", "line", "root", "netem",
                "loss", f"{loss * 100:g}%", "delay", f"{delay * 1000:g}ms",
            )  # fmt: skip
            assert done.returncode == 0, done.stderr


@contextmanager
def netem_line() -> Iterator[Line]:
    """A pair of interfaces, and netem on both."""
    near, far = f"near{os.getpid()}", f"far{os.getpid()}"
    with _namespaces(near, far):
        _ip("link", "add", "line", "netns", near, "type", "veth", "peer", "name", "line", "netns", far)
        _address(near, NEAR)
        _address(far, FAR)
        yield NetemLine(near, far)


@contextmanager
def relayed_line() -> Iterator[Line]:
    """An interface in each, and a relay that takes frames from the one to the other."""
    near, far = f"near{os.getpid()}", f"far{os.getpid()}"
    with _namespaces(near, far):
        ends = [_tap(near), _tap(far)]
        _address(near, NEAR)
        _address(far, FAR)
        line = Line(near, far)
        ended = threading.Event()
        thread = threading.Thread(target=_relay, args=(line, ends, ended))
        thread.start()
        try:
            yield line
        finally:
            ended.set()
            thread.join()
            for end in ends:
                os.close(end)


def _relay(line: Line, ends: list[int], ended: threading.Event) -> None:
    dice, number = random.Random(7), count()
    waiting: list[tuple[float, int, int, bytes]] = []
    while not ended.is_set():
        ready, _, _ = select.select(ends, [], [], 0.002 if waiting else 0.05)
        for end in ready:
            frame = os.read(end, 65_535)
            if dice.random() >= line.weather.loss:
                other = ends[1] if end == ends[0] else ends[0]
                due = time.monotonic() + line.weather.delay
                heapq.heappush(waiting, (due, next(number), other, frame))
        while waiting and waiting[0][0] <= time.monotonic():
            _, _, other, frame = heapq.heappop(waiting)
            os.write(other, frame)


def _tap(name: str) -> int:
    """The inner end of a new interface ``line`` of this namespace."""
    found: list[int] = []

    def make() -> None:
        # A thread may be in another namespace than its process.
        _enter(name)
        end = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(end, _TUNSETIFF, struct.pack("16sH22x", b"line", _TAP_WITHOUT_HEADER))
        found.append(end)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    return found[0]


@contextmanager
def _namespaces(*names: str) -> Iterator[None]:
    made = []
    try:
        for name in names:
            _ip("netns", "add", name)
            made.append(name)
            _in(name, "ip", "link", "set", "lo", "up")
        yield
    finally:
        for name in made:
            _ip("netns", "del", name)


def _address(name: str, address: str) -> None:
    assert _in(name, "ip", "addr", "add", f"{address}/24", "dev", "line").returncode == 0
    assert _in(name, "ip", "link", "set", "line", "up").returncode == 0


def _ip(*argv: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["ip", *argv], check=check, capture_output=True, text=True, timeout=20)


def _in(name: str, *argv: str) -> subprocess.CompletedProcess[str]:
    return _ip("netns", "exec", name, *argv, check=False)


@contextmanager
def inside(name: str) -> Iterator[None]:
    """This thread, and whatever it starts, is in the namespace."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _enter(name)
        yield
    finally:
        _set(home)
        os.close(home)


def _enter(name: str) -> None:
    with open(f"/var/run/netns/{name}") as file:
        _set(file.fileno())


def _set(descriptor: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, 0):
        raise OSError(ctypes.get_errno(), "setns")
