"""What commands print: columns, ages and sizes, safe for the terminal that shows them.

Names, titles and command lines are other people's text. None of it may act on the terminal.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import click

_NAME_COLUMNS = 40
_AGES = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))


@dataclass(frozen=True, slots=True)
class Cell:
    """A text in a column, with a colour that only repeats what the text says."""

    text: str
    colour: str | None = None


def colour_allowed() -> bool | None:
    """False where https://no-color.org asks for it; None leaves it to whether a terminal reads."""
    return False if os.environ.get("NO_COLOR") else None


def safe(text: str) -> str:
    """The text with every character that could act on a terminal written as an escape."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode()
        for character in text
    )


def shortened(text: str, columns: int) -> str:
    """The text as it is shown, in no more columns than these."""
    shown, used = "", 0
    for character in safe(text):
        used += _width(character)
        if used > columns:
            # Room for the mark: no character takes more than two columns.
            while shown and _width(shown) >= columns:
                shown = shown[:-1]
            return f"{shown}…"
        shown += character
    return shown


def brief(name: str) -> str:
    """The name of a session for a column; one of a thousand letters leaves room for the others."""
    return shortened(name, _NAME_COLUMNS)


def table(head: Sequence[str], rows: Sequence[Sequence[Cell | str]]) -> str:
    """Aligned columns, two blanks apart, without blanks at the ends of lines."""
    cells = [[cell if isinstance(cell, Cell) else Cell(cell) for cell in row] for row in ([*head], *rows)]
    shown = [[safe(cell.text) for cell in row] for row in cells]
    widths = [max(map(_width, column)) for column in zip(*shown, strict=True)]
    lines = []
    for row, texts in zip(cells, shown, strict=True):
        last = max((number for number, text in enumerate(texts) if text), default=-1)
        padded = (
            _coloured(text, cell.colour) + " " * (width - _width(text) if number < last else 0)
            for number, (cell, text, width) in enumerate(zip(row, texts, widths, strict=True))
            if number <= last
        )
        lines.append("  ".join(padded))
    return "\n".join(lines)


def age(then: float, now: float) -> str:
    """How long ago, in the largest unit; ``-`` for never. Both in wall seconds."""
    if then <= 0:
        return "-"
    passed = max(int(now - then), 0)
    for scale, unit in _AGES:
        if passed >= scale:
            return f"{passed // scale}{unit} ago"
    return "now"


def _coloured(text: str, colour: str | None) -> str:
    return click.style(text, fg=colour) if colour else text


def _width(text: str) -> int:
    """Columns on a terminal: wide characters take two, combining ones none."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "WF")
        for character in text
    )
