"""What people have silenced in an Alertmanager of ours is quiet through the other channels, too."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from sidecar.errors import Temporary
from sidecar.flow.foreign import Foreign
from sidecar.model.notice import Alertmanager, Channel, Matter
from sidecar.model.quiet import ForeignSilence, Matcher
from sidecar.model.record import Action
from tests.decide.builders import session
from tests.flow.corridor import Corridor
from tests.flow.test_notices import telling, told
from tests.flow.test_quiet import OPS, PAGER, announced, say


@dataclass
class Theirs:
    """Implements ``sidecar.flow.ports.Silencers``."""

    silences_: dict[str, tuple[ForeignSilence, ...] | Temporary] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def silences(self, target: Alertmanager) -> tuple[ForeignSilence, ...]:
        self.asked.append(target.url)
        found = self.silences_.get(target.url, ())
        if isinstance(found, Temporary):
            raise found
        return found


def foreign(world: Corridor, theirs: Theirs) -> Foreign:
    return Foreign(world.ward, theirs, world.clock, world.log, world.quieter.look_again)


def silence(world: Corridor, *matchers: Matcher, seconds: float = 60.0) -> ForeignSilence:
    now = world.clock.wall()
    return ForeignSilence("a1", matchers or (Matcher("session", "web"),), now, now + seconds, "moving")


def lines(world: Corridor, channel: str) -> list[str]:
    """What was told, in however many messages."""
    return [line for text in told(world, channel) for line in text.splitlines()]


async def test_the_other_channels_are_quiet_and_hear_of_it_afterwards(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS, PAGER) as world:
        await world.adopt(session())
        theirs = Theirs({PAGER.target.url: (silence(world),)})  # type: ignore[union-attr]
        await foreign(world, theirs).ask()
        world.ward.set_back("web", world.clock.now + 10_000.0)
        await say(world)
        await say(world, name="api")
        await world.until(lambda: len(lines(world, "pager")) == 2)
        # The Alertmanager gets everything: whom it tells is its own business.
        assert (told(world), announced(world)) == (["api given_up"], ["sidecar: api given_up"])
        [line] = world.log.of(Action.NOTICE_WITHHELD)
        assert line["by"] == "alertmanager a1"
        assert [str(hush) for hush in world.quieter.listed()] == ["alertmanager a1"]
        await world.pass_time(70.0)
        assert world.quieter.listed() == ()
        assert [text.partition(" (since")[0] for text in told(world)] == ["api given_up", "web given_up"]


async def test_good_news_are_quiet_where_all_that_they_end_is(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS, PAGER) as world:
        await world.adopt(session())
        some = silence(world, Matcher("alertname", "TmuxSidecarGivenUp"))
        await foreign(world, Theirs({PAGER.target.url: (some,)})).ask()  # type: ignore[union-attr]
        await say(world)
        await say(world, Matter.RECOVERED)
        await world.until(lambda: told(world))
        assert told(world) == ["web recovered"]
        await foreign(world, Theirs({PAGER.target.url: (silence(world),)})).ask()  # type: ignore[union-attr]
        await say(world, Matter.RECOVERED)
        await world.until(lambda: len(lines(world, "pager")) == 3)
        assert told(world) == ["web recovered"]


async def test_one_that_cannot_be_asked_has_no_silences_and_is_named_once(tmp_path: Path) -> None:
    other = Channel("other", Alertmanager("http://127.0.0.1:9094"))
    async with telling(tmp_path, OPS, PAGER, other) as world:
        await world.adopt(session())
        one, two = (channel.target.url for channel in (PAGER, other))  # type: ignore[union-attr]
        theirs = Theirs({one: (silence(world),), two: Temporary("no answer")})
        asking = foreign(world, theirs)
        await asking.ask()
        await asking.ask()
        assert theirs.asked == [one, two, one, two]
        assert len(world.log.of(Action.SILENCES_UNKNOWN)) == 1
        assert len(world.ward.foreign) == 1
        theirs.silences_ = {one: Temporary("no answer"), two: ()}
        await asking.ask()
        assert world.ward.foreign == ()
        assert len(world.log.of(Action.SILENCES_UNKNOWN)) == 2
        assert len(world.log.of(Action.SILENCES_KNOWN)) == 1
        await say(world)
        await world.until(lambda: told(world))


async def test_what_could_take_for_ever_is_said_once_and_not_respected(tmp_path: Path) -> None:
    async with telling(tmp_path, OPS, PAGER) as world:
        await world.adopt(session())
        wild = silence(world, Matcher("session", "(w+)+eb", regex=True))
        asking = foreign(world, Theirs({PAGER.target.url: (wild,)}))  # type: ignore[union-attr]
        await asking.ask()
        await asking.ask()
        [line] = world.log.of(Action.SILENCE_USELESS)
        assert (line["silence"], line["error"]) == (
            "a1",
            "'(w+)+eb' would take for ever on many more of 'wwwwww!'",
        )
        await say(world)
        await world.until(lambda: told(world))


async def test_nobody_is_asked_where_there_is_none_and_every_half_minute_where_there_is(
    tmp_path: Path,
) -> None:
    async with telling(tmp_path, OPS) as world:
        theirs = Theirs()
        world.spawn("foreign", foreign(world, theirs).run())
        await world.pass_time(100.0)
        assert theirs.asked == []
    async with telling(tmp_path, PAGER) as world:
        world.spawn("foreign", foreign(world, theirs).run())
        await world.pass_time(100.0)
        assert len(theirs.asked) == 4
