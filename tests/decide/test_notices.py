"""When a channel speaks, and what it says then."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sidecar.decide.notices import LONGEST, MOST_AT_ONCE, Wait, compose, next_attempt, pick
from sidecar.model.notice import Channel, Matter, Notice, Pacing, QueuedNotice, Webhook
from sidecar.model.policy import Budget

NOW = 1_000_000.0


def queued(
    number: int = 1, *, at: float = NOW, attempts: int = 0, due: float = 0.0, matter: Matter = Matter.GIVEN_UP
) -> QueuedNotice:
    return QueuedNotice(number, "ops", Notice(matter, "web", f"text {number}", at), attempts, due)


def test_nothing_to_say_waits_for_news() -> None:
    assert isinstance(pick(Pacing(), [], [], NOW), Wait)


def test_one_goes_at_once_and_several_go_as_one() -> None:
    assert pick(Pacing(), [queued(1)], [], NOW) == (queued(1),)
    assert pick(Pacing(), [queued(1), queued(2)], [], NOW) == (queued(1), queued(2))


def test_a_digest_waits_for_others_from_the_first_on() -> None:
    pacing = Pacing(digest=60.0)
    assert pick(pacing, [queued(1, at=NOW - 20.0), queued(2)], [], NOW) == Wait(40.0)
    assert pick(pacing, [queued(1, at=NOW - 60.0), queued(2)], [], NOW) == (
        queued(1, at=NOW - 60.0),
        queued(2),
    )


def test_a_rate_that_is_used_up_lets_them_wait_together() -> None:
    pacing = Pacing(rate=Budget(2, 100.0))
    assert pick(pacing, [queued()], [NOW - 70.0, NOW - 10.0], NOW) == Wait(30.0)
    assert pick(pacing, [queued()], [NOW - 100.0, NOW - 10.0], NOW) == (queued(),)


def test_what_was_refused_a_moment_ago_keeps_its_place() -> None:
    assert pick(Pacing(), [queued(1, attempts=1, due=NOW + 7.0), queued(2)], [], NOW) == Wait(7.0)


def test_a_clock_that_was_set_back_silences_nobody_for_long() -> None:
    waited = pick(Pacing(), [queued(1, attempts=1, due=NOW + 3_600.0)], [], NOW)
    assert isinstance(waited, Wait)
    assert waited.seconds <= 300.0


@given(st.integers(0, 200), st.floats(0.0, 1e6), st.floats(0.0, 0.999))
def test_attempts_grow_apart_and_end_after_a_day(attempts: int, age: float, die: float) -> None:
    due = next_attempt(queued(at=NOW - age, attempts=attempts), NOW, die)
    if age >= LONGEST:
        assert due is None
    else:
        assert due is not None
        assert NOW + 1.0 <= due <= NOW + 300.0


def test_a_server_that_names_a_time_is_not_asked_before() -> None:
    assert next_attempt(queued(), NOW, 0.0, least=90.0) == NOW + 90.0


@given(st.lists(st.floats(NOW - 1e5, NOW + 1e5), max_size=120))
def test_the_oldest_go_first_and_no_message_is_endless(moments: list[float]) -> None:
    waiting = [queued(number, at=at) for number, at in enumerate(moments)]
    batch = pick(Pacing(), waiting, [], NOW)
    if isinstance(batch, Wait):
        assert not waiting
    else:
        assert list(batch) == waiting[:MOST_AT_ONCE]


def test_a_message_names_the_worst_first_and_fills_its_template() -> None:
    channel = Channel(
        "ops", Webhook("http://127.0.0.1/"), template="{time} {session}@{host}: {text} ({matter})"
    )
    batch = [queued(1, matter=Matter.RECOVERED), queued(2, matter=Matter.STUCK)]
    message = compose(channel, batch, "box", {NOW: "noon"})
    assert message.subject == "[tmux-sidecar box] web: stuck and 1 more"
    assert message.body == "noon web@box: text 1 (recovered)\nnoon web@box: text 2 (stuck)"


def test_the_server_itself_has_a_name() -> None:
    one = QueuedNotice(1, "ops", Notice(Matter.HELD, "", "silent", NOW))
    message = compose(
        Channel("ops", Webhook("http://127.0.0.1/"), template="{session}: {text}"), [one], "box", {NOW: ""}
    )
    assert (message.subject, message.body) == (
        "[tmux-sidecar box] tmux server: held",
        "the tmux server: silent",
    )
