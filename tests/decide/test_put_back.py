"""Single panes that were killed out of windows which stand: which, at which places, in which layout."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from sidecar.decide.confirm import Doubt, Scene, certain, still_broken
from sidecar.decide.detect import Expected, detect, instance_of, killed_panes
from sidecar.decide.layout import checksum, is_sideways
from sidecar.decide.lost import LostPane
from sidecar.decide.material import lacking
from sidecar.decide.plans import plan_for
from sidecar.decide.remember import carry
from sidecar.decide.situation import Situation
from sidecar.model.incident import Broken, Cause, Exit, Failure, FailureKind, Finding, Intent, Unit
from sidecar.model.plan import Entry, Plan, Resort, Resumption, Strategy
from sidecar.model.session import Checkpoint, Operation, SavedPane, Session, Window, image_of
from tests.decide.builders import SERVER, ended, look, pane, session
from tests.decide.test_choose import situation as plain_situation


def signed(body: str) -> str:
    return f"{checksum(body)},{body}"


ROW = signed("120x40,0,0{30x40,0,0,1,29x40,31,0,2,29x40,61,0,3,29x40,91,0,4}")
LEFT = signed("120x40,0,0{30x40,0,0,1,29x40,31,0,2,59x40,61,0,4}")


def window(*numbers: int, layout: str = ROW, keeps: str = "off") -> Session:
    panes = (replace(pane(number), index=place) for place, number in enumerate(numbers))
    one = session(*panes, armed=False)
    return replace(one, windows=(replace(one.windows[0], layout=layout, remain_on_exit=keeps),))


FULL = window(1, 2, 3, 4)
ENTRY = Expected("web", SERVER, FULL, instance_of(SERVER, FULL))
KILLED = {203: ended(203, -9)}


def gone(after: Session, *ends: Exit, entry: Expected = ENTRY, others: tuple[Session, ...] = ()) -> list[str]:
    found = killed_panes(entry, after, look(after, *others), {end.pid: end for end in ends})
    return [one.pane.id for one in found]


@pytest.mark.parametrize(
    ("end", "found"),
    [
        (ended(203, -9), ["%3"]),
        (ended(203, -11), ["%3"]),
        # kill-pane hangs it up, whatever it makes of that.
        (ended(203, -1), []),
        (ended(203, 1), []),
        (ended(203, 0), []),
        (ended(203, None), []),
        # Another pane's process.
        (ended(999, -9), []),
    ],
)
def test_only_what_ended_badly_was_killed(end: Exit, found: list[str]) -> None:
    assert gone(window(1, 2, 4, layout=LEFT), end) == found


def test_what_was_closed_first_stays_closed_however_it_ends_later() -> None:
    after = window(1, 2, 4, layout=LEFT)
    assert gone(after) == []
    later = replace(ENTRY, session=after)
    assert gone(after, ended(203, -9), entry=later) == []


def test_where_dead_panes_are_kept_one_that_is_missing_was_closed() -> None:
    before = replace(ENTRY, session=window(1, 2, 3, 4, keeps="failed"))
    assert gone(window(1, 2, 4, keeps="failed"), ended(203, -9), entry=before) == []
    # Killed before it was armed, or its user does not want it any more.
    assert gone(window(1, 2, 4, keeps="failed"), ended(203, -9)) == ["%3"]
    assert gone(window(1, 2, 4), ended(203, -9), entry=before) == ["%3"]


def test_what_lives_elsewhere_or_is_shared_or_declared_is_no_loss() -> None:
    after = window(1, 2, 4)
    elsewhere = replace(session(pane(3)), id="$2", name="api")
    assert gone(after, ended(203, -9), others=(elsewhere,)) == []
    assert gone(after, ended(203, -9), entry=replace(ENTRY, declared=True)) == []
    shared = replace(after, windows=(replace(after.windows[0], links=2),))
    assert gone(shared, ended(203, -9)) == []
    other = replace(after, windows=(replace(after.windows[0], id="@9"),))
    assert gone(other, ended(203, -9)) == []


def test_it_is_remembered_until_something_is_put_into_its_window() -> None:
    after = window(1, 2, 4, layout=LEFT)
    (lost,) = killed_panes(ENTRY, after, look(after), KILLED)
    later = replace(ENTRY, session=after, gone=(lost,))
    assert gone(after, ended(203, -9), entry=later) == ["%3"]
    assert gone(window(1, 4), ended(203, -9), entry=later) == ["%3"]
    assert gone(window(1, 2, 4, 9), ended(203, -9), entry=later) == []
    assert gone(after, entry=later) == []


def test_it_is_certain_at_the_second_look_only() -> None:
    after = window(1, 2, 4, layout=LEFT)
    (failure,) = detect({"web": ENTRY}, look(after), KILLED, server_alive=False, now=50.0).failures
    assert failure.gone
    assert failure.broken == (Broken(Unit.PANE, "%3", 203, -9, window=0, gone=True),)
    assert not certain(failure, Doubt(ENTRY, look(after), KILLED, "boot", None))
    seen = replace(ENTRY, session=after, gone=killed_panes(ENTRY, after, look(after), KILLED))
    assert certain(failure, Doubt(seen, look(after), KILLED, "boot", None))


@pytest.mark.parametrize(
    ("live", "still"),
    [
        (window(1, 2, 4), True),
        (window(1, 4), True),
        (window(1, 2, 3, 4), False),
        (window(1, 2, 4, 9), False),
        (replace(window(1, 2, 4), id="$9"), False),
    ],
)
def test_right_before_the_act_it_is_asked_again(live: Session, still: bool) -> None:
    failure = Failure("web", FailureKind.CRASHED, (Broken(Unit.PANE, "%3", 203, window=0, gone=True),), 1.0)
    assert still_broken(Scene(failure, window(1, 2, 4), None, look(live))) is still


def test_between_its_end_and_that_of_its_pane_it_is_still_what_it_was() -> None:
    ending = replace(pane(3), argv=(), cwd="")
    after = replace(FULL, windows=(replace(FULL.windows[0], panes=(*FULL.windows[0].panes[:2], ending)),))
    kept = carry(FULL, after).windows[0].panes[2]
    assert (kept.argv, kept.cwd) == (("-bash",), "/srv")


def missed(*steps: tuple[int, ...]) -> tuple[Session, tuple[LostPane, ...]]:
    """What is left of the full window after these panes were lost, each group at a look of its own."""
    entry, live = ENTRY, FULL
    for lost in steps:
        exits = {200 + n: ended(200 + n, -9) for group in steps for n in group}
        assert entry.session is not None
        left = [int(p.id[1:]) for p in entry.session.panes() if int(p.id[1:]) not in lost]
        live = window(*left, layout=signed(f"120x40,0,0,{sum(left)}"))
        known = killed_panes(entry, live, look(live), exits)
        entry = replace(entry, session=live, gone=known)
    return live, entry.gone


def planned(live: Session, lost: tuple[LostPane, ...], **facts: object) -> Plan:
    parts = tuple(Broken(Unit.PANE, one.pane.id, one.pane.pid, -9, window=0, gone=True) for one in lost)
    failure = Failure("web", FailureKind.CRASHED, parts, 1.0)
    finding = Finding(failure, Cause.PROCESS_KILLED, Intent.FAILURE, (), "o")
    words = {"finding": finding, "session": live, "look": look(live), "gone": lost, **facts}
    one: Situation = replace(plain_situation(), **words)  # type: ignore[arg-type]
    resort = Resort(Strategy.REBUILD_PANE)
    assert lacking(one, resort) is None
    return plan_for(one, resort, resume)


def resume(saved: SavedPane, index: int, shell: str) -> Resumption | None:
    if not saved.program:
        return None
    return Resumption(index, saved.index, Entry.TYPED, "top", saved.program, "a rule")


def carried_out(plan: Plan, live: Session) -> list[str]:
    """The panes of the window after its steps, as tmux would make them."""
    ids = [one.id for one in live.panes()]
    for step in plan.steps:
        if step.beside is not None and step.place is not None:
            at = ids.index(step.beside.pane) + (0 if step.beside.before else 1)
            ids.insert(at, f"%{step.place[1] + 1}")
    return ids


@pytest.mark.parametrize(
    "lost",
    [
        *([group] for size in (1, 2, 3) for group in combinations((1, 2, 3, 4), size)),
        *([(one,), (other,)] for one in (1, 2, 3, 4) for other in (1, 2, 3, 4) if one != other),
        [(2,), (3,), (4,)],
        [(4,), (3,), (1,)],
        [(1,), (2, 3)],
    ],
)
def test_each_comes_to_its_place_and_the_window_gets_its_layout_back(lost: list[tuple[int, ...]]) -> None:
    live, gone_panes = missed(*lost)
    plan = planned(live, gone_panes)
    assert carried_out(plan, live) == ["%1", "%2", "%3", "%4"]
    steps = [step for step in plan.steps if step.beside is not None]
    assert {(step.beside.layout, step.beside.panes) for step in steps if step.beside} == {(ROW, 4)}
    assert len(lost) > 1 or all(step.beside.sideways for step in steps if step.beside)
    assert plan.expectation.untouched == tuple((one.id, one.pid) for one in live.panes())
    assert dict(plan.expectation.places) == {one.id: (0, int(one.id[1:]) - 1) for one in live.panes()}


def test_a_layout_that_somebody_has_changed_stays() -> None:
    live, lost = missed((3,))
    (plain,) = live.windows
    by_hand = replace(live, windows=(replace(plain, layout=LEFT),))
    (step,) = [step for step in planned(by_hand, lost).steps if step.beside is not None]
    assert step.beside is not None
    assert step.beside.layout == ""
    assert step.describe() == "rebuild pane 0.2"


def with_text(before: Window, *texts: str) -> Checkpoint:
    image = image_of(replace(FULL, windows=(before,)), width=80, height=24)
    saved = image.windows[0].panes
    panes = tuple(replace(one, scrollback=text) for one, text in zip(saved, texts, strict=True))
    image = replace(image, windows=(replace(image.windows[0], panes=panes),))
    return Checkpoint(5, "web", 1.0, Operation.STRUCTURE, "i", "c", 1, image)


def test_its_text_is_that_of_its_place_and_its_program_what_it_was_last() -> None:
    full = replace(FULL.windows[0], panes=(*FULL.windows[0].panes[:2], pane(3, program=9), pane(4)))
    full = replace(full, panes=tuple(replace(one, index=n) for n, one in enumerate(full.panes)))
    entry = replace(ENTRY, session=replace(FULL, windows=(full,)))
    live = window(1, 2, 4, layout=LEFT)
    lost = killed_panes(entry, live, look(live), KILLED)
    plan = planned(live, lost, checkpoint=with_text(FULL.windows[0], "a", "b", "c", "d"))
    assert [step.describe() for step in plan.steps] == [
        "save", "rebuild pane 0.2", "start program in 0.2: typed `top`",
    ]  # fmt: skip
    assert plan.expectation.image is not None
    assert [one.scrollback for one in plan.expectation.image.windows[0].panes] == ["", "", "c", ""]
    other = planned(live, lost, checkpoint=with_text(window(1, 2, 3).windows[0], "a", "b", "c"))
    assert other.expectation.image is not None
    assert {one.scrollback for one in other.expectation.image.windows[0].panes} == {""}


def test_what_is_not_remembered_any_more_is_not_put_back() -> None:
    live, lost = missed((3,))
    parts = (Broken(Unit.PANE, "%3", 203, -9, window=0, gone=True),)
    finding = Finding(
        Failure("web", FailureKind.CRASHED, parts, 1.0), Cause.PROCESS_KILLED, Intent.FAILURE, (), "o"
    )
    one = replace(plain_situation(), finding=finding, session=live, look=look(live))
    assert lacking(one, Resort(Strategy.REBUILD_PANE)) is not None
    assert lacking(replace(one, gone=lost), Resort(Strategy.REBUILD_PANE)) is None


def test_which_way_a_pane_was_split() -> None:
    nested = signed("80x24,0,0{40x24,0,0,1,39x24,41,0[39x12,41,0,2,39x11,41,13,3]}")
    assert [is_sideways(nested, number) for number in range(3)] == [True, False, False]
    assert not is_sideways(signed("80x24,0,0,1"), 0)
    assert not is_sideways("nonsense", 0)
