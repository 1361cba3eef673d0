"""Old text made harmless, for a pane to print. Pure.

Of all that can act on a terminal only SGR comes through, with newlines and tabs. Line-drawing
letters become the characters that they stand for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from sidecar.model import sgr

_TOKEN = re.compile(
    r"""
    \x1b\[ (?P<sgr> [0-9;:]* ) m
  | \x1b\[ [\x30-\x3f]* [\x20-\x2f]* [\x40-\x7e]?            # any other control sequence
  | (?: \x1b[\]PX^_] | [\x90\x98\x9d\x9e\x9f] )               # a string for the terminal, to its end
    (?: (?! \x1b\\ ) [^\x07\x9c] )* (?: \x1b\\ | \x07 | \x9c )?
  | \x1b [\x20-\x2f]* [\x30-\x7e]?
  | \x9b [\x30-\x3f]* [\x20-\x2f]* [\x40-\x7e]?
  | (?P<shift> [\x0e\x0f] )
  | [\x00-\x08\x0a-\x1f\x7f-\x9f]
    """,
    re.VERBOSE,
)
_SEQUENCE = re.compile(rb"\x1b\[[0-9;:]*m")
_PLAIN = re.compile(rb"[\t\x20-\x7e]*")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_DRAWN = str.maketrans(
    "`abcdefghijklmnopqrstuvwxyz{|}~",
    "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·",
)  # fmt: skip


def printable(text: bytes) -> bytes:
    """``text`` as it may be printed: every line in its colours, which end where the line does.

    Bytes that are not UTF-8 become U+FFFD. Takes time with the text's length: call it in a thread.
    """
    pen = _Pen()
    return b"\n".join(pen.line(line) for line in _lines(text))


def _lines(text: bytes) -> Iterator[bytes]:
    """One after the other, so that no step takes long however long the text is."""
    start = 0
    while (end := text.find(b"\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


class _Pen:
    """What is carried from line to line: the colours, and whether letters stand for line drawing."""

    def __init__(self) -> None:
        self._colours = b""
        """The sequence that sets them."""
        self._drawing = False

    def line(self, line: bytes) -> bytes:
        if not line:
            return line
        words = _SEQUENCE.sub(b"", line) if b"\x1b" in line else line
        if self._drawing or not _PLAIN.fullmatch(words):
            text = line.decode("utf-8", "replace")
            if self._drawing or _CONTROL.search(words.decode("utf-8", "replace")):
                text = "".join(self._words(text))
            line = text.encode("utf-8")
        return self._coloured(line)

    def _coloured(self, line: bytes) -> bytes:
        """A colour that is still set at a newline would fill the whole next line with it."""
        words = self._colours + line
        if b"\x1b" not in words:
            return words
        self._colours = _after(self._colours + b"".join(_SEQUENCE.findall(line)))
        return words if words.endswith(sgr.RESET) else words + sgr.RESET

    def _words(self, line: str) -> Iterator[str]:
        at = 0
        for match in _TOKEN.finditer(line):
            yield self._drawn(line[at : match.start()])
            at = match.end()
            if match["shift"]:
                self._drawing = match["shift"] == "\x0e"
            elif match["sgr"] is not None:
                yield match[0]
        yield self._drawn(line[at:])

    def _drawn(self, text: str) -> str:
        return text.translate(_DRAWN) if self._drawing else text


@lru_cache(maxsize=4096)
def _after(sequences: bytes) -> bytes:
    """The colours that these sequences leave behind. A text has few different ones."""
    return sgr.carried(sequences)
