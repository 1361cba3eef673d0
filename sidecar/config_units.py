"""Words of the configuration file and the command line as values: durations, sizes, budgets, addresses.

Functions of one text, and for paths of this user's home. Each raises ``ValueError`` with the sentence
that a person needs; where the text stood is the caller's to say.
"""

from __future__ import annotations

import ipaddress
import os
import re

from sidecar.config import UNIX
from sidecar.model.amounts import show_seconds as show_seconds
from sidecar.model.amounts import show_size as show_size
from sidecar.model.heal import PaneTarget
from sidecar.model.policy import AtOnce, Budget

_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_DURATION_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,6})?)(ms|d|h|m|s)")
_DURATION = re.compile(f"(?:{_DURATION_PART.pattern}){{1,5}}")
_BYTES = {"B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40
}  # fmt: skip
_SIZE = re.compile(rf"([0-9]{{1,15}}(?:\.[0-9]{{1,6}})?) ?({'|'.join(_BYTES)})")
_BUDGET = re.compile(r"([0-9]{1,6}) +per +(\S+)")
_AT_ONCE = re.compile(r"(?:(?P<count>\d{1,6})(?: or (?=\d)|$))?(?:(?P<share>\d{1,3}(?:\.\d{1,4})?) ?%)?")
_RULE_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_ADDRESS = re.compile(r"(?:\[(?P<v6>[^\[\]]+)\]|(?P<name>[A-Za-z0-9._-]+)):(?P<port>[0-9]{1,5})")
_HOST_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?")
_UNIT_NAME = re.compile(r"[A-Za-z0-9:_.\\@-]{1,255}")
_SOCKET_PATH_BYTES = 107


def seconds(text: str) -> float:
    """A duration with units, such as ``15s``, ``200ms`` or ``1h30m``, in seconds.

    Raises:
        ValueError: it has no unit, or is no duration.
    """
    if not _DURATION.fullmatch(text):
        raise ValueError(f"{text!r} is no duration; write it with units, as 200ms, 15s, 10m, 1h30m or 7d")
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def size(text: str) -> int:
    """A size with a unit, such as ``100MB`` or ``64KiB``, in bytes.

    Raises:
        ValueError: it has no unit, or is no size.
    """
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no size; write it with a unit, as 100MB or 64KiB")
    return round(float(match[1]) * _BYTES[match[2]])


def budget(text: str) -> Budget:
    """``5 per 10m``.

    Raises:
        ValueError: it has another form, or allows nothing.
    """
    match = _BUDGET.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no budget; write a count and a duration, as 5 per 10m")
    count, period = int(match[1]), seconds(match[2])
    if count == 0 or period == 0:
        raise ValueError(f"{text!r} allows nothing; give at least 1 per 1s, or set recovery.mode to observe")
    return Budget(count, period)


def at_once(text: str) -> AtOnce:
    """``5``, ``25%`` or ``5 or 25%``, of which the larger holds.

    Raises:
        ValueError: it has another form, or allows nothing.
    """
    match = _AT_ONCE.fullmatch(text)
    if match is None or not (match["count"] or match["share"]):
        raise ValueError(f"{text!r} is neither a count nor a share; write 5, 25%, or 5 or 25%")
    count, share = int(match["count"] or 0), float(match["share"] or 0) / 100
    if count == 0 and share == 0:
        raise ValueError(f"{text!r} allows nothing; give at least 1, or set recovery.mode to observe")
    if share > 1:
        raise ValueError(f"{text!r} is more than all; a share ends at 100%")
    return AtOnce(count, share)


def address(text: str) -> str:
    """``HOST:PORT``, unchanged, once it is certain that it is one. IPv6 hosts stand in brackets.

    Raises:
        ValueError: the host or the port is none.
    """
    match = _ADDRESS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no address; write HOST:PORT, as 127.0.0.1:9847 or [::1]:9847")
    if match["v6"] and not _is_ipv6(match["v6"]):
        raise ValueError(f"{match['v6']!r} is no IPv6 address")
    if int(match["port"]) > 65_535:
        raise ValueError(f"the port is {match['port']}; ports end at 65535")
    return text


def listen_address(text: str) -> str:
    """``HOST:PORT``, or ``unix:PATH`` with a full path.

    Raises:
        ValueError: it is neither.
    """
    if not text.startswith(UNIX):
        return address(text)
    return UNIX + socket_path(os.path.expanduser(text.removeprefix(UNIX)))


def host_name(text: str) -> str:
    """A host's name as a browser would send it: without a port, in small letters.

    Raises:
        ValueError: it is none.
    """
    if not _HOST_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no host name; write it without a scheme and a port")
    return text.lower()


def full_path(text: str) -> str:
    """A path that means the same wherever the service runs, with ``~`` as this user's home.

    Raises:
        ValueError: it is a relative one.
    """
    path = os.path.expanduser(text)
    if not path.startswith("/"):
        raise ValueError(f"{text!r} is not a full path; it has to begin with / or ~/")
    return path


def socket_name(text: str) -> str:
    """A name for ``tmux -L``.

    Raises:
        ValueError: it is empty or a path.
    """
    if not text or "/" in text or text in (".", ".."):
        raise ValueError(f"{text!r} is no socket name; a path goes into socket_path")
    return text


def socket_path(text: str) -> str:
    """A path for ``tmux -S``.

    Raises:
        ValueError: it is not a full path, or longer than the kernel allows.
    """
    if not text.startswith("/"):
        raise ValueError(f"{text!r} is not a full path; it has to begin with /")
    if len(text.encode("utf-8", "surrogateescape")) > _SOCKET_PATH_BYTES:
        raise ValueError(f"{text!r} is longer than {_SOCKET_PATH_BYTES} bytes, the most for a socket")
    return text


def glob(text: str) -> str:
    """A pattern with ``*``, ``?`` and ``[...]``, unchanged.

    Raises:
        ValueError: it is empty, or a bracket is never closed and would match itself.
    """
    if not text:
        raise ValueError("an empty pattern matches nothing")
    start = text.find("[")
    while start >= 0:
        inside = start + 1 + text.startswith("!", start + 1)
        end = text.find("]", inside + text.startswith("]", inside))
        if end < 0:
            raise ValueError(f"{text!r} has a [ that is never closed; write [[] for a bracket itself")
        start = text.find("[", end + 1)
    return text


def rule_name(text: str) -> str:
    """The name of a rule or a check, which is a label of its metrics."""
    if not _RULE_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name for a rule; it takes up to 60 letters, digits and _ . -")
    return text


def pane_target(text: str) -> PaneTarget:
    """``SESSION:WINDOW`` or ``SESSION:WINDOW.PANE``.

    Raises:
        ValueError: it is neither.
    """
    session, colon, rest = text.partition(":")
    window, dot, pane = rest.rpartition(".")
    if not dot:
        window, pane = rest, ""
    if not (session and colon and window) or (dot and not pane.isdigit()):
        raise ValueError(f"{text!r} is no pane; write SESSION:WINDOW.PANE, as api:web.0")
    return PaneTarget(session, window, int(pane) if pane else None)


def unit_name(text: str) -> str:
    """The name of a systemd unit, unchanged.

    Raises:
        ValueError: it is none.
    """
    if text.startswith("-") or not _UNIT_NAME.fullmatch(text):
        raise ValueError(f"{text!r} is no name of a unit; write it as systemctl shows it, as api.service")
    return text


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
