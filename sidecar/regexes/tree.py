"""The parsed form of an expression, as ``re`` itself has it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from functools import lru_cache
from re import _compiler, _constants, _parser  # type: ignore[attr-defined]
from typing import Any

LITERAL, NOT_LITERAL, ANY, IN = _constants.LITERAL, _constants.NOT_LITERAL, _constants.ANY, _constants.IN
BRANCH, SUBPATTERN, AT = _constants.BRANCH, _constants.SUBPATTERN, _constants.AT
GREEDY, LAZY = _constants.MAX_REPEAT, _constants.MIN_REPEAT
POSSESSIVE, ATOMIC = _constants.POSSESSIVE_REPEAT, _constants.ATOMIC_GROUP
ASSERTIONS = (_constants.ASSERT, _constants.ASSERT_NOT)
BACKWARD, CONDITION = _constants.GROUPREF, _constants.GROUPREF_EXISTS
BEGINNINGS = (_constants.AT_BEGINNING, _constants.AT_BEGINNING_STRING)
ENDS = (_constants.AT_END, _constants.AT_END_STRING)
CHARACTERS = frozenset({LITERAL, NOT_LITERAL, ANY, IN})
"""What takes exactly one character."""
ENDLESS = int(_constants.MAXREPEAT)

Item = tuple[Any, Any]
"""Operation and argument."""


@lru_cache(maxsize=256)
def parsed(pattern: str) -> Any:
    """The expression as a sequence of items.

    Raises:
        re.error: it is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _parser.parse(pattern)


def compiled(items: Iterable[Item], state: Any, flags: int = 0) -> re.Pattern[str]:
    """Some items of a parsed expression as an expression of their own."""
    found: re.Pattern[str] = _compiler.compile(_parser.SubPattern(state, list(items)), flags)
    return found


def runs_of(item: Item, state: Any, flags: int = 0) -> re.Pattern[str]:
    """One character or more of those that the item takes."""
    inner = _parser.SubPattern(state, [item])
    return compiled([(GREEDY, (1, _constants.MAXREPEAT, inner))], state, flags)
