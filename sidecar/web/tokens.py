"""Bearer tokens: the admin's own, and further ones with less scope.

The admin token lies readable in its file (mode 0600), because the command line shows it. Of every other
one only a digest is kept, in a file of its own below ``tokens/`` in the state folder: it is made and
revoked by making and removing a file, so neither needs the service nor its restart.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import os
import re
import secrets
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from sidecar.errors import Permanent, UnsafeState
from sidecar.model.access import Caller, Scope, StoredToken

FOLDER = "tokens"
PREFIX = "sct_"
"""Tells what a token is for to whoever finds it, and to scanners for secrets."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,59}")
ADMIN_NAME = "admin token"
MOST = 100
"""Tokens that are told apart; each request with a token is compared with all of them."""

_ENDING = ".json"
_LONGEST_TOKEN = 4096
_LONGEST_FILE = 4096


class TokenDamaged(UnsafeState):
    """What has the token's name is not what was stored there."""


def ensure_token(path: Path) -> str:
    """The admin token: read, or made on first use (mode 0600).

    Raises:
        TokenDamaged: it holds no token.
        UnsafeState: others may read the file, or it is not ours.
        Permanent: the file can be neither read nor made.
    """
    try:
        return _made_token(path)
    except FileExistsError:
        pass
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        return _read_token(path)
    except OSError as error:
        raise _unusable(path, error) from error


def create(state: Path, name: str, scope: Scope, now: float) -> str:
    """Make a token and keep its digest; the token itself is nowhere but in the answer.

    ``now`` is wall seconds.

    Raises:
        Permanent: there is one of this name, or there are too many, or it cannot be stored.
    """
    folder = state / FOLDER
    token = PREFIX + secrets.token_urlsafe(32)
    stored = StoredToken(name, scope, digest_of(token), now)
    _make_private(state, folder)
    try:
        if len(list(folder.glob(f"*{_ENDING}"))) >= MOST:
            raise Permanent(
                f"there are {MOST} tokens already", hint="Revoke some: `sidecar token list` shows them."
            )
        _write_new(folder / f"{name}{_ENDING}", msgspec.json.encode(stored))
    except FileExistsError as error:
        raise Permanent(
            f"there is a token {name!r} already",
            hint=f"Choose another --name, or first `sidecar token revoke {name}`.",
        ) from error
    except OSError as error:
        raise Permanent(
            f"the token cannot be stored in {folder}: {error.strerror}", hint="Check the disk and the folder."
        ) from error
    return token


def revoke(state: Path, name: str) -> None:
    """From now on the token of this name opens nothing.

    Raises:
        Permanent: there is none, or its file cannot be removed.
    """
    path = state / FOLDER / f"{name}{_ENDING}"
    try:
        path.unlink()
        _sync(path.parent)
    except FileNotFoundError as error:
        raise Permanent(f"there is no token {name!r}", hint="`sidecar token list` shows them.") from error
    except OSError as error:
        raise Permanent(f"{path} cannot be removed: {error.strerror}", hint="Check its folder.") from error


def read_all(state: Path) -> tuple[tuple[StoredToken, ...], tuple[str, ...]]:
    """The tokens by name, and a sentence for each file that holds none that may be used."""
    folder, found, faults = state / FOLDER, [], []
    try:
        paths = sorted(folder.glob(f"*{_ENDING}"))
    except OSError as error:
        return (), (f"{folder} cannot be read: {error.strerror}",)
    for path in paths[:MOST]:
        try:
            if stored := _read_stored(path):
                found.append(stored)
        except FileNotFoundError:
            continue
        except (OSError, UnsafeState) as error:
            faults.append(f"{path}: {error}")
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            faults.append(f"{path} holds no token: {error}")
    if len(paths) > MOST:
        faults.append(f"{folder} has more than {MOST} tokens; the rest is not used")
    return tuple(found), tuple(faults)


def digest_of(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


@dataclass(frozen=True, slots=True)
class Change:
    """What was found to be different at one look."""

    made: tuple[StoredToken, ...]
    revoked: tuple[StoredToken, ...]


class Tokens:
    """All tokens of a state folder, as they are now: made and revoked ones count at once."""

    def __init__(self, admin: str, state: Path) -> None:
        self._admin = StoredToken(ADMIN_NAME, Scope.ADMIN, digest_of(admin), 0.0)
        self._state = state
        self._folder = str(state / FOLDER)
        self._seen: object = ()
        self._stored: tuple[StoredToken, ...] = ()
        self._one = asyncio.Lock()
        self.faults: tuple[str, ...] = ()
        """What is wrong with files of the folder."""
        self.changes: list[Change] = []
        """What was seen to be made and revoked, until somebody tells it."""

    async def caller(self, token: str) -> Caller | None:
        """Whose token it is; None if it is nobody's. Takes as long for every token."""
        await self.refresh()
        given = digest_of(token)
        found = None
        for stored in (self._admin, *self._stored):
            if hmac.compare_digest(stored.digest, given):
                found = Caller(stored.scope, stored.name)
        return found

    async def refresh(self) -> Sequence[StoredToken]:
        """Those of the folder, read again if it has changed."""
        if self._look() != self._seen:
            async with self._one:
                # Taken before the reading: what changes meanwhile is read the next time.
                seen = self._look()
                before = self._stored
                self._stored, self.faults = await asyncio.to_thread(read_all, self._state)
                self._seen = seen
                self._note(before)
        return self._stored

    def _note(self, before: Sequence[StoredToken]) -> None:
        made = tuple(each for each in self._stored if each not in before)
        revoked = tuple(each for each in before if each not in self._stored)
        if made or revoked:
            self.changes.append(Change(made, revoked))

    def _look(self) -> object:
        """What differs after every change, also after two within one tick of the file system's clock."""
        try:
            with os.scandir(self._folder) as entries:
                return os.stat(self._folder).st_mtime_ns, {each.inode() for each in entries}
        except OSError:
            return None


def _make_private(*folders: Path) -> None:
    for folder in folders:
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Permanent(
                f"the folder {folder} cannot be made: {error.strerror}",
                hint="Check the disk and the state folder.",
            ) from error


def _made_token(path: Path) -> str:
    token = secrets.token_urlsafe(32)
    with _new(path) as file:
        file.write(f"{token}\n".encode())
    return token


def _write_new(path: Path, content: bytes) -> None:
    """A whole file under a name that nothing had: whoever reads finds an empty one or all of it."""
    _new(path).close()
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        with _new(fresh) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise
    _sync(path.parent)


def _new(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.fdopen(os.open(path, flags, 0o600), "wb")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        # Some file systems cannot; what was done stands all the same.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _read_stored(path: Path) -> StoredToken | None:
    """None where it is only about to be made."""
    raw = _private(path, _LONGEST_FILE, os.O_NOFOLLOW)
    if not raw:
        return None
    stored = msgspec.json.decode(raw, type=StoredToken)
    name = path.name.removesuffix(_ENDING)
    if stored.name != name or not NAME.fullmatch(name):
        raise msgspec.ValidationError("its name is another one")
    return stored


def _read_token(path: Path) -> str:
    if not stat.S_ISREG(path.stat().st_mode):
        raise TokenDamaged(f"{path} is no file", hint="Move it away; a new token is made at the next start.")
    raw = _private(path, _LONGEST_TOKEN).strip()
    if not raw:
        raise TokenDamaged(f"{path} is empty", hint="Remove it; a new token is made at the next start.")
    token = raw.decode("ascii", "replace")
    if not token.isascii() or not token.isprintable():
        raise TokenDamaged(f"{path} holds no token", hint="Remove it; a new one is made at the next start.")
    return token


def _private(path: Path, most: int, flags: int = 0) -> bytes:
    """What a file holds that nobody else may read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags)
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if facts.st_uid != os.getuid():
            raise UnsafeState(f"{path} belongs to another user", hint=f"Remove it, or chown {path}")
        if stat.S_IMODE(facts.st_mode) & 0o077:
            raise UnsafeState(f"{path} can be read by others", hint=f"chmod 600 {path}")
        return file.read(most)


def _unusable(path: Path, error: Exception) -> Permanent:
    return Permanent(
        f"the token file {path} cannot be used: {error}",
        hint="Name another one as http.token_file, or mend its folder.",
    )
