"""Events from tmux without control mode: one client that looks, then waits to be rung.

Hooks at a high index ring a ``wait-for`` channel without a fork. Looking and waiting are one
client, so that nothing can happen unseen between the two. The client's end tells of the server's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sidecar.clock import Clock
from sidecar.edges.tmux.run import TmuxRunner, classify, end_client
from sidecar.edges.tmux.snapshot import LOOK_COMMAND, parse_look
from sidecar.edges.tmux.text import command
from sidecar.errors import SidecarError, TmuxAbsent
from sidecar.model.reach import Ring
from sidecar.model.session import Look, Presence

CHANNEL = "tmux-sidecar"
HOOK_INDEX = 900
"""High, so that hooks of the user keep their places."""
HOOKS = (
    "session-created",
    "session-closed",
    "session-renamed",
    "window-linked",
    "window-unlinked",
    "window-renamed",
    "window-layout-changed",
    "pane-exited",
    "pane-died",
)
"""``window-renamed`` also rings when another program comes to the front of an auto-named window."""
_END = "tmux-sidecar-end-of-look"
_GRACE = 1.0


class Doorbell:
    """Rings when something in the server changes. Setting the hooks again is part of every wait."""

    def __init__(
        self, runner: TmuxRunner, clock: Clock, boot_id: str, complete: Callable[[Look], Look]
    ) -> None:
        self._runner = runner
        self._clock = clock
        self._boot_id = boot_id
        self._complete = complete
        self._client: asyncio.subprocess.Process | None = None

    async def arm(self) -> Look:
        """Set the hooks, look, and leave the client waiting. ABSENT and UNKNOWN are answers."""
        await self._end()
        taken = self._clock.monotonic()
        try:
            client = await self._runner.start(self._runner.argv("source-file", "-"))
        except SidecarError as error:
            return Look(Presence.UNKNOWN, taken, reason=str(error))
        self._client = client
        try:
            async with asyncio.timeout(self._runner.settings.timeout):
                raw = await self._first_answer(client)
        except TimeoutError:
            await self._end()
            return Look(Presence.UNKNOWN, taken, reason="tmux did not answer in time")
        if raw is None:
            return await self._failed(client, taken)
        return await asyncio.to_thread(lambda: self._complete(parse_look(raw, taken, self._boot_id)))

    async def rung(self) -> Ring:
        """Wait for a ring, or for the end of the wait by other means."""
        client = self._client
        if client is None:
            return Ring()
        assert client.stderr is not None
        words = (await client.stderr.read()).decode("utf-8", "replace").strip()
        status = await client.wait()
        # tmux itself always says why it leaves a client; one that is killed says nothing.
        return Ring(words if status else "", cut_off=status < 0 or (status > 0 and not words))

    async def close(self) -> None:
        """Remove the hooks and let the waiting client go, in order, then make sure."""
        lines = [command("set-hook", "-gu", f"{hook}[{HOOK_INDEX}]") for hook in HOOKS]
        lines.append(command("wait-for", "-S", CHANNEL))
        try:
            await self._runner.call("source-file", "-", stdin=("\n".join(lines) + "\n").encode())
            await self._leave()
        except SidecarError:
            pass
        finally:
            await self._end()

    async def ring(self) -> None:
        """Ring ourselves, so that the hooks are set again."""
        await self._runner.call("wait-for", "-S", CHANNEL)

    async def _first_answer(self, client: asyncio.subprocess.Process) -> bytes | None:
        assert client.stdin is not None
        assert client.stdout is not None
        lines = [
            command("set-hook", "-g", f"{hook}[{HOOK_INDEX}]", f"wait-for -S {CHANNEL}") for hook in HOOKS
        ]
        lines.append(
            " ; ".join(
                (command(*LOOK_COMMAND), command("display-message", "-p", _END), command("wait-for", CHANNEL))
            )
        )
        try:
            client.stdin.write(("\n".join(lines) + "\n").encode())
            client.stdin.close()
            raw = await client.stdout.readuntil(f"{_END}\n".encode())
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        return raw[: -len(_END) - 1]

    async def _failed(self, client: asyncio.subprocess.Process, taken: float) -> Look:
        assert client.stderr is not None
        words = (await client.stderr.read()).decode("utf-8", "replace").strip()
        await self._end()
        error = classify(words)
        presence = Presence.ABSENT if isinstance(error, TmuxAbsent) else Presence.UNKNOWN
        return Look(presence, taken, reason=words or "tmux ended without a word")

    async def _leave(self) -> None:
        if self._client is not None:
            try:
                async with asyncio.timeout(_GRACE):
                    await self._client.wait()
            except TimeoutError:
                pass

    async def _end(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await end_client(client)
