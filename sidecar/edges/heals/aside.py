"""Work on files in a thread of its own: a disk that does not answer holds up nothing but that."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from sidecar.errors import Temporary

T = TypeVar("T")


async def aside(what: str, work: Callable[[threading.Event], T], seconds: float) -> T:
    """What ``work`` gives; it is handed an event that tells when nobody waits for it any more.

    The end of the process does not wait for it either. ``what`` is for people.

    Raises:
        Temporary: the disk has a fault, or it has not ended in time, and goes on by itself until it sees
            the event.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()
    unwanted = threading.Event()

    def run() -> None:
        try:
            settle = partial(done.set_result, work(unwanted))
        except BaseException as error:
            settle = partial(done.set_exception, error)
        # The loop may have ended meanwhile, and then nobody wants to know.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: None if done.done() else settle())

    threading.Thread(target=run, name="heal", daemon=True).start()
    try:
        async with asyncio.timeout(seconds):
            return await done
    except TimeoutError as error:
        raise Temporary(
            f"{what} did not end within {seconds:g} s", hint="Its disk may not answer, or be slow."
        ) from error
    except OSError as error:
        raise Temporary(f"{what}: {error.strerror}", hint="Look whether its disk is in order.") from error
    finally:
        unwanted.set()
