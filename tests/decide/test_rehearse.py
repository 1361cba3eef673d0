"""Whose turn it is to be rehearsed, what stands in for programs, and what counts as restorable."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from sidecar.decide import rehearse
from sidecar.decide.layout import checksum
from sidecar.decide.rehearse import Turn, hold_off, next_turn
from sidecar.decide.rehearse_verdict import Script, flaws, ink, refused, shape_verdict, summed_up, verdict
from sidecar.model.plan import Verdict
from sidecar.model.record import Capture, HoldOffReason, Pressure
from sidecar.model.scrollback import Manifest, Piece
from sidecar.model.session import Look, Presence, ServerId, Session, SessionImage, image_of
from tests.decide.builders import pane, session

LAYOUT = "80x24,0,0,1"
DIGEST = "d" * 64
CALM = Pressure(memory_available=0.5, load=0.1, cpu_stalled=1.0, memory_stalled=0.0)


@pytest.mark.parametrize(
    ("turn", "due"),
    [
        (Turn(seen=100.0, share=0.0), 100.0),
        (Turn(seen=100.0, share=0.5), 105.0),
        (Turn(seen=100.0, share=0.5, last=98.0), 108.0),
        (Turn(seen=100.0, share=0.5, last=10.0), 105.0),
        (Turn(seen=100.0, share=0.5, last=200.0), 210.0),
    ],
)
def test_a_turn_comes_an_interval_after_the_last_and_not_at_once_after_a_start(
    turn: Turn, due: float
) -> None:
    assert turn.due(10.0) == due


def test_the_longest_due_comes_first() -> None:
    turns = [("a", Turn(5.0, 0.0)), ("b", Turn(3.0, 0.0)), ("c", Turn(90.0, 0.0))]
    assert next_turn(turns, 10.0, now=50.0) == "b"
    assert next_turn(turns, 10.0, now=4.0) == "b"
    assert next_turn(turns, 10.0, now=1.0) is None
    assert next_turn([], 10.0, now=1.0) is None


def test_switched_off_nobody_has_a_turn() -> None:
    assert next_turn([("a", Turn(0.0, 0.0))], 0.0, now=50.0) is None


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=50), st.floats(1.0, 1e5))
def test_after_a_start_all_have_their_turn_within_an_interval(shares: list[float], interval: float) -> None:
    turns = [(str(number), Turn(0.0, share)) for number, share in enumerate(shares)]
    assert all(turn.due(interval) <= interval for _, turn in turns)
    assert next_turn(turns, interval, interval) is not None


@pytest.mark.parametrize(
    ("pressure", "recoveries", "reason"),
    [
        (CALM, 0, None),
        (CALM, 1, HoldOffReason.RECOVERY_RUNNING),
        (replace(CALM, cpu_stalled=95.0), 0, HoldOffReason.CPU_PRESSURE),
        (replace(CALM, memory_stalled=11.0), 0, HoldOffReason.MEMORY_PRESSURE),
        (replace(CALM, memory_available=0.04), 0, HoldOffReason.MEMORY_PRESSURE),
        (replace(CALM, load=9.0), 0, None),
        (Pressure(0.5, 9.0), 0, HoldOffReason.CPU_PRESSURE),
        (Pressure(0.5, 1.9), 0, None),
        (Pressure(0.04, 0.0), 0, HoldOffReason.MEMORY_PRESSURE),
    ],
)
def test_a_pressed_machine_is_spared(
    pressure: Pressure, recoveries: int, reason: HoldOffReason | None
) -> None:
    held = hold_off(pressure, recoveries)
    assert (held.reason if held else None) is reason
    assert held is None or held.sentence


def test_nothing_of_a_user_is_left_to_run() -> None:
    live = session(pane(command="touch x"), pane(2, program=7))
    image = replace(
        image_of(
            live, width=80, height=24, environment=(("HOME", "/h"), ("LD_PRELOAD", "/x"), ("GONE", None))
        ),
        default_command="touch y",
        default_shell="/home/me/shell",
    )
    image = _with_panes(image, resume="touch z")
    played = rehearse.stand_in(image)
    for one in played.windows[0].panes:
        assert (one.argv, one.program, one.resume) == (rehearse.STAND_IN, (), "")
        assert one.start_command == rehearse.STAND_IN_COMMAND
    assert (played.default_shell, played.default_command) == ("/bin/sh", "")
    assert played.environment == (("HOME", "/h"), ("GONE", None))
    assert played.origin.environment == ()
    assert played.origin.config_files == "/dev/null"


@pytest.mark.parametrize(
    "name",
    [
        "pane-died[0]", "after-new-window[3]", "client-attached", "session-created[900]", "alert-bell",
        "window-linked[0]", "window-pane-changed", "command-error[0]", "default-command", "default-shell",
        "lock-command", "automatic-rename-format", "history-limit", "remain-on-exit", "@sidecar_resume",
    ],
)  # fmt: skip
def test_options_that_act_are_left_out(name: str) -> None:
    kept = (("@mine", "x"), ("pane-border-style", "fg=red"), ("window-size", "manual"), ("status", "off"))
    acting = ((name, "run-shell x"), ("status-right", "#(x)"), ("status-format[0]", None))
    image = image_of(session(), width=80, height=24)
    image = replace(_with_panes(image, options=(*kept, *acting)), options=(*acting, *kept))
    image = replace(image, windows=tuple(replace(w, options=(*acting, *kept)) for w in image.windows))
    played = rehearse.stand_in(image)
    window = played.windows[0]
    for options in (played.options, window.options, window.panes[0].options):
        assert options is not None
        assert {one for one, _ in options} == {"status-format[0]", *(one for one, _ in kept)}


@pytest.mark.parametrize("name", ["PATH", "LD_LIBRARY_PATH", "BASH_ENV", "BASH_FUNC_cat%%", "ENV", "PS4"])
def test_what_steers_how_programs_start_is_left_out(name: str) -> None:
    image = image_of(session(), width=80, height=24, environment=((name, "x"), ("TERM", "x")))
    assert rehearse.stand_in(image).environment == (("TERM", "x"),)


def test_only_the_end_of_a_long_text_is_played() -> None:
    text = b"".join(b"%d\n" % number for number in range(10_000))
    played = rehearse.excerpt(text)
    assert played.endswith(b"9999\n")
    assert played.count(b"\n") == rehearse.EXCERPT_LINES
    assert rehearse.excerpt(b"short\n") == b"short\n"


def test_panes_are_numbered_as_the_user_does() -> None:
    image = image_of(session(pane(3), pane(2)), width=80, height=24)
    assert rehearse.first_pane_index(image) == 2
    assert rehearse.first_pane_index(replace(image, windows=())) == 0


@given(st.text("abc é\t\n"), st.integers(1, 5))
def test_ink_is_the_same_wherever_lines_break(text: str, width: int) -> None:
    raw = text.encode()
    coloured = b"\x1b[1;31m" + raw.replace(b" ", b"\x1b[0m \x1b[38:2::1:2:3m") + b"\x1b[m"
    wrapped = "\n".join(text[at : at + width] for at in range(0, len(text), width)).encode()
    assert ink(coloured) == ink(raw) == ink(wrapped)


def _with_panes(image: SessionImage, **more: Any) -> SessionImage:
    windows = tuple(replace(w, panes=tuple(replace(p, **more) for p in w.panes)) for w in image.windows)
    return replace(image, windows=windows)


def _stored() -> SessionImage:
    image = image_of(session(), width=80, height=24, environment=(("A", "1"),))
    image = _with_panes(image, scrollback=DIGEST, title="t")
    windows = tuple(replace(w, layout=f"{checksum(LAYOUT)},{LAYOUT}", last=True) for w in image.windows)
    return replace(image, windows=windows)


def _script(image: SessionImage | None = None, **more: Any) -> Script:
    played = rehearse.stand_in(image or _stored())
    return replace(Script(played, (), {DIGEST: b"hello world\n"}, frozenset()), **more)


def _staged(**more: Any) -> Session:
    """What stands on the stage when all has gone well, but for the named fields of the pane."""
    built = replace(
        pane(command=rehearse.STAND_IN_COMMAND), **{"argv": rehearse.STAND_IN, "title": "t", **more}
    )
    live = session(built)
    windows = tuple(replace(w, layout=f"{checksum(LAYOUT)},{LAYOUT}", last=True) for w in live.windows)
    return replace(live, windows=windows)


def _judge(script: Script, live: Session, **more: Any) -> Verdict:
    look = Look(Presence.PRESENT, 1.0, server=ServerId("boot", 1, 1), sessions=(live,))
    text = more.pop("text", b"hello\nworld\n")
    image = image_of(live, width=80, height=24, environment=(("A", "1"),), scrollbacks={"%1": "x"})
    made_of = Manifest((Piece("y", 2),))
    return verdict(script, look, Capture(replace(image, **more), "i", 1.0, {"x": made_of}, {"y": text}))


def _told(found: Verdict) -> list[tuple[str, str]]:
    assert found.holds == (not [one for one in found.differences if not one.tolerated])
    return [(one.where, one.field) for one in found.differences if not one.tolerated]


def test_what_came_back_is_restorable() -> None:
    assert _judge(_script(), _staged()).differences == ()


@pytest.mark.parametrize(
    ("script", "live", "more", "told"),
    [
        (_script(), _staged(title="other"), {}, ("pane 0.1", "title")),
        (_script(), _staged(cwd="/elsewhere"), {}, ("pane 0.1", "cwd")),
        (_script(), _staged(argv=("bash",)), {}, ("pane 0.1", "command")),
        (_script(), _staged(), {"text": b"hello\n"}, ("pane 0.1", "scrollback")),
        (_script(), _staged(), {"text": b""}, ("pane 0.1", "scrollback")),
        (_script(), _staged(), {"environment": ()}, ("session web", "environment A")),
        (_script(), _staged(), {"environment": (("A", "2"),)}, ("session web", "environment A")),
        (_script(), _staged(), {"environment": (("A", "1"), ("B", "2"))}, ("session web", "environment B")),
    ],
)
def test_what_did_not_is_named(
    script: Script, live: Session, more: dict[str, Any], told: tuple[str, str]
) -> None:
    assert _told(_judge(script, live, **more)) == [told]


def test_values_and_texts_are_never_told() -> None:
    found = _judge(_script(), _staged(), environment=(("A", "secret"),), text=b"password")
    assert "secret" not in str(found)
    assert "password" not in str(found)
    assert "hello" not in str(found)


def test_a_folder_that_is_gone_is_no_fault_of_the_checkpoint() -> None:
    image = replace(_stored(), path="/srv", options=())
    found = _judge(_script(image, missing_folders=("/srv",)), _staged(cwd="/"), path="/", options=())
    assert found.holds
    assert [one.field for one in found.differences] == ["cwd", "folder"]


def test_a_layout_that_tmux_cannot_be_given_is() -> None:
    image = _stored()
    broken = replace(image, windows=tuple(replace(w, layout="dead,beef") for w in image.windows))
    assert _told(summed_up(flaws(_script(broken)))) == [("window 0", "stored layout")]


def test_so_is_a_text_that_was_lost() -> None:
    script = _script(texts={}, lost=frozenset({DIGEST}))
    assert _told(summed_up(flaws(script))) == [("pane 0.1", "scrollback")]
    assert flaws(_script()) == ()


def test_the_last_window_and_automatic_names_are_compared() -> None:
    live = _staged()
    other = replace(live, windows=tuple(replace(w, last=False, automatic_rename=True) for w in live.windows))
    assert _told(_judge(_script(), other)) == [("window 0", "last"), ("window 0", "automatic rename")]


def test_a_server_that_is_gone_proves_nothing_good() -> None:
    look = Look(Presence.ABSENT, 1.0, reason="no server running")
    assert not shape_verdict(_script(), look).holds
    assert refused("web", "index in use: 1").differences[0].found == "index in use: 1"
