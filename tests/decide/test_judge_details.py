"""What only a capture tells: hard unless a tolerance is declared for it, and counted either way."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from sidecar.decide.judge import judge
from sidecar.model.plan import Entry, Expectation, Resumption, Verdict
from sidecar.model.session import Details, ServerOrigin, ServerSettings, Session, SessionImage, image_of
from tests.decide.test_judge import GONE, IMAGE, LIVE, hard, look, tolerated

ORIGIN = ServerOrigin((("PATH", "/bin"),), "/", "", ServerSettings(server=(("escape-time", "5"),)))
DETAILS = Details(
    session=(("@mine", "1"), ("status", "2")),
    windows={"@0": (("main-pane-width", "9"),)},
    panes={"%1": (("window-style", "bg=red"),)},
    links={},
    path="/work",
)


def image(**changes: Any) -> SessionImage:
    """The session as it is captured, with details."""
    details = replace(
        DETAILS, **{key: changes.pop(key) for key in ("windows", "panes", "links") & changes.keys()}
    )
    whole = image_of(LIVE, width=80, height=24, environment=(("A", "1"),), origin=ORIGIN, details=details)
    return replace(whole, **changes)


WANTED = image()


def verdict(
    found: SessionImage, wanted: SessionImage = WANTED, live: Session = LIVE, **changes: Any
) -> Verdict:
    return judge(Expectation(wanted, **changes), None, look(live), found)


def with_window(whole: SessionImage, **changes: Any) -> SessionImage:
    first, *others = whole.windows
    return replace(whole, windows=(replace(first, **changes), *others))


def with_pane(whole: SessionImage, **changes: Any) -> SessionImage:
    first, *others = whole.windows[0].panes
    return with_window(whole, panes=(replace(first, **changes), *others))


def test_the_same_details_are_counted_and_nothing_differs() -> None:
    found = verdict(WANTED)
    assert found == Verdict(True)
    assert found.compared["session option"] == 2
    assert found.compared["session environment"] == 1
    assert found.compared["window option"] == found.compared["pane option"] == 1
    assert found.compared["pane cwd"] == found.compared["pane presence"] == 3
    assert found.compared["window layout"] == 2
    assert found.compared["server option"] == 1


@pytest.mark.parametrize(
    ("found", "difference"),
    [
        (image(options=(("status", "2"),)), ("session web", "option @mine")),
        (image(options=(("@mine", "1"), ("status", "3"))), ("session web", "option status")),
        (image(environment=()), ("session web", "environment A")),
        (image(path="/else"), ("session web", "folder")),
        (image(windows={}), ("window 0", "option main-pane-width")),
        (image(panes={"%1": ()}), ("pane 0.0", "option window-style")),
        (with_pane(WANTED, last=True), ("pane 0.0", "last")),
        (with_pane(WANTED, start_command="top"), ("pane 0.0", "start command")),
        (with_window(WANTED, last=True), ("window 0", "last")),
        (with_window(WANTED, automatic_rename=True), ("window 0", "automatic rename")),
    ],
)  # fmt: skip
def test_hard_differences(found: SessionImage, difference: tuple[str, str]) -> None:
    where = difference[0].replace("session web", f"session {IMAGE.name}")
    assert hard(verdict(found)) == [(where, difference[1])]
    assert not verdict(found).holds


@pytest.mark.parametrize(
    ("wanted", "found", "live"),
    [
        (WANTED, image(options=(("@mine", "2"), ("status", "2"))), LIVE),
        (WANTED, image(options=(("@mine", "1"), ("@new", "1"), ("status", "2"))), LIVE),
        (image(options=(*DETAILS.session, ("destroy-unattached", "on"))), WANTED, LIVE),
        (image(group="G"), WANTED, LIVE),
        (image(links={"@0": "word"}), WANTED, LIVE),
        (with_window(WANTED, automatic_rename=True), WANTED, LIVE),
        (WANTED, image(environment=()), replace(LIVE, attached=1)),
        (WANTED, with_pane(WANTED, last=True), replace(LIVE, attached=1)),
        (image(links={"@0": "word"}), image(links={"@0": "word"}, windows={}), LIVE),
        (WANTED, image(origin=ServerOrigin()), LIVE),
    ],
)
def test_tolerated_differences_are_named_with_their_excuse(
    wanted: SessionImage, found: SessionImage, live: Session
) -> None:
    outcome = verdict(found, wanted, live)
    assert outcome.holds
    assert outcome.differences
    assert all(each.note for each in outcome.differences)


def test_a_folder_that_is_gone() -> None:
    outcome = verdict(image(path="/"), image(path=GONE), tolerated_cwd=(GONE,))
    assert outcome.holds
    assert tolerated(outcome) == [(f"session {IMAGE.name}", "folder")]


def test_a_program_that_was_brought_back_by_another_command() -> None:
    resumption = Resumption(
        0, 0, Entry.STARTED, "the line", (), "the rule for claude", True, ("claude", "--resume", "x")
    )
    outcome = verdict(with_pane(WANTED, start_command="claude --resume x"), resumptions=(resumption,))
    assert outcome.holds
    assert outcome.differences[0].note == "started as `the line`: the rule for claude"


def test_an_old_checkpoint_has_no_details_to_compare() -> None:
    outcome = verdict(WANTED, replace(WANTED, options=None))
    assert outcome == Verdict(True)
    assert "session option" not in outcome.compared


def test_values_of_variables_are_never_told() -> None:
    (difference,) = verdict(image(environment=(("A", "secret"),))).differences
    assert (difference.wanted, difference.found) == ("set", "set to something else")


def test_the_windows_of_a_group_that_has_gone_on_are_its_own() -> None:
    grouped = replace(LIVE, group="G", windows=LIVE.windows[:1])
    twin = replace(grouped, id="$9", name="twin")
    expectation = Expectation(image(group="G"))
    outcome = judge(expectation, None, look(grouped, twin))
    assert outcome.holds
    assert tolerated(outcome) == [("window 1", "presence")]
    assert hard(judge(expectation, None, look(grouped))) == [("window 1", "presence")]
