"""When a channel speaks, and what it says then: rates, digests and repeated attempts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sidecar.decide import backoff, budget
from sidecar.decide.wall import age
from sidecar.model.notice import GOOD_NEWS, Channel, ChannelKind, Message, Notice, Pacing, QueuedNotice
from sidecar.model.policy import RetryPolicy
from sidecar.model.quiet import Hush, QuietKind

MOST_AT_ONCE = 50
"""Notices of one message; what is more goes with the next one."""
LONGEST = 86_400.0
"""Seconds after which a notice that nobody has taken is given up: it is no news any more."""
_RETRY = RetryPolicy(initial_delay=2.0, max_delay=300.0)


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to say for so many seconds, unless another notice comes."""

    seconds: float


def pick(
    pacing: Pacing, queued: Sequence[QueuedNotice], sent: Sequence[float], now: float
) -> tuple[QueuedNotice, ...] | Wait:
    """The notices that go now, as one message, oldest first; or how long to wait.

    ``sent`` is when this channel's last messages went, ``now`` wall seconds.
    """
    if not queued:
        return Wait(LONGEST)
    resting = max(_rest(one.due, now) for one in queued)
    if resting > 0:
        # What was refused a moment ago would be refused now: all wait, so that the order stays.
        return Wait(resting)
    collecting = pacing.digest - max(age(one.notice.at, now, pacing.digest) for one in queued)
    if collecting > 0 and not any(one.attempts for one in queued):
        return Wait(collecting)
    if budget.spent(sent, pacing.rate, now):
        return Wait(max(budget.next_free(sent, pacing.rate, now), 0.1))
    return tuple(queued[:MOST_AT_ONCE])


def passes(channel: Channel, notice: Notice, hush: Hush) -> bool:
    """Whether a channel hears of it although it is kept quiet.

    An Alertmanager has to hear what ends: what fires there would go on firing. Its own silences are its
    own business.
    """
    if channel.kind is not ChannelKind.ALERTMANAGER:
        return False
    return hush.kind is QuietKind.ALERTMANAGER or notice.matter in GOOD_NEWS


def _rest(due: float, now: float) -> float:
    """Never longer than the longest delay, however the clock was set meanwhile."""
    return min(due - now, _RETRY.max_delay)


def next_attempt(notice: QueuedNotice, now: float, die: float, least: float = 0.0) -> float | None:
    """When to try again after another attempt in vain; None: never. ``die`` is a roll in [0, 1)."""
    if age(notice.notice.at, now, LONGEST) >= LONGEST:
        return None
    return now + max(backoff.delay(_RETRY, notice.attempts + 1, 0.5 + die / 2), least)


def compose(
    channel: Channel, batch: Sequence[QueuedNotice], host: str, times: Mapping[float, str]
) -> Message:
    """The message of these notices. ``times`` shows moments as people read them."""
    notices = tuple(one.notice for one in batch)
    lines = [_line(channel.template, notice, host, times[notice.at]) for notice in notices]
    return Message(_subject(notices, host), "\n".join(lines), notices, host)


def _line(template: str, notice: Notice, host: str, time: str) -> str:
    return template.format(
        text=notice.text,
        session=notice.subject or "the tmux server",
        matter=notice.matter,
        host=host,
        time=time,
    )


def _subject(notices: Sequence[Notice], host: str) -> str:
    worst = next((one for one in notices if one.matter not in GOOD_NEWS), notices[0])
    more = f" and {len(notices) - 1} more" if len(notices) > 1 else ""
    return f"[tmux-sidecar {host}] {worst.subject or 'tmux server'}: {worst.matter.replace('_', ' ')}{more}"
