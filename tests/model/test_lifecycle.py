from itertools import product

import pytest

from sidecar.model.incident import IncidentState as State
from sidecar.model.lifecycle import CLOSED, MOVES, IllegalMove, move

LEGAL = """
open:       open held given_up recovering dismissed failed
recovering: recovered failed open held given_up dismissed
held:       open held given_up recovering recovered dismissed
given_up:   open held given_up recovering recovered dismissed
recovered:
failed:
dismissed:
"""


def legal() -> set[tuple[State, State]]:
    lines = (line.split(":") for line in LEGAL.strip().splitlines())
    return {(State(old), State(new)) for old, following in lines for new in following.split()}


@pytest.mark.parametrize(("old", "new"), list(product(State, State)))
def test_every_move_is_as_in_the_table(old: State, new: State) -> None:
    if (old, new) in legal():
        assert move(old, new) is new
    else:
        with pytest.raises(IllegalMove, match=f"is {old} cannot become {new}"):
            move(old, new)


def test_closed_states_are_the_ends() -> None:
    assert {state for state in State if state in CLOSED} == {State.RECOVERED, State.FAILED, State.DISMISSED}
    assert set(MOVES) == set(State)


def test_every_open_state_can_end() -> None:
    for start in set(State) - CLOSED:
        reached = {start}
        while (wider := reached.union(*(MOVES[state] for state in reached))) != reached:
            reached = wider
        assert reached & CLOSED == CLOSED
