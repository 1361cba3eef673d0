"""What comes next in a plan: every way through it, with every failure and crash, ends well or is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sidecar.decide.saga import Do, Finished, Move, Stuck, Undo, next_move, retry_at
from sidecar.model.incident import Broken, Cause, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import Expectation, Plan, Step, StepKind, Strategy
from sidecar.model.policy import Jitter, RetryPolicy
from sidecar.model.saga import Attempt, AttemptState, Journal, Phase, SagaPolicy, TransactionOutcome

FINDING = Finding(
    Failure("web", FailureKind.CRASHED, (Broken(Unit.SESSION),), 0.0),
    Cause.SERVER_KILLED,
    Intent.FAILURE,
    (),
    "one",
)
PLAIN, UNDOABLE, PIVOT = StepKind.SAVE, StepKind.REBUILD_WINDOW, StepKind.REBUILD_SESSION
RETRY = RetryPolicy(max_attempts=2, initial_delay=1.0, jitter=Jitter.NONE)
POLICY = SagaPolicy(
    undoable=frozenset({UNDOABLE, PIVOT}),
    pivots=frozenset({PIVOT}),
)
NOW = 1_000.0


def plan(*kinds: StepKind) -> Plan:
    steps = tuple(Step(kind, window=seq) for seq, kind in enumerate(kinds))
    return Plan("web", Strategy.RESTORE_CHECKPOINT, steps, Expectation(None), FINDING)


def attempt(seq: int, state: AttemptState, phase: Phase = Phase.DO, number: int = 1) -> Attempt:
    begun = None if state is AttemptState.DUE else NOW - 2
    ended = NOW - 1 if state in (AttemptState.DONE, AttemptState.FAILED, AttemptState.REFUSED) else None
    return Attempt(seq, phase, number, state, NOW + 5, begun, ended)


DONE, FAILED, REFUSED = AttemptState.DONE, AttemptState.FAILED, AttemptState.REFUSED
BEGUN, DUE = AttemptState.BEGUN, AttemptState.DUE
COMMITTED = Finished(TransactionOutcome.COMMITTED)
COMPENSATED = Finished(TransactionOutcome.COMPENSATED)


@pytest.mark.parametrize(
    ("kinds", "rows", "move"),
    [
        ((PLAIN, PLAIN), (), Do(0, 1, NOW)),
        ((PLAIN, PLAIN), (attempt(0, DONE),), Do(1, 1, NOW)),
        ((PLAIN,), (attempt(0, DONE),), COMMITTED),
        ((PLAIN,), (attempt(0, BEGUN),), Do(0, 2, NOW)),
        ((PLAIN,), (attempt(0, FAILED), attempt(0, DUE, number=2)), Do(0, 2, NOW + 5)),
        ((PLAIN,), (attempt(0, REFUSED),), COMPENSATED),
        ((UNDOABLE,), (attempt(0, REFUSED),), Undo(0, 1, NOW)),
        ((UNDOABLE, PLAIN), (attempt(0, DONE), attempt(1, FAILED)), Undo(0, 1, NOW)),
        ((UNDOABLE, UNDOABLE), (attempt(0, DONE), attempt(1, REFUSED)), Undo(1, 1, NOW)),
        ((UNDOABLE,), (attempt(0, REFUSED), attempt(0, DONE, Phase.UNDO)), COMPENSATED),
        ((UNDOABLE,), (attempt(0, REFUSED), attempt(0, BEGUN, Phase.UNDO)), Undo(0, 2, NOW)),
        ((PIVOT, PLAIN), (attempt(0, DONE), attempt(1, REFUSED)), COMMITTED),
        ((UNDOABLE, PIVOT), (attempt(0, DONE), attempt(1, REFUSED)), Undo(1, 1, NOW)),
        ((), (), COMMITTED),
    ],
)
def test_what_comes_next(kinds: Sequence[StepKind], rows: Sequence[Attempt], move: Move) -> None:
    assert next_move(plan(*kinds), Journal(tuple(rows)), NOW, POLICY) == move


@pytest.mark.parametrize(
    ("kinds", "rows", "move"),
    [
        ((PLAIN, PLAIN), (), COMPENSATED),
        ((PLAIN, PLAIN), (attempt(0, DONE),), COMPENSATED),
        ((PLAIN,), (attempt(0, DONE),), COMMITTED),
        ((UNDOABLE, PLAIN), (attempt(0, DONE),), Undo(0, 1, NOW)),
        ((UNDOABLE,), (attempt(0, FAILED), attempt(0, DUE, number=2)), Undo(0, 1, NOW)),
        ((PLAIN, PLAIN), (attempt(0, BEGUN),), Do(0, 2, NOW)),
        ((PIVOT, PLAIN), (attempt(0, DONE),), Do(1, 1, NOW)),
    ],
)
def test_a_stop_finishes_what_is_in_hand_and_begins_nothing_new(
    kinds: Sequence[StepKind], rows: Sequence[Attempt], move: Move
) -> None:
    assert next_move(plan(*kinds), Journal(tuple(rows), stop="resolved"), NOW, POLICY) == move


def test_a_compensation_that_keeps_failing_does_not_keep_the_others_from_theirs() -> None:
    three = plan(UNDOABLE, UNDOABLE, PLAIN)
    rows = (attempt(0, DONE), attempt(1, DONE), attempt(2, REFUSED), attempt(1, REFUSED, Phase.UNDO))
    assert next_move(three, Journal(rows), NOW, POLICY) == Undo(0, 1, NOW)
    rows += (attempt(0, DONE, Phase.UNDO),)
    assert next_move(three, Journal(rows), NOW, POLICY) == Stuck(("tmux kill-window -t =web:1",))


@pytest.mark.parametrize("jump", [-3_600.0, 3_600.0])
def test_a_clock_that_was_set_neither_prolongs_nor_loses_a_delay(jump: float) -> None:
    rows = (attempt(0, FAILED), attempt(0, DUE, number=2))
    move = next_move(plan(PLAIN), Journal(rows), NOW + jump, POLICY)
    assert isinstance(move, Do)
    assert move.attempt == 2
    assert 0.0 <= move.at - (NOW + jump) <= 6.0


def test_attempts_and_total_time_are_bounded_and_a_crash_counts_for_nothing() -> None:
    assert retry_at([attempt(0, FAILED)], NOW, RETRY, 0.5) == NOW + 1.0
    assert retry_at([attempt(0, FAILED)] * 2, NOW, RETRY, 0.5) is None
    assert retry_at([attempt(0, BEGUN), attempt(0, BEGUN), attempt(0, FAILED)], NOW, RETRY, 0.5) is not None
    long = replace(attempt(0, FAILED), begun=NOW - RETRY.max_total - 1)
    assert retry_at([long], NOW, RETRY, 0.5) is None
    patient = replace(RETRY, max_attempts=9)
    waited = replace(attempt(0, FAILED, number=2), due=NOW + RETRY.max_total)
    assert retry_at([attempt(0, FAILED), waited], NOW, patient, 0.5) is None


class Sagas(RuleBasedStateMachine):
    """Runs a plan by its moves, in a world that fails and crashes as it likes."""

    @initialize(kinds=st.lists(st.sampled_from((PLAIN, UNDOABLE, PIVOT)), max_size=5))
    def begin(self, kinds: list[StepKind]) -> None:
        self.plan = plan(*kinds)
        self.journal = Journal()
        self.now = NOW
        self.undone: list[int] = []
        self.stood: set[int] = set()
        """Steps whose effect is there."""
        self.crashes = 0

    @property
    def move(self) -> Move:
        return next_move(self.plan, self.journal, self.now, POLICY)

    def working(self) -> bool:
        return isinstance(self.move, Do | Undo)

    def _write(self, row: Attempt) -> None:
        key = (row.seq, row.phase, row.number)
        kept = [each for each in self.journal.attempts if (each.seq, each.phase, each.number) != key]
        self.journal = replace(self.journal, attempts=(*kept, row))

    def _begin(self) -> tuple[Do | Undo, Attempt]:
        move = self.move
        assert isinstance(move, Do | Undo)
        self.now = max(self.now, move.at)
        phase = Phase.DO if isinstance(move, Do) else Phase.UNDO
        assert not (phase is Phase.DO and move.seq in self.undone), "done again after it was undone"
        row = Attempt(move.seq, phase, move.attempt, BEGUN, move.at, self.now)
        self._write(row)
        return move, row

    def _effect(self, move: Do | Undo) -> None:
        if isinstance(move, Do):
            assert not self.undone, "forward again after the turn"
            self.stood.add(move.seq)
        else:
            assert all(move.seq <= seq for seq in self.undone), "not in reverse order"
            self.stood.discard(move.seq)

    @precondition(working)
    @rule()
    def succeed(self) -> None:
        move, row = self._begin()
        self._effect(move)
        if isinstance(move, Undo):
            self.undone.append(move.seq)
        self._write(replace(row, state=DONE, ended=self.now))

    @precondition(working)
    @rule(permanent=st.booleans(), halfway=st.booleans(), die=st.floats(0, 1, exclude_max=True))
    def fail(self, permanent: bool, halfway: bool, die: float) -> None:
        move, row = self._begin()
        if halfway:
            self._effect(move)
        row = replace(row, state=REFUSED if permanent else FAILED, ended=self.now)
        self._write(row)
        again = None if permanent else retry_at(self._tried(row), self.now, RETRY, die)
        if again is not None:
            self._write(Attempt(row.seq, row.phase, row.number + 1, DUE, again))
        elif isinstance(move, Undo):
            self.undone.append(move.seq)

    def _tried(self, row: Attempt) -> tuple[Attempt, ...]:
        return self.journal.of(row.seq, row.phase)

    @precondition(lambda self: self.working() and self.crashes < 3)
    @rule(halfway=st.booleans())
    def crash(self, halfway: bool) -> None:
        """The row is begun, and nobody ends it."""
        move, _ = self._begin()
        if halfway:
            self._effect(move)
        self.crashes += 1

    @rule(seconds=st.sampled_from((-3_600.0, -1.0, 0.5, 3_600.0)))
    def set_clock(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def stop(self) -> None:
        self.journal = replace(self.journal, stop="resolved")

    @invariant()
    def waits_are_bounded(self) -> None:
        move = self.move
        if isinstance(move, Do | Undo):
            assert 0.0 <= move.at - self.now <= RETRY.max_delay

    @invariant()
    def the_end_is_one_of_three(self) -> None:
        move = self.move
        if move == COMMITTED:
            pivot = any(self.plan.steps[seq].kind is PIVOT for seq in self.stood)
            assert self.stood == set(range(len(self.plan.steps))) or pivot
        elif move == COMPENSATED:
            assert not any(self.plan.steps[seq].kind in POLICY.undoable for seq in self.stood)
        elif isinstance(move, Stuck):
            assert move.commands
            refused = {each.seq for each in self.journal.attempts if each.phase is Phase.UNDO}
            assert refused

    def teardown(self) -> None:
        """Whatever has happened, with no more trouble it comes to its end in a few moves."""
        if not hasattr(self, "journal"):
            return
        for _ in range(2 * len(self.plan.steps) + 1):
            if not self.working():
                break
            self.succeed()
        assert isinstance(self.move, Finished | Stuck)


TestSagas = Sagas.TestCase
