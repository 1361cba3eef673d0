from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from sidecar.decide.breaker import BreakerEvent, Ended, force_open, forgettable, lend, retry_after, settle
from sidecar.model.policy import BreakerPolicy, BreakerState, Call, Circuit, Lease

POLICY = BreakerPolicy(failure_threshold=3, window=60.0, recovery_timeout=30.0)
TWO = replace(POLICY, probes=2)
RATES = replace(POLICY, failure_threshold=1_000, minimum_calls=4, slow_call=5.0, slow_rate=0.75)
NOW = 1_700_000_000.0
HOUR = 3_600.0
DAY = 86_400.0
GOOD, BAD, CANCELLED = (Ended(event) for event in BreakerEvent)


def after(policy: BreakerPolicy, *calls: tuple[float, Ended]) -> BreakerState:
    state = BreakerState()
    for moment, ended in calls:
        state = settle(state, policy, moment, "anybody", ended)
    return state


def after_failures(*moments: float) -> BreakerState:
    return after(POLICY, *((moment, BAD) for moment in moments))


def lent(state: BreakerState, policy: BreakerPolicy, now: float, holder: str) -> BreakerState:
    found = lend(state, policy, now, holder)
    assert found is not None
    return found


def half_open(now: float = NOW, policy: BreakerPolicy = POLICY) -> BreakerState:
    return lent(BreakerState(Circuit.OPEN, opened=now - 30.0), policy, now, "a")


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
    state = settle(after_failures(NOW, NOW + 1), POLICY, NOW + 2, "", GOOD)
    assert settle(state, POLICY, NOW + 3, "", BAD).circuit is Circuit.OPEN


@pytest.mark.parametrize(
    ("ends", "circuit"),
    [
        ([BAD, BAD, BAD], Circuit.CLOSED),
        ([GOOD, GOOD, BAD, BAD], Circuit.OPEN),
        ([BAD, BAD, GOOD, GOOD], Circuit.CLOSED),
        ([GOOD, GOOD, GOOD, BAD, BAD], Circuit.CLOSED),
        ([GOOD, CANCELLED, CANCELLED, CANCELLED, BAD], Circuit.CLOSED),
        ([Ended(BreakerEvent.SUCCESS, 5.0)] * 3, Circuit.CLOSED),
        ([Ended(BreakerEvent.SUCCESS, 5.0)] * 4, Circuit.OPEN),
        ([Ended(BreakerEvent.SUCCESS, 4.9)] * 9, Circuit.CLOSED),
        ([GOOD, *[Ended(BreakerEvent.SUCCESS, 9.0)] * 3], Circuit.OPEN),
        ([GOOD, GOOD, *[Ended(BreakerEvent.SUCCESS, 9.0)] * 3], Circuit.CLOSED),
    ],
)
def test_a_share_of_failed_or_slow_calls_opens_it_once_there_are_enough(
    ends: list[Ended], circuit: Circuit
) -> None:
    # A success that is not slow never opens it, whatever the share is by then.
    calls = [(NOW + number, ended) for number, ended in enumerate(ends)]
    assert after(RATES, *calls).circuit is circuit


def test_of_one_target_only_the_last_call_counts() -> None:
    bad = {name: Ended(BreakerEvent.FAILURE, target=name) for name in ("web", "api", "db")}
    alone = after(POLICY, *((NOW + number, bad["web"]) for number in range(9)))
    assert alone.circuit is Circuit.CLOSED
    assert alone.failures == 1
    healed = settle(alone, POLICY, NOW + 10, "", Ended(BreakerEvent.SUCCESS, target="web"))
    assert healed.failures == 0
    several = after(POLICY, *((NOW, ended) for ended in bad.values()))
    assert several.circuit is Circuit.OPEN


def test_open_refuses_until_the_timeout_then_lends_one_permit() -> None:
    state = after_failures(NOW, NOW, NOW)
    assert lend(state, POLICY, NOW + 29.9, "a") is None
    assert retry_after(state, POLICY, NOW + 10) == pytest.approx(20.0)
    probing = lent(state, POLICY, NOW + 30, "a")
    assert probing == BreakerState(Circuit.HALF_OPEN, leases=(Lease("a", NOW + 60),), used=NOW + 30)
    assert lend(probing, POLICY, NOW + 31, "b") is None
    assert retry_after(probing, POLICY, NOW + 31) == pytest.approx(29.0)


def test_who_holds_a_permit_and_asks_again_keeps_it() -> None:
    assert lent(half_open(), POLICY, NOW + 5, "a").leases == (Lease("a", NOW + 35),)


def test_a_prober_that_never_reports_loses_its_permit() -> None:
    state = lent(half_open(), POLICY, NOW + 30, "b")
    assert state.leases == (Lease("b", NOW + 60),)
    assert settle(state, POLICY, NOW + 31, "a", GOOD) == state


def test_as_many_probes_as_allowed_and_all_have_to_succeed() -> None:
    state = lent(half_open(policy=TWO), TWO, NOW + 1, "b")
    assert lend(state, TWO, NOW + 2, "c") is None
    state = settle(state, TWO, NOW + 3, "a", GOOD)
    assert (state.circuit, state.proven) == (Circuit.HALF_OPEN, 1)
    assert lend(state, TWO, NOW + 4, "c") is None
    assert settle(state, TWO, NOW + 5, "b", GOOD).circuit is Circuit.CLOSED
    assert settle(state, TWO, NOW + 5, "b", BAD).circuit is Circuit.OPEN


@pytest.mark.parametrize(
    ("ended", "wanted"),
    [
        (GOOD, BreakerState(used=NOW + 5)),
        (BAD, BreakerState(Circuit.OPEN, opened=NOW + 5, used=NOW + 5)),
        (CANCELLED, BreakerState(Circuit.HALF_OPEN, used=NOW + 5)),
    ],
)
def test_what_the_probe_found_decides(ended: Ended, wanted: BreakerState) -> None:
    assert settle(half_open(), POLICY, NOW + 5, "a", ended) == wanted


def test_a_cancelled_probe_frees_the_permit_at_once() -> None:
    state = settle(half_open(), POLICY, NOW + 1, "a", CANCELLED)
    assert retry_after(state, POLICY, NOW + 1) == 0.0
    assert lend(state, POLICY, NOW + 1, "b") is not None


@pytest.mark.parametrize("ended", [GOOD, BAD, CANCELLED])
@pytest.mark.parametrize("state", [half_open(), after_failures(NOW, NOW, NOW), force_open(NOW)])
def test_late_news_changes_nothing(ended: Ended, state: BreakerState) -> None:
    assert settle(state, POLICY, NOW + 5, "somebody else", ended) == state


def test_what_a_person_has_opened_stays_open() -> None:
    state = force_open(NOW)
    for now in (NOW, NOW + HOUR, NOW + 100 * DAY):
        assert retry_after(state, POLICY, now) is None
        assert lend(state, POLICY, now, "a") is None
        assert not forgettable(state, POLICY, now)


@pytest.mark.parametrize(
    ("state", "later", "wanted"),
    [
        (after_failures(NOW), 59.0, False),
        (after_failures(NOW), 61.0, True),
        (after_failures(NOW, NOW, NOW), HOUR, False),
        (after_failures(NOW, NOW, NOW), DAY, True),
        (half_open(), HOUR, False),
        (half_open(), DAY, True),
    ],
)
def test_what_says_nothing_any_more_is_forgotten(state: BreakerState, later: float, wanted: bool) -> None:
    assert forgettable(state, POLICY, NOW + later) is wanted


@pytest.mark.parametrize("jump", [HOUR, -HOUR, DAY, -DAY])
def test_a_clock_that_jumps_never_holds_a_circuit_for_long(jump: float) -> None:
    for state in (after_failures(NOW, NOW, NOW), half_open()):
        assert lend(state, POLICY, NOW + jump, "b") is not None


@pytest.mark.parametrize("state", [after_failures(NOW, NOW, NOW), half_open()])
def test_a_clock_set_back_a_little_prolongs_nothing_beyond_one_timeout(state: BreakerState) -> None:
    assert retry_after(state, POLICY, NOW - 10) == 30.0


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_a_jump_loses_the_permit_and_its_holder_has_nothing_to_say(jump: float) -> None:
    state = lent(half_open(), POLICY, NOW + jump, "b")
    assert settle(state, POLICY, NOW + jump + 1, "a", BAD) == state
    assert settle(state, POLICY, NOW + jump + 1, "b", GOOD).circuit is Circuit.CLOSED


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_failures_from_before_a_jump_do_not_count(jump: float) -> None:
    assert settle(after_failures(NOW, NOW), POLICY, NOW + jump, "", BAD).circuit is Circuit.CLOSED


@given(
    state=st.builds(
        BreakerState,
        circuit=st.sampled_from(Circuit),
        calls=st.lists(st.builds(Call, st.floats(0, 1e10), st.booleans()), max_size=5).map(tuple),
        opened=st.floats(0, 1e10),
        leases=st.lists(st.builds(Lease, st.sampled_from("abc"), st.floats(0, 1e10)), max_size=4).map(tuple),
        proven=st.integers(0, 4),
    ),
    ended=st.sampled_from([GOOD, BAD, CANCELLED]),
    now=st.floats(1e3, 1e10),
)
def test_any_stored_state_gives_a_permit_within_two_timeouts(
    state: BreakerState, ended: Ended, now: float
) -> None:
    wait = retry_after(state, POLICY, now)
    assert wait is not None
    assert 0.0 <= wait <= POLICY.recovery_timeout
    assert (lend(state, POLICY, now, "new") is not None) is (wait == 0.0)
    assert lend(state, POLICY, now + 2 * POLICY.recovery_timeout, "new") is not None
    settle(state, POLICY, now, "a", ended)


class Borrowers(RuleBasedStateMachine):
    """Many callers of one circuit at once, ending in any order; the clock only goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOW
        self.state = BreakerState()
        self.failures: list[float] = []
        self.running: list[tuple[str, float | None]] = []
        """Holder of each call that has not ended, and the end of its lease."""
        self.asked = 0

    @rule(seconds=st.sampled_from([0.0, 0.5, 7.0, 29.0, 30.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @rule(callers=st.integers(1, 5))
    def call(self, callers: int) -> None:
        for _ in range(callers):
            self.asked += 1
            holder = f"caller {self.asked}"
            got = lend(self.state, TWO, self.now, holder)
            assert (got is not None) == (retry_after(self.state, TWO, self.now) == 0.0)
            if got is not None:
                until = next((lease.until for lease in got.leases if lease.holder == holder), None)
                assert (until is None) == (got.circuit is Circuit.CLOSED)
                self.running.append((holder, until))
                self.state = got

    @precondition(lambda self: self.running)
    @rule(which=st.integers(0, 50), ended=st.sampled_from([GOOD, BAD, CANCELLED]))
    def end(self, which: int, ended: Ended) -> None:
        holder, until = self.running.pop(which % len(self.running))
        was = self.state
        self.state = settle(was, TWO, self.now, holder, ended)
        if was.circuit is Circuit.CLOSED:
            self._ended_while_closed(ended)
        elif was.circuit is Circuit.OPEN or self._lost(was, holder, until):
            assert self.state == was
        else:
            self._probe_ended(was, ended)

    @rule()
    def a_person_opens_it(self) -> None:
        self.state = force_open(self.now)

    @rule()
    def a_person_closes_it(self) -> None:
        self.state, self.failures = BreakerState(), []

    def _lost(self, was: BreakerState, holder: str, until: float | None) -> bool:
        return holder not in {lease.holder for lease in was.leases} or until is None or until <= self.now

    def _ended_while_closed(self, ended: Ended) -> None:
        if ended is BAD:
            self.failures.append(self.now)
        within = [moment for moment in self.failures if self.now - moment < POLICY.window]
        if ended is BAD and len(within) >= TWO.failure_threshold:
            assert self.state.circuit is Circuit.OPEN
            self.failures = []
        elif ended is not BAD:
            assert self.state.circuit is Circuit.CLOSED

    def _probe_ended(self, was: BreakerState, ended: Ended) -> None:
        self.failures = []
        if ended is BAD:
            assert self.state.circuit is Circuit.OPEN
        elif ended is CANCELLED:
            assert (self.state.circuit, self.state.proven) == (Circuit.HALF_OPEN, was.proven)
        else:
            closes = was.proven + 1 >= TWO.probes
            assert self.state.circuit is (Circuit.CLOSED if closes else Circuit.HALF_OPEN)

    @invariant()
    def never_more_probes_than_allowed(self) -> None:
        if self.state.circuit is Circuit.HALF_OPEN:
            held = {lease.holder for lease in self.state.leases}
            alive = sum(
                holder in held and until is not None and until > self.now for holder, until in self.running
            )
            assert alive + self.state.proven <= TWO.probes

    @invariant()
    def only_a_half_open_circuit_has_permits_out(self) -> None:
        if self.state.circuit is not Circuit.HALF_OPEN:
            assert self.state.leases == ()
            assert self.state.proven == 0


TestBorrowers = Borrowers.TestCase


def test_states_are_values() -> None:
    state = after_failures(NOW)
    settle(state, POLICY, NOW, "", BAD)
    assert state == BreakerState(calls=(Call(NOW, True),), used=NOW)
