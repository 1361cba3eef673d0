from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.decide.breaker import BreakerEvent, advance, ask, retry_after
from sidecar.model.policy import BreakerPolicy, BreakerState, Circuit

POLICY = BreakerPolicy(failure_threshold=3, window=60.0, recovery_timeout=30.0)
NOW = 1_700_000_000.0
DAY = 86_400.0


def after_failures(*moments: float) -> BreakerState:
    state = BreakerState()
    for moment in moments:
        state = advance(state, BreakerEvent.FAILURE, POLICY, moment)
    return state


def half_open(now: float = NOW) -> BreakerState:
    allowed, state = ask(BreakerState(Circuit.OPEN, opened=now - 30.0), POLICY, now)
    assert allowed
    return state


@pytest.mark.parametrize(
    ("offsets", "circuit"),
    [
        ((0, 1), Circuit.CLOSED),
        ((0, 1, 2), Circuit.OPEN),
        ((0, 1, 59.9), Circuit.OPEN),
        ((0, 1, 60), Circuit.CLOSED),
        ((0, 50, 70, 90), Circuit.OPEN),
        ((0, 50, 100, 150, 200), Circuit.CLOSED),
    ],
)
def test_opens_at_the_threshold_within_the_window(offsets: tuple[float, ...], circuit: Circuit) -> None:
    assert after_failures(*(NOW + offset for offset in offsets)).circuit is circuit


def test_a_success_between_failures_does_not_hide_them() -> None:
    state = advance(after_failures(NOW, NOW + 1), BreakerEvent.SUCCESS, POLICY, NOW + 2)
    assert advance(state, BreakerEvent.FAILURE, POLICY, NOW + 3).circuit is Circuit.OPEN


def test_open_refuses_until_the_timeout_then_lends_one_permit() -> None:
    state = after_failures(NOW, NOW, NOW)
    assert ask(state, POLICY, NOW + 29.9) == (False, state)
    assert retry_after(state, POLICY, NOW + 10) == pytest.approx(20.0)
    allowed, probing = ask(state, POLICY, NOW + 30)
    assert allowed
    assert probing == BreakerState(Circuit.HALF_OPEN, probe_until=NOW + 60)
    assert ask(probing, POLICY, NOW + 31) == (False, probing)
    assert retry_after(probing, POLICY, NOW + 31) == pytest.approx(29.0)


def test_a_prober_that_never_reports_loses_its_permit() -> None:
    allowed, state = ask(half_open(), POLICY, NOW + 30)
    assert allowed
    assert state.probe_until == NOW + 60


@pytest.mark.parametrize(
    ("event", "wanted"),
    [
        (BreakerEvent.SUCCESS, BreakerState()),
        (BreakerEvent.FAILURE, BreakerState(Circuit.OPEN, opened=NOW + 5)),
        (BreakerEvent.CANCELLED, BreakerState(Circuit.HALF_OPEN, probe_until=0.0)),
    ],
)
def test_what_the_probe_found_decides(event: BreakerEvent, wanted: BreakerState) -> None:
    assert advance(half_open(), event, POLICY, NOW + 5) == wanted


def test_a_cancelled_probe_frees_the_permit_at_once() -> None:
    state = advance(half_open(), BreakerEvent.CANCELLED, POLICY, NOW + 1)
    assert retry_after(state, POLICY, NOW + 1) == 0.0
    assert ask(state, POLICY, NOW + 1)[0]


@pytest.mark.parametrize("event", BreakerEvent)
def test_late_news_of_a_call_with_another_lease_changes_nothing(event: BreakerEvent) -> None:
    state = half_open()
    assert advance(state, event, POLICY, NOW + 5, lease=0.0) == state
    assert advance(state, event, POLICY, NOW + 5, lease=state.probe_until) != state


@pytest.mark.parametrize("event", BreakerEvent)
def test_late_news_while_open_changes_nothing(event: BreakerEvent) -> None:
    state = after_failures(NOW, NOW, NOW)
    assert advance(state, event, POLICY, NOW + 5) == state


def test_a_clock_set_back_never_holds_a_circuit_open_for_long() -> None:
    state = after_failures(NOW, NOW, NOW)
    assert not ask(state, POLICY, NOW - 10)[0]
    assert retry_after(state, POLICY, NOW - 10) == 30.0
    assert ask(state, POLICY, NOW - DAY)[0]
    assert ask(half_open(), POLICY, NOW - DAY)[0]


def test_failures_from_a_future_that_cannot_be_do_not_count() -> None:
    state = after_failures(NOW, NOW)
    assert advance(state, BreakerEvent.FAILURE, POLICY, NOW - DAY).circuit is Circuit.CLOSED


@given(
    state=st.builds(
        BreakerState,
        circuit=st.sampled_from(Circuit),
        failures=st.lists(st.floats(0, 1e10), max_size=5).map(tuple),
        opened=st.floats(0, 1e10),
        probe_until=st.floats(0, 1e10),
    ),
    event=st.sampled_from(BreakerEvent),
    now=st.floats(1e3, 1e10),
)
def test_any_stored_state_gives_a_permit_within_two_timeouts(
    state: BreakerState, event: BreakerEvent, now: float
) -> None:
    assert 0.0 <= retry_after(state, POLICY, now) <= POLICY.recovery_timeout
    assert ask(state, POLICY, now + 2 * POLICY.recovery_timeout)[0]
    advance(state, event, POLICY, now)


class Calls(RuleBasedStateMachine):
    """Many callers of one circuit, ending in any order; the clock only goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.state = BreakerState()
        self.failures: list[float] = []
        self.running: list[float] = []
        """The lease of each call that has not ended."""

    @rule(seconds=st.sampled_from([0.0, 0.5, 7.0, 29.0, 30.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def call(self) -> None:
        was = self.state
        allowed, self.state = ask(was, POLICY, self.now)
        assert allowed == (retry_after(was, POLICY, self.now) == 0.0)
        if allowed:
            self.running.append(self.state.probe_until)
        else:
            assert self.state == was

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 50), event=st.sampled_from(BreakerEvent))
    def end(self, which: int, event: BreakerEvent) -> None:
        lease = self.running.pop(which % len(self.running))
        was = self.state
        self.state = advance(was, event, POLICY, self.now, lease)
        if was.circuit is Circuit.CLOSED:
            self._ended_while_closed(event)
        elif was.circuit is Circuit.OPEN or lease != was.probe_until:
            assert self.state == was
        else:
            self._probe_ended(event)

    def _ended_while_closed(self, event: BreakerEvent) -> None:
        if event is BreakerEvent.FAILURE:
            self.failures.append(self.now)
        within = [moment for moment in self.failures if self.now - moment < POLICY.window]
        opens = event is BreakerEvent.FAILURE and len(within) >= POLICY.failure_threshold
        assert (self.state.circuit is Circuit.OPEN) == opens
        if opens:
            assert self.state.opened == self.now
            self.failures = []

    def _probe_ended(self, event: BreakerEvent) -> None:
        self.failures = []
        wanted = {
            BreakerEvent.SUCCESS: Circuit.CLOSED,
            BreakerEvent.FAILURE: Circuit.OPEN,
            BreakerEvent.CANCELLED: Circuit.HALF_OPEN,
        }
        assert self.state.circuit is wanted[event]

    @invariant()
    def at_most_one_live_probe(self) -> None:
        if self.state.circuit is Circuit.HALF_OPEN:
            assert sum(lease > self.now for lease in self.running) <= 1


TestCalls = Calls.TestCase


def test_states_are_values() -> None:
    state = after_failures(NOW)
    advance(state, BreakerEvent.FAILURE, POLICY, NOW)
    assert state == replace(BreakerState(), failures=(NOW,))
