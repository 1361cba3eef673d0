"""Who is expected because a file declares them, and what is done once such a session stands."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import cast

import pytest

from sidecar.config import Declared, SessionOverride, SessionSettings, Settings
from sidecar.decide.detect import Expected
from sidecar.errors import Permanent, Temporary
from sidecar.flow.furnish import furnish
from sidecar.flow.ports import Tmux
from sidecar.flow.ward import Ward
from sidecar.model.policy import Restore
from sidecar.model.workspace import Command, DeclaredPane, DeclaredWindow, Pairs, Workspace
from tests.decide.builders import look, pane, session

ONE = Workspace("web", (DeclaredWindow((DeclaredPane("/srv"),)),), file="/w.yaml")


def settings(*names: str, broken: frozenset[str] = frozenset(), **sessions: object) -> Settings:
    declared = MappingProxyType({name: replace(ONE, name=name) for name in names})
    return Settings(
        sessions=SessionSettings(**sessions),  # type: ignore[arg-type]
        declared=Declared(declared, broken=broken),
    )


def ward(*names: str, **sessions: object) -> Ward:
    return Ward(settings(*names, **sessions))


def expected(one: Ward) -> dict[str, bool]:
    return {name: entry.declared for name, entry in one.expected.items()}


def test_what_is_declared_is_expected_and_comes_back_always() -> None:
    one = ward("web")
    one.expected["api"] = Expected("api", instance="x")
    one.declare()
    assert expected(one) == {"api": False, "web": True}
    assert (one.restore_policy("web"), one.restore_policy("api")) == (Restore.ALWAYS, Restore.ON_FAILURE)
    assert one.workspace("web") == ONE
    assert one.workspace("api") is None


@pytest.mark.parametrize("restore", [Restore.NEVER, Restore.ON_FAILURE])
def test_a_policy_of_its_own_waits_for_a_person_to_start_it(restore: Restore) -> None:
    one = ward("web", overrides={"web": SessionOverride(restore=restore)})
    one.declare()
    assert expected(one) == {}
    assert one.declares("web")
    one.expect(look(session()), session())
    assert expected(one) == {"web": True}
    assert one.restore_policy("web") is restore


def test_a_released_session_stays_released() -> None:
    one = ward("web")
    one.released["web"] = ""
    one.declare()
    assert expected(one) == {}


def test_what_was_seen_before_it_was_declared_is_the_same_session() -> None:
    one = ward("web")
    one.expected["web"] = Expected("web", instance="boot/1/1/$1")
    one.declare()
    assert one.expected["web"] == Expected("web", instance="boot/1/1/$1", declared=True)


def test_what_is_not_declared_any_more_is_kept_if_it_was_ever_there() -> None:
    one = ward("web", "api")
    one.expected["api"] = Expected("api", instance="x")
    one.declare()
    one.settings = settings()
    one.declare()
    assert expected(one) == {"api": False}


def test_while_a_file_cannot_be_read_what_it_may_declare_stays_declared() -> None:
    one = ward("web")
    one.expected["web"] = Expected("web", instance="x", declared=True)
    one.settings = settings(broken=frozenset({"/w.yaml"}))
    one.declare()
    assert expected(one) == {"web": True}


class Keys:
    """A tmux door that only notes what is typed and set."""

    def __init__(self, deaf: Sequence[str] = (), half: Sequence[str] = ()) -> None:
        self.done: list[str] = []
        self.busy = self.most = 0
        self.deaf = deaf
        self._half = half

    async def type_lines(self, pane: str, pid: int, lines: Sequence[Command], mark: str, typed: int) -> None:
        self.busy += 1
        self.most = max(self.most, self.busy)
        await asyncio.sleep(0)
        self.busy -= 1
        if pane in self._half:
            raise Permanent(f"{pane} is half done")
        if pane in self.deaf:
            raise Temporary(f"{pane} is deaf", hint="shout")
        self.done.append(f"{pane} {pid} {lines[0].text}")

    async def set_options(self, window: str, options: Pairs) -> None:
        self.done.append(f"{window} {options[0][0]}")


def declared(*commands: Command) -> Workspace:
    panes = tuple(DeclaredPane("/srv", commands=(command,)) for command in commands)
    silent = DeclaredPane("/srv")
    return Workspace("web", (DeclaredWindow((*panes, silent), options_after=(("@x", "y"),)),))


LIVE = session(pane(1), pane(2), pane(3))


async def test_every_pane_gets_its_own_and_then_the_options_are_set() -> None:
    keys = Keys()
    await furnish(cast(Tmux, keys), declared(Command("a"), Command("b")), LIVE, {}, "m")
    assert keys.done == ["%1 201 a", "%2 202 b", "@1 @x"]
    assert keys.most == 2


async def test_with_pauses_one_comes_after_the_other() -> None:
    keys = Keys()
    await furnish(cast(Tmux, keys), declared(Command("a", sleep_after=1.0), Command("b")), LIVE, {}, "m")
    assert keys.done == ["%1 201 a", "%2 202 b", "@1 @x"]
    assert keys.most == 1


async def test_a_pane_that_takes_nothing_keeps_no_other_from_it_and_alone_is_tried_again() -> None:
    keys = Keys(deaf=["%1"])
    wanted = declared(Command("a"), Command("b"))
    with pytest.raises(Temporary, match="%1 is deaf") as caught:
        await furnish(cast(Tmux, keys), wanted, LIVE, {}, "m")
    assert caught.value.hint == "shout"
    assert keys.done == ["%2 202 b", "@1 @x"]
    keys.deaf = []
    await furnish(cast(Tmux, keys), wanted, LIVE, {"%2": 1}, "m")
    assert keys.done == ["%2 202 b", "@1 @x", "%1 201 a", "@1 @x"]


async def test_what_is_half_done_is_not_tried_again() -> None:
    keys = Keys(deaf=["%1", "%2"], half=["%2"])
    with pytest.raises(Permanent, match=r"%2 is half done \(2 in all\)"):
        await furnish(cast(Tmux, keys), declared(Command("a"), Command("b")), LIVE, {}, "m")


async def test_windows_that_are_gone_are_left_out() -> None:
    keys = Keys()
    await furnish(cast(Tmux, keys), declared(Command("a")), replace(LIVE, windows=()), {}, "m")
    assert keys.done == []
