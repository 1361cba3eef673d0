"""SGR: the only escape sequences that change how text looks and do nothing else to a terminal."""

from __future__ import annotations

import re

SHIFT_OUT, SHIFT_IN = b"\x0e", b"\x0f"
"""From the one to the other, letters stand for the line-drawing characters of a VT100."""

RESET = b"\x1b[0m"

_SEQUENCE = re.compile(rb"\x1b\[([0-9;:]*)m")
_COLOURS = {38: "ink", 48: "paper", 58: "underline colour"}
_WORDS_OF_COLOUR = {b"5": 2, b"2": 4}
"""How many parameters belong to an indexed colour and to a red-green-blue one."""
_SET = {
    1: "bold", 2: "dim", 3: "italics", 4: "underline", 21: "underline", 5: "blink", 6: "blink",
    7: "reverse", 8: "hidden", 9: "struck", 53: "overline",
    **dict.fromkeys((*range(30, 38), *range(90, 98)), "ink"),
    **dict.fromkeys((*range(40, 48), *range(100, 108)), "paper"),
}  # fmt: skip
_UNSET: dict[int, tuple[str, ...]] = {
    22: ("bold", "dim"), 23: ("italics",), 24: ("underline",), 25: ("blink",), 27: ("reverse",),
    28: ("hidden",), 29: ("struck",), 39: ("ink",), 49: ("paper",), 55: ("overline",),
    59: ("underline colour",),
}  # fmt: skip

Look = dict[str, bytes]
"""What is set, by what it is about; empty in the default state."""


def apply(look: Look, parameters: bytes) -> None:
    """Change ``look`` as the sequence with these parameters does. What is not known is left out."""
    words = parameters.split(b";")
    at = 0
    while at < len(words):
        word, rest = words[at], 1
        code = int(word.partition(b":")[0] or b"0") if len(word) < 100 else -1
        if code == 0:
            look.clear()
        elif word == b"4:0":
            look.pop("underline", None)
        elif code in _COLOURS:
            if b":" not in word:
                rest += _WORDS_OF_COLOUR.get(words[at + 1] if at + 1 < len(words) else b"", 0)
            if len(words[at : at + rest]) == rest and (rest > 1 or b":" in word):
                look[_COLOURS[code]] = b";".join(words[at : at + rest])
        elif code in _SET:
            look[_SET[code]] = word
        for name in _UNSET.get(code, ()):
            look.pop(name, None)
        at += rest


def replay(look: Look, text: bytes) -> None:
    """Change ``look`` as all the sequences in a text do."""
    for match in _SEQUENCE.finditer(text):
        apply(look, match[1])


def sequence(look: Look) -> bytes:
    """The sequence that sets all of it, from the default state; empty if there is nothing to set."""
    return b"\x1b[" + b";".join(look.values()) + b"m" if look else b""


def carried(text: bytes) -> bytes:
    """What sets the state in which ``text``, begun in the default state, leaves the terminal."""
    look: Look = {}
    replay(look, text[max(text.rfind(RESET), 0) :])
    return sequence(look) + (SHIFT_OUT if text.rfind(SHIFT_OUT) > text.rfind(SHIFT_IN) else b"")


def ended(text: bytes) -> bytes:
    """What brings a terminal back to the default state after ``text``; empty if it never left it."""
    return (RESET if b"\x1b" in text else b"") + (SHIFT_IN if SHIFT_OUT in text else b"")


def plain(line: bytes) -> bytes:
    """The words of a captured line, without colours, shifts and blanks at its end."""
    return _SEQUENCE.sub(b"", line).replace(SHIFT_OUT, b"").replace(SHIFT_IN, b"").rstrip(b" ")
