"""What every test may use: a private tmux server and a sidecar for it."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator, Iterator

import hypothesis
import pytest

from tests.box import SidecarBox, TmuxBox, sidecar_box, tmux_box

# The service is started hundreds of times; its modules are compiled once.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What a shell starts in the background ignores Ctrl-C, and so would all that tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes, to make or to run, says more about the machine than about the code.
hypothesis.settings.register_profile(
    "sidecar",
    deadline=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.register_profile(
    "thorough", hypothesis.settings.get_profile("sidecar"), max_examples=1000
)
hypothesis.settings.load_profile("sidecar")


@pytest.fixture
def tmux() -> Iterator[TmuxBox]:
    with tmux_box() as box:
        yield box


@pytest.fixture
def sidecar(tmux: TmuxBox) -> Iterator[SidecarBox]:
    with sidecar_box(tmux) as box:
        yield box


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show with a failed test what its sidecar has logged."""
    report = yield
    if report.failed:
        for box in getattr(item, "funcargs", {}).values():
            if isinstance(box, SidecarBox):
                report.sections.append(("Log of the sidecar", box.last_words()))
    return report
