"""The only place that starts tmux. A time-out on every call, and three answers.

A call either gives tmux's output, or raises: absent (no server), refused (tmux said no), or
unknown (no usable answer). A client that has timed out is killed; the server never is.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sidecar.config import TmuxSettings
from sidecar.errors import Permanent, SidecarError, TmuxAbsent, TmuxRefused, TmuxSilent, TmuxUnknown

_NOBODY_LISTENS = ("(No such file or directory)", "(Connection refused)")
_LOST = ("server exited", "lost server", "access not allowed")
_INSIDE_A_PANE = ("TMUX", "TMUX_PANE")
_PART = 1 << 18
_LONG = 1 << 20


def classify(words: str) -> SidecarError:
    """Which of the answers tmux's complaint is.

    "No such file" counts as absent: whether a server lives behind a removed socket is for
    ``server.find_server`` to say.
    """
    if words.startswith("no server running on"):
        return TmuxAbsent(words, hint="No tmux server runs; it is waited for.")
    if words.startswith("error connecting to"):
        if words.endswith(_NOBODY_LISTENS):
            return TmuxAbsent(words, hint="No tmux server runs; it is waited for.")
        return TmuxUnknown(words, hint="Check the owner and mode of the tmux socket.")
    if any(mark in words for mark in _LOST):
        return TmuxUnknown(words, hint="The tmux server went away during the call, or shut us out.")
    return TmuxRefused(words or "tmux failed without a word")


@dataclass(frozen=True, slots=True)
class TmuxRunner:
    """Starts tmux clients for one server."""

    settings: TmuxSettings
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    @property
    def socket(self) -> Path:
        """Where the server listens, as tmux itself works it out."""
        if self.settings.socket_path:
            return Path(self.settings.socket_path)
        folder = Path(self.environment.get("TMUX_TMPDIR") or "/tmp")
        base = folder.resolve() if folder.exists() else Path("/tmp").resolve()
        return base / f"tmux-{os.getuid()}" / (self.settings.socket_name or "default")

    def argv(self, *arguments: str) -> list[str]:
        """The command line of a client. ``-u``: without it every non-ASCII character becomes ``_``."""
        if self.settings.socket_path:
            return ["tmux", "-u", "-S", self.settings.socket_path, *arguments]
        return ["tmux", "-u", "-L", self.settings.socket_name or "default", *arguments]

    def client_environment(self) -> dict[str, str]:
        """Ours, without the marks of a pane that we may have been started in."""
        return {key: value for key, value in self.environment.items() if key not in _INSIDE_A_PANE}

    async def start(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        cwd: str | None = None,
        own_session: bool = False,
        limit: int = 1 << 24,
    ) -> asyncio.subprocess.Process:
        """Start a client and hand it over; the caller ends it. ``limit`` is the most bytes in one line.

        Raises:
            Permanent: tmux (or the program in ``argv``) is not installed.
            TmuxUnknown: no process could be started just now, or the server there is another user's.
        """
        self._keep_off()
        try:
            return await asyncio.create_subprocess_exec(
                *argv,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=self.client_environment() if environment is None else dict(environment),
                cwd=cwd,
                start_new_session=own_session,
                limit=limit,
            )
        except FileNotFoundError as error:
            raise Permanent(
                f"{error.filename} is not there, so {argv[0]} cannot be started",
                hint="Is tmux installed? On Debian: apt-get install tmux.",
            ) from error
        except OSError as error:
            raise TmuxUnknown(
                f"{argv[0]} could not be started: {error.strerror}",
                hint="The machine or this user may be out of processes or memory.",
            ) from error

    def _keep_off(self) -> None:
        """Not a word to a server of another user: to root it would answer."""
        with contextlib.suppress(OSError):
            owner = os.stat(self.socket).st_uid
            if owner != os.getuid():
                raise TmuxUnknown(
                    f"{self.socket} belongs to uid {owner}",
                    hint="It is left alone; point the sidecar at a socket of your own.",
                )

    async def call(self, *arguments: str, stdin: bytes | None = None, seconds: float | None = None) -> bytes:
        """Run one client to its end and give its output.

        Raises:
            TmuxAbsent, TmuxRefused, TmuxUnknown: see the module.
        """
        client = await self.start(self.argv(*arguments))
        return await self.finish(client, arguments[0], stdin=stdin, seconds=seconds)

    async def source(self, script: bytes, *, seconds: float | None = None) -> bytes:
        """Run a script of any length through one client and give its output.

        Raises:
            TmuxAbsent, TmuxUnknown: see the module.
            TmuxRefused: a line of it failed; the other lines have run.
        """
        return await self.call("source-file", "-", stdin=script, seconds=seconds)

    async def finish(
        self,
        client: asyncio.subprocess.Process,
        name: str,
        *,
        stdin: bytes | None = None,
        seconds: float | None = None,
    ) -> bytes:
        """Wait for a started client, kill it when it takes too long, and sort its answer."""
        answer = await self.exchange(client, name, stdin=stdin, seconds=seconds)
        if answer.status != 0:
            raise classify(answer.complaint)
        return answer.output

    async def exchange(
        self,
        client: asyncio.subprocess.Process,
        name: str,
        *,
        stdin: bytes | None = None,
        seconds: float | None = None,
    ) -> Answer:
        """As :meth:`finish`, without judging the answer.

        Raises:
            TmuxSilent: it took longer than ``seconds`` (by default the configured time-out).
        """
        limit = self.settings.timeout if seconds is None else seconds
        try:
            async with asyncio.timeout(limit):
                output, complaint = await _converse(client, stdin)
        except TimeoutError as error:
            await end_client(client)
            raise TmuxSilent(
                f"tmux did not answer `{name}` within {limit:g} s",
                hint="The server may be stopped or busy; nothing is concluded from silence.",
            ) from error
        except BaseException:
            await asyncio.shield(end_client(client))
            raise
        assert client.returncode is not None
        return Answer(client.returncode, output, complaint.decode("utf-8", "replace").strip())


@dataclass(frozen=True, slots=True)
class Answer:
    """All that a client has said."""

    status: int
    output: bytes
    complaint: str
    """What it wrote to stderr."""


async def _converse(client: asyncio.subprocess.Process, said: bytes | None) -> tuple[bytes, bytes]:
    """As ``communicate``, which would hold up everything else while it puts a long answer together."""
    assert client.stdout is not None
    assert client.stderr is not None
    heard = asyncio.gather(_hear(client.stdout), client.stderr.read(), _say(client, said))
    output, complaint, _ = await heard
    await client.wait()
    return output, complaint


async def _say(client: asyncio.subprocess.Process, words: bytes | None) -> None:
    if words is None:
        return
    assert client.stdin is not None
    # It may have ended without listening; its answer tells.
    with contextlib.suppress(ConnectionError):
        client.stdin.write(words)
        await client.stdin.drain()
    client.stdin.close()


async def _hear(stream: asyncio.StreamReader) -> bytes:
    parts = []
    size = 0
    while part := await stream.read(_PART):
        parts.append(part)
        size += len(part)
    # Of plain bytes as long as this, Python copies without holding up other threads.
    return await asyncio.to_thread(b"".join, parts) if size > _LONG else b"".join(parts)


async def end_client(client: asyncio.subprocess.Process) -> None:
    """Kill and reap a client of ours, and let go of its pipes.

    The pipes are not waited for: a stopped server may hold their other ends for ever.
    """
    # asyncio's Process has no public way to its pipes.
    transport: asyncio.SubprocessTransport = client._transport  # type: ignore[attr-defined]
    for number in range(3):
        pipe = transport.get_pipe_transport(number)
        if isinstance(pipe, asyncio.WriteTransport) and pipe.get_write_buffer_size():
            # Closed in order, it would wait until somebody has read that.
            pipe.abort()
        elif pipe is not None:
            pipe.close()
    if client.returncode is None:
        # Process.kill asks for the exit status first, and so can take it away from asyncio, which reaps.
        with contextlib.suppress(ProcessLookupError):
            os.kill(client.pid, signal.SIGKILL)
    await client.wait()
    transport.close()
    await asyncio.sleep(0)
