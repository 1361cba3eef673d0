"""What every test may use: a private tmux server and a sidecar for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.box import SidecarBox, TmuxBox, sidecar_box, tmux_box


@pytest.fixture
def tmux() -> Iterator[TmuxBox]:
    with tmux_box() as box:
        yield box


@pytest.fixture
def sidecar(tmux: TmuxBox) -> Iterator[SidecarBox]:
    with sidecar_box(tmux) as box:
        yield box
