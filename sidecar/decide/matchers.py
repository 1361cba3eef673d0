"""Which alerts an Alertmanager's own silences are about. Pure.

Its expressions take linear time, ours do not, and whoever writes silences must not hold up the service:
an expression that repeats a repetition, or repeats too often, is not used.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence

from sidecar.model.quiet import ForeignSilence, Hush, Matcher, QuietKind

_REPEATS = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|(?P<group>\)(?:[*+]|\{))|(?P<many>[*+]|\{\d*,\d*\})")
_MOST_REPEATS = 2
_LONGEST_PATTERN = 1_000
_LONGEST_VALUE = 255


def shown(silence: ForeignSilence) -> Hush:
    """An Alertmanager's silence as it is listed beside ours."""
    conditions = tuple(map(_condition, silence.matchers))
    return Hush(QuietKind.ALERTMANAGER, silence.id, conditions, silence.until, reason=silence.comment)


def usable(silences: Sequence[ForeignSilence]) -> tuple[tuple[ForeignSilence, ...], Mapping[str, str]]:
    """Those that can be used, and by their ids why the others are not."""
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
    found = list(_REPEATS.finditer(matcher.value))
    if any(one["group"] for one in found) or sum(bool(one["many"]) for one in found) > _MOST_REPEATS:
        return f"{matcher.value!r} repeats too much"
    try:
        _pattern(matcher.value)
    except (re.error, OverflowError, RecursionError) as error:
        return f"{matcher.value!r} is not understood: {error}"
    return ""


def _pattern(text: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(text)


def _fulfilled(matcher: Matcher, labels: Mapping[str, str]) -> bool:
    # As in Alertmanager, a label that is not there is one without a value.
    value = labels.get(matcher.label, "")
    if not matcher.regex:
        return (value == matcher.value) is matcher.equal
    if len(value) > _LONGEST_VALUE:
        return False
    return (_pattern(matcher.value).fullmatch(value) is not None) is matcher.equal


def _condition(matcher: Matcher) -> str:
    sign = ("!" if not matcher.equal else "=") + ("~" if matcher.regex else "" if matcher.equal else "=")
    return f"{matcher.label}{sign}{matcher.value}"
