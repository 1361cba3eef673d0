"""What remains possible when a strategy has failed, and the session as little as can be brought back.

In this order: the strategy itself, an older checkpoint, the structure with its programs held, the other
rungs, and at last a bare session that shows the old text. A bare one is built only after something was
tried in vain: a strategy that merely rests is worth waiting for.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sidecar.decide.layout import checksum
from sidecar.model.incident import Unit
from sidecar.model.plan import Manner, Resort, Strategy
from sidecar.model.session import SavedPane, SavedWindow, SessionImage

WHOLE = frozenset({Unit.SESSION, Unit.SERVER})
"""Units of which nothing is left, so that another way to build them does no harm."""
_MANNERS = {Strategy.RESTORE_CHECKPOINT: (Manner.OLDER, Manner.HELD)}


def resorts(strategies: Sequence[Strategy], unit: Unit) -> tuple[Resort, ...]:
    """All that can be tried, in order, when these strategies may be used."""
    if unit not in WHOLE:
        return tuple(map(Resort, strategies))
    found = [
        Resort(strategy, manner)
        for strategy in strategies
        for manner in (Manner.PLAIN, *_MANNERS.get(strategy, ()))
    ]
    if Strategy.RESTORE_CHECKPOINT in strategies:
        found.append(Resort(Strategy.BARE_SESSION))
    return tuple(found)


def untried(known: Sequence[Resort], tried: Collection[Resort]) -> tuple[Resort, ...]:
    """What may be tried now."""
    return tuple(
        each for each in known if each not in tried and (tried or each.strategy is not Strategy.BARE_SESSION)
    )


def following(known: Sequence[Resort], tried: Collection[Resort], chosen: Resort) -> tuple[Resort, ...]:
    """What is left when the chosen one fails too."""
    return tuple(each for each in known if each not in tried and each != chosen)


def bare(image: SessionImage) -> SessionImage:
    """A plain shell for every pane that was there, each in a window of its own, with its old text.

    Nothing else of the session is kept: no options, no panes beside each other, no environment of its own.
    """
    panes = [(window, pane) for window in image.windows for pane in window.panes]
    body = f"{image.width}x{image.height},0,0,0"
    first = min((pane.index for _, pane in panes), default=0)
    windows = tuple(
        SavedWindow(
            index=number, name=window.name, layout=f"{checksum(body)},{body}", zoomed=False,
            active=number == 0, last=False, automatic_rename=False, panes=(_shell(pane, first),),
        )
        for number, (window, pane) in enumerate(panes)
    )  # fmt: skip
    return replace(image, windows=windows, environment=(), options=None, group="", default_command="")


def _shell(pane: SavedPane, index: int) -> SavedPane:
    return SavedPane(
        index=index, title="", cwd=pane.cwd, start_command="", argv=(), program=(), active=True,
        scrollback=pane.scrollback,
    )  # fmt: skip
