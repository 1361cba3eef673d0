"""Starts a notebook server again that has died and left its lock behind.

The server refuses to start while its lock is there. To type its command line again, as the sidecar does
by itself, is not enough: the lock has to go first, and has to come back if nothing was started after all.
"""

from __future__ import annotations

import shlex
import time
from pathlib import Path

from sidecar.strategies import Context, GiveUp, Step, Strategy, TryAgain

LOCK = "notebook.lock"
ASIDE = "notebook.lock.aside"
PATIENCE = 5.0


def folder(context: Context) -> Path:
    """The folder that the server works in."""
    return Path(context.pane.pane_current_path or "/nowhere")


def put_lock_aside(context: Context) -> None:
    lock = folder(context) / LOCK
    # Before it is changed: whoever takes it back may have to after a crash.
    context.remember(lock=str(lock))
    if lock.exists():
        lock.replace(lock.with_name(ASIDE))
        context.say(f"{lock} is put aside")


def put_lock_back(context: Context) -> None:
    if "lock" not in context.memory:
        return
    lock = Path(context.memory["lock"])
    aside = lock.with_name(ASIDE)
    if aside.exists() and not lock.exists():
        aside.replace(lock)


def start(context: Context) -> None:
    argv = context.finding.parts[0].argv
    if "notebook" not in " ".join(argv):
        raise GiveUp(f"{shlex.join(argv)} is no notebook server")
    context.pane.send_keys(shlex.join(argv), enter=True)
    if not runs_soon(context):
        raise TryAgain("the server has not made its lock yet", hint="The pane shows what it says.")


def runs(context: Context) -> bool:
    """The server makes its lock when it runs."""
    return (folder(context) / LOCK).exists()


def runs_soon(context: Context) -> bool:
    """What was typed right before a crash may still be starting."""
    deadline = time.monotonic() + PATIENCE
    while not runs(context):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


strategy = Strategy(
    failures=("crashed",),
    units=("program",),
    steps=(
        Step(
            "put the lock aside",
            put_lock_aside,
            undo=put_lock_back,
            idempotent=True,
            by_hand=(f"mv {ASIDE} {LOCK}  # in the folder of {{session}}",),
        ),
        Step(
            "start the server",
            start,
            done=runs_soon,
            nothing_to_undo="a server that did not start has changed nothing",
        ),
    ),
    verify=runs,
)
