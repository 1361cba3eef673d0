"""Old text made harmless, for a pane to print. Pure.

Of all that can act on a terminal only SGR comes through, with newlines and tabs. Line-drawing
letters become the characters that they stand for.
"""

from __future__ import annotations

import re
import sys
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
_SEQUENCE = re.compile(r"\x1b\[[0-9;:]*m")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f]")
_WORDS = r"[^\x00-\x08\x0a-\x1f\x7f-\x9f]*+"
_AS_THEY_ARE = re.compile(
    rf"""
    (?: {_WORDS}
      (?: (?: \x1b\[ (?: 3[0-7] | 9[0-7] | 38;5;[0-9]+ ) m {_WORDS} )*+ \x1b\[ (?: 39 | 0? ) m {_WORDS}
        | (?: \x1b\[ (?! 0?m ) [0-9;:]* m {_WORDS} )++ \x1b\[ 0? m {_WORDS}
      )*+ \n
    )++
    """,
    re.VERBOSE,
)
"""Lines of nothing but words and colours, each of which ends in the state that it has begun in. Most do:
taken many at a time, they cost a tenth of what they do one by one."""
_TAKEN_TOGETHER = sys.version_info >= (3, 11, 5)
"""Before, Python went back into a possessive group, and so took lines whose colours go on."""
_RESET = sgr.RESET.decode("ascii")
_BLOCK = 16384
"""Bytes worked on in one step, or a line if it is longer."""
_DRAWN = str.maketrans(
    "`abcdefghijklmnopqrstuvwxyz{|}~",
    "◆▒␉␌␍␊°±␤␋┘┐┌└┼⎺⎻─⎼⎽├┤┴┬│≤≥π≠£·",
)  # fmt: skip


def printable(text: bytes) -> bytes:
    """``text`` as it may be printed: every line in its colours, which end where the line does.

    Bytes that are not UTF-8 become U+FFFD. Takes time with the text's length: call it in a thread.
    """
    pen = _Pen()
    blocks = (block.decode("utf-8", "replace") for block in _blocks(text))
    return b"".join("".join(pen.lines(block)).encode("utf-8") for block in blocks)


def _blocks(text: bytes) -> Iterator[bytes]:
    """Whole lines, some at a time, so that no step takes long however long the text is."""
    start = 0
    while start < len(text):
        end = text.find(b"\n", start + _BLOCK) + 1 or len(text)
        yield text[start:end]
        start = end


class _Pen:
    """What is carried from line to line: the colours, and whether letters stand for line drawing."""

    def __init__(self) -> None:
        self._colours = ""
        """The sequence that sets them."""
        self._drawing = False

    def lines(self, text: str) -> Iterator[str]:
        at = 0
        while at < len(text):
            carried = self._colours or self._drawing
            run = _AS_THEY_ARE.match(text, at) if _TAKEN_TOGETHER and not carried else None
            end = run.end() if run else text.find("\n", at) + 1 or len(text)
            yield text[at:end] if run else self._line(text[at:end])
            at = end

    def _line(self, line: str) -> str:
        words = line.removesuffix("\n")
        end = line[len(words) :]
        if not words:
            return line
        if self._drawing or _CONTROL.search(_SEQUENCE.sub("", words)):
            words = "".join(self._words(words))
        return self._coloured(words) + end

    def _coloured(self, line: str) -> str:
        """A colour that is still set at a newline would fill the whole next line with it."""
        words = self._colours + line
        if "\x1b" not in words:
            return words
        self._colours = _after(self._colours + "".join(_SEQUENCE.findall(line)))
        return words if words.endswith(_RESET) else words + _RESET

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
def _after(sequences: str) -> str:
    """The colours that these sequences leave behind. A text has few different ones."""
    return sgr.carried(sequences.encode("ascii")).decode("ascii")
