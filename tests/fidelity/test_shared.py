"""Windows and groups that sessions share: one window stays one window, in whatever order they come back."""

from __future__ import annotations

import pytest

from sidecar.model.record import Capture
from tests.fidelity.conftest import Patient

LINKED = (
    "new-session -d -s web -n one 'sleep 1000'",
    "new-window -d -t =web:3 -n shared 'sleep 1001'",
    "split-window -d -t =web:3 'sleep 1002'",
    "new-session -d -s api -x 100 -y 30 'sleep 1003'",
    "link-window -d -s =web:3 -t =api:7",
    "link-window -d -s =web:3 -t =api:9",
    "select-window -t =api:7",
)
ONLY_SHARED = (*LINKED, "kill-window -t =api:0")
GROUP = (
    "new-session -d -s web -n one 'sleep 1000'",
    "new-window -d -t =web:3 -n two 'sleep 1001'",
    "new-session -d -s twin -t =web",
    "select-window -t =twin:3",
    "set-option -t =twin: status off",
    "set-environment -t =twin: A 1",
)
NAMED_GROUP = (
    "new-session -d -s web -t team",
    "set-option -t =web: @x 1",
    "new-window -d -t =web:3 -n two 'sleep 1001'",
    "kill-window -t =web:0",
    "new-session -d -s twin -t team",
    "new-session -d -s team-2 'sleep 1000'",
)
ALONE = ("new-session -d -s web -t team", "new-session -d -s other 'sleep 1000'")
BOTH = (*GROUP, "new-session -d -s api 'sleep 1003'", "link-window -d -s =web:3 -t =api:5")
CASES = {
    "linked": LINKED,
    "nothing but linked": ONLY_SHARED,
    "group": GROUP,
    "named group": NAMED_GROUP,
    "alone": ALONE,
    "both": BOTH,
}


def places(patient: Patient) -> dict[str, set[str]]:
    """Which windows are one and the same: places by id, without the ids."""
    found: dict[str, set[str]] = {}
    for line in patient.tmux.panes("#{window_id} #{session_name}:#{window_index}"):
        number, _, place = line.partition(" ")
        found.setdefault(number, set()).add(place)
    return {min(each): each for each in found.values()}


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("case", CASES)
async def test_they_are_shared_again(patient: Patient, case: str, backwards: bool) -> None:
    await patient.do(*CASES[case])
    shared = places(patient)
    assert await patient.round_trip(backwards=backwards) == []
    assert places(patient) == shared


@pytest.mark.parametrize("case", CASES)
async def test_one_that_is_lost_finds_the_others(patient: Patient, case: str) -> None:
    await patient.do(*CASES[case])
    shared = places(patient)
    before = await patient.take()
    for name, capture in before.items():
        processes = set(patient.tmux.panes("#{session_name} #{pane_pid}"))
        await patient.do(f"kill-session -t ={name}:")
        await patient.restore([capture])
        assert await patient.differences(before) == []
        assert places(patient) == shared
        untouched = {line for line in processes if not line.startswith(f"{name} ")}
        assert untouched <= set(patient.tmux.panes("#{session_name} #{pane_pid}"))


async def test_they_are_shared_after_a_second_loss_though_one_checkpoint_is_old(patient: Patient) -> None:
    await patient.do(*LINKED)
    shared = places(patient)
    old = await patient.take()
    await patient.lose()
    await patient.restore(old.values())
    await patient.differences(old)
    new = await patient.take()
    await patient.lose()
    await patient.restore([old["api"], new["web"]])
    assert await patient.differences(old) == []
    assert places(patient) == shared


async def test_a_group_goes_on_though_it_has_changed_meanwhile(patient: Patient) -> None:
    await patient.do(*GROUP)
    before = await patient.take()
    await patient.do(
        "kill-session -t =twin:", "kill-window -t =web:3", "new-window -d -t =web:8 'sleep 1000'"
    )
    await patient.restore([before["twin"]])
    found = patient.tmux.panes("#{session_name}:#{window_index}")
    assert sorted(found) == ["twin:0", "twin:8", "web:0", "web:8"]


@pytest.mark.parametrize("group", ["$1", "a b", "team"])
async def test_a_group_whose_name_is_taken_or_odd_costs_no_session(patient: Patient, group: str) -> None:
    await patient.do(f"new-session -d -s web -t '{group}'")
    taken: list[Capture] = [(await patient.take())["web"]]
    await patient.do("new-session -d -s keeper 'sleep 1000'", "kill-session -t =web:")
    if group == "team":
        await patient.do("new-session -d -s team 'sleep 1000'")
    await patient.restore(taken)
    grouped = patient.tmux.show("=web:", "#{session_group}")
    assert grouped == ("" if group == "team" else group)
    assert {"web", "keeper"} <= patient.tmux.sessions()
