"""Which alerts an Alertmanager's own silences are about. Pure.

Its expressions take linear time, ours do not, and whoever writes silences must not hold up the service:
an expression that could take for ever is not used.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from sidecar.model.quiet import ForeignSilence, Hush, Matcher, QuietKind
from sidecar.regexes.ambiguity import endless_on
from sidecar.regexes.cost import steps

_LONGEST_PATTERN = 1_000
_MOST_STEPS = 1e6
"""Of a comparison: a few milliseconds."""
_FLAGS = re.compile(r"\(\?([ims]+)\)")


def shown(silence: ForeignSilence) -> Hush:
    """An Alertmanager's silence as it is listed beside ours."""
    conditions = tuple(map(_condition, silence.matchers))
    return Hush(QuietKind.ALERTMANAGER, silence.id, conditions, silence.until, reason=silence.comment)


def usable(silences: Sequence[ForeignSilence]) -> tuple[tuple[ForeignSilence, ...], Mapping[str, str]]:
    """Those that can be used, and by their ids why the others are not. Slow: it belongs in a thread."""
    faults = {
        silence.id: why
        for silence in silences
        for why in [next(filter(None, map(_fault, silence.matchers)), "")]
        if why
    }
    good = (one for one in silences if one.matchers and one.id not in faults)
    return tuple(sorted(good, key=lambda one: one.id)), faults


def silencing(
    silences: Iterable[ForeignSilence], alerts: Sequence[Mapping[str, str]], now: float
) -> ForeignSilence | None:
    """The silence under which none of the alerts with these labels is told now; see :func:`usable`."""
    for silence in silences:
        lasts = silence.begins <= now < silence.until
        if lasts and all(_fulfilled(one, labels) for labels in alerts for one in silence.matchers):
            return silence
    return None


def _fault(matcher: Matcher) -> str:
    """Why a condition is not used; empty if it is."""
    if not matcher.regex:
        return ""
    if len(matcher.value) > _LONGEST_PATTERN:
        return f"an expression of {len(matcher.value)} characters"
    try:
        _pattern(matcher.value)
        example = endless_on(_whole(matcher.value), rounds=5)
    except (re.error, OverflowError, RecursionError) as error:
        return f"{matcher.value!r} is not understood: {error}"
    return f"{matcher.value!r} would take for ever on many more of {example!r}" if example else ""


def _whole(pattern: str) -> str:
    """The expression for a text as a whole."""
    flags = _FLAGS.match(pattern)
    return f"(?{flags[1]}:{pattern[flags.end() :]})\\Z" if flags else f"(?:{pattern})\\Z"


@lru_cache(maxsize=256)
def _pattern(text: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(_whole(text))


def _fulfilled(matcher: Matcher, labels: Mapping[str, str]) -> bool:
    # As in Alertmanager, a label that is not there is one without a value.
    value = labels.get(matcher.label, "")
    if not matcher.regex:
        return (value == matcher.value) is matcher.equal
    if steps(_whole(matcher.value), value) > _MOST_STEPS:
        return False
    return (_pattern(matcher.value).match(value) is not None) is matcher.equal


def _condition(matcher: Matcher) -> str:
    sign = ("!" if not matcher.equal else "=") + ("~" if matcher.regex else "" if matcher.equal else "=")
    return f"{matcher.label}{sign}{matcher.value}"
