"""The heal that is a command, and the command that takes it back."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from sidecar import redact
from sidecar.clock import Clock
from sidecar.edges import script
from sidecar.edges.probes.command import Ran, ending, run
from sidecar.errors import Permanent, Temporary
from sidecar.model.heal import CommandHeal, HealCall

_NOT_RUNNABLE = (126, 127)
"""What a shell ends with that cannot run what it was told to."""


async def run_heal(heal: CommandHeal, call: HealCall, clock: Clock) -> str:
    """Run it to its end; how it ended, with the last line of its output.

    Raises:
        Temporary: it did not end with 0, or not in time.
        Permanent: it cannot be run, or leaves something behind that holds on to its output.
    """
    argv = ("/bin/sh", "-c", *heal.argv) if heal.shell else heal.argv
    return await _run(argv, heal.seconds, call, clock)


async def run_undo(heal: CommandHeal, call: HealCall, clock: Clock) -> str:
    """Run the command that takes it back. Raises as :func:`run_heal`."""
    return await _run(heal.undo, heal.seconds, call, clock)


async def _run(argv: Sequence[str], seconds: float, call: HealCall, clock: Clock) -> str:
    name = redact.command(argv[:1])
    if call.again:
        # One that still runs must not act beside this one.
        await asyncio.to_thread(script.end_script, call.mark)
    began = clock.monotonic()
    try:
        ran = await run(argv, seconds, _about(call), talkative=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise Permanent(
            f"{name} cannot be run: {reason.lower()}", hint="Mend the command in the configuration."
        ) from error
    return f"{name} {_judged(name, ran, seconds)} after {clock.monotonic() - began:.1f} s"


def _judged(name: str, ran: Ran, seconds: float) -> str:
    if ran.status is None:
        raise Temporary(
            f"{name} did not end within {seconds:g} s, and was ended with all that it had started",
            hint="Run it by hand to see why, or give it more time.",
        )
    told = ending(ran, ran.status)
    if ran.status in _NOT_RUNNABLE:
        raise Permanent(f"{name} {told}", hint="Mend the command in the configuration.")
    if ran.status:
        raise Temporary(f"{name} {told}", hint="Run it by hand to see what it says.")
    if ran.lingered:
        raise Permanent(
            f"{name} {told}",
            hint="What is to stay must let go of its output (`>/dev/null 2>&1 &`); a supervisor is better.",
        )
    return told


def _about(call: HealCall) -> Mapping[str, str]:
    return {
        script.MARK: call.mark,
        "SIDECAR_CHECK": call.check,
        "SIDECAR_SUBJECT": call.subject,
        "SIDECAR_AGAIN": "1" if call.again else "",
    }
