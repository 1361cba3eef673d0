"""One stored pane into a living window, as one line of tmux commands. Pure: nothing is run here.

A line can name a pane that it makes only by its number. So it asks first whether the neighbour stands
where it stood when that was learnt, and does nothing where the window has changed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from sidecar.edges.tmux import marks
from sidecar.edges.tmux.furnish import Furnisher
from sidecar.edges.tmux.options import is_hook, set_lines
from sidecar.edges.tmux.rebuild import Blueprint
from sidecar.edges.tmux.text import command, in_one, literal, script
from sidecar.edges.tmux.workspace import arrange_line
from sidecar.model.session import SavedPane, SavedWindow
from sidecar.model.workspace import Beside

_PLACE = ("#{window_id}", "#{window_panes}", "#{pane_index}")


@dataclass(frozen=True, slots=True)
class Standing:
    """Where the neighbour stands."""

    panes: int
    """In its window."""
    index: int


def standing_command(beside: Beside) -> tuple[str, ...]:
    """Asks where the neighbour stands; :func:`read_standing` reads the answer."""
    return ("display-message", "-p", "-t", beside.pane, " ".join(_PLACE))


def read_standing(output: bytes, beside: Beside) -> Standing | None:
    """None when the neighbour is not in its window any more."""
    found = re.fullmatch(rb"(@\d+) (\d+) (\d+)", output.strip())
    if found is None or found[1].decode() != beside.window:
        return None
    return Standing(int(found[2]), int(found[3]))


def graft_scripts(blueprint: Blueprint, beside: Beside, standing: Standing) -> tuple[bytes, bytes]:
    """The image's one pane beside a living one, as one line, and the hooks that it gets when it stands.

    It is not selected, and a window that is zoomed stays so. Without hooks the second is empty.
    """
    (window,) = blueprint.image.windows
    (pane,) = window.panes
    target = f"{beside.window}.{standing.index + (0 if beside.before else 1)}"
    unchanged = (
        f"#{{&&:#{{==:#{{window_id}},{beside.window}}},"
        f"#{{&&:#{{==:#{{window_panes}},{standing.panes}}},#{{==:#{{pane_index}},{standing.index}}}}}}}"
    )
    line = in_one(*_commands(blueprint, beside, window, pane, target))
    hooks = set_lines(("-p", "-t", target), tuple(filter(is_hook, pane.options)))
    return script(command("if-shell", "-F", "-t", beside.pane, unchanged, line)), script(*hooks)


def _commands(
    blueprint: Blueprint, beside: Beside, window: SavedWindow, pane: SavedPane, target: str
) -> Iterator[str]:
    furnisher = Furnisher(blueprint.image, "", blueprint.files, blueprint.valid_layout, blueprint.delays)
    before, across = (("-b",) if beside.before else ()), (("-h",) if beside.sideways else ())
    told = ("-P", "-F", f"{blueprint.nonce} #{{pane_id}}")
    start = ("-c", literal(pane.cwd), *furnisher.start(window, pane))
    yield command("split-window", "-d", *before, *across, *told, "-t", beside.pane, *start)
    yield from marks.rebuilt(target, blueprint.mark, (window.index, pane.index))
    yield from (step.line for step in furnisher.furnish_pane(window, pane, target))
    if beside.layout:
        yield arrange_line(beside.window, beside.layout, beside.panes)
    if beside.zoomed:
        yield command("resize-pane", "-Z", "-t", beside.window)
    yield command("display-message", "-p", f"{blueprint.nonce} ended")
