"""tmux's layout strings: what they say, and whether it is safe to send one.

A layout is ``csum,WxH,x,y`` and then ``,pane`` for a single pane, ``{...}`` for cells side by
side or ``[...]`` for cells on top of each other. tmux 3.3a dies of a layout that it does not
like, so :func:`valid` is stricter than tmux: what it accepts, every tmux accepts. Floating panes
(``<...>``) are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

_CELL = re.compile(r"([0-9]{1,5})x([0-9]{1,5}),([0-9]{1,5}),([0-9]{1,5})(?:,([0-9]{1,9})(?![0-9x]))?")
_PREFIX = re.compile(r"([0-9a-f]{4}),")
_CLOSING = {"{": "}", "[": "]"}
_DEEPEST = 100


@dataclass(frozen=True, slots=True)
class Cell:
    """A rectangle of the window: one pane, or a row or column of further cells."""

    width: int
    height: int
    x: int
    y: int
    split: str = ""
    """``{`` side by side, ``[`` on top of each other, empty for a pane."""
    cells: tuple[Cell, ...] = ()

    @property
    def panes(self) -> int:
        return sum(cell.panes for cell in self.cells) if self.cells else 1


def checksum(body: str) -> str:
    """The four hex digits that stand before ``body`` (the text after the first comma)."""
    total = 0
    for byte in body.encode("utf-8", "surrogatepass"):
        total = ((total >> 1) + ((total & 1) << 15) + byte) & 0xFFFF
    return f"{total:04x}"


def parse(text: str) -> Cell | None:
    """The layout as a tree; None if its syntax or its checksum is wrong."""
    prefix = _PREFIX.match(text)
    if prefix is None or prefix[1] != checksum(text[prefix.end() :]):
        return None
    read = _cell(text, prefix.end(), 0)
    if read is None or read[1] != len(text):
        return None
    return read[0]


def valid(text: str, panes: int) -> bool:
    """Whether ``select-layout`` may be given this text for a window with so many panes."""
    root = parse(text)
    return root is not None and root.panes == panes and _fits(root)


def shape(text: str) -> str:
    """The layout without checksum and pane ids, fit to be compared; empty if it does not parse."""
    root = parse(text)
    return (
        "" if root is None else _written(root, lambda cell: f"{cell.width}x{cell.height},{cell.x},{cell.y}")
    )


def skeleton(text: str) -> str:
    """The layout's tree alone, without sizes; empty if it does not parse."""
    root = parse(text)
    return "" if root is None else _written(root, lambda cell: "." if not cell.cells else "")


def is_sideways(text: str, position: int) -> bool:
    """Whether the pane at this position has its neighbours beside it, and not above and below."""
    root = parse(text)
    found = _parent(root, position) if root is not None else None
    return found is not None and found.split == "{"


def named_skeleton(name: str, panes: int) -> str:
    """The :func:`skeleton` of a layout that tmux knows by name; without a name, of panes split downwards."""
    if panes == 1:
        return "."
    rest = _row(panes - 1, "{" if name == "main-horizontal" else "[")
    match name:
        case "even-horizontal":
            return _row(panes, "{")
        case "main-horizontal":
            return f"[.,{rest}]"
        case "main-vertical":
            return f"{{.,{rest}}}"
        case "tiled":
            return _tiles(panes)
        case _:
            return _row(panes, "[")


def _parent(cell: Cell, position: int) -> Cell | None:
    """The row or column that holds the pane at this position; None for a pane that stands alone."""
    for child in cell.cells:
        if position < child.panes:
            return _parent(child, position) or cell
        position -= child.panes
    return None


def _row(panes: int, split: str) -> str:
    return "." if panes == 1 else f"{split}{','.join('.' * panes)}{_CLOSING[split]}"


def _tiles(panes: int) -> str:
    """As square as it gets, rows first; the last row may be shorter."""
    rows = columns = 1
    while rows * columns < panes:
        rows += 1
        if rows * columns < panes:
            columns += 1
    lines = [_row(min(columns, panes - start), "{") for start in range(0, panes, columns)]
    return f"[{','.join(lines)}]"


def _cell(text: str, at: int, depth: int) -> tuple[Cell, int] | None:
    """The cell that starts at ``at``, and where it ends."""
    found = _CELL.match(text, at)
    if found is None or depth > _DEEPEST:
        return None
    width, height, x, y = (int(number) for number in found.groups()[:4])
    end = found.end()
    split = text[end : end + 1]
    if split not in _CLOSING or found[5] is not None:
        return Cell(width, height, x, y), end
    read = _cells(text, end + 1, _CLOSING[split], depth + 1)
    if read is None:
        return None
    return Cell(width, height, x, y, split, read[0]), read[1]


def _cells(text: str, at: int, closing: str, depth: int) -> tuple[tuple[Cell, ...], int] | None:
    """The cells up to ``closing``, at least two of them, and where they end."""
    cells: list[Cell] = []
    while True:
        read = _cell(text, at, depth)
        if read is None:
            return None
        cells.append(read[0])
        at = read[1] + 1
        mark = text[at - 1 : at]
        if mark == closing:
            return (tuple(cells), at) if len(cells) > 1 else None
        if mark != ",":
            return None


def _fits(cell: Cell) -> bool:
    """Whether the cells fill their parent exactly, with one line between neighbours."""
    if not cell.cells:
        return cell.width > 0 and cell.height > 0
    gaps = len(cell.cells) - 1
    widths = [child.width for child in cell.cells]
    heights = [child.height for child in cell.cells]
    if cell.split == "{":
        filled = sum(widths) + gaps == cell.width and set(heights) == {cell.height}
    else:
        filled = sum(heights) + gaps == cell.height and set(widths) == {cell.width}
    return filled and all(_fits(child) for child in cell.cells)


def _written(cell: Cell, label: Callable[[Cell], str]) -> str:
    if not cell.cells:
        return label(cell)
    inner = ",".join(_written(child, label) for child in cell.cells)
    return f"{label(cell)}{cell.split}{inner}{_CLOSING[cell.split]}"
