"""What people are told, through which channels, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from sidecar.model.check import SUBJECT
from sidecar.model.policy import Budget


class Matter(StrEnum):
    """What a notice is about: the word in configuration, payloads and the audit trail."""

    RECOVERED = "recovered"
    """A recovery was verified."""
    RECOVERY_FAILED = "recovery_failed"
    """A recovery was tried in vain."""
    STUCK = "stuck"
    """A recovery could neither be finished nor undone: a person has to run what it names."""
    GIVEN_UP = "given_up"
    """Nothing more is tried for now: a person is needed."""
    HELD = "held"
    """Something is wrong, and a person has to decide."""
    NOT_RESTORABLE = "not_restorable"
    """The newest checkpoint could not be rebuilt in a rehearsal."""
    RESTORABLE = "restorable"
    """It can be rebuilt again."""
    CHECK_FAILED = "check_failed"
    """A health check is failing."""
    HEAL_GIVEN_UP = "heal_given_up"
    """What heals a check did not help, and is not tried any more: a person is needed."""
    CHECK_RECOVERED = "check_recovered"
    """The check passes again."""
    TEST = "test"
    """Nothing has happened: a person wants to see that this way to people works."""


_OF_A_SUBJECT = (
    Matter.RECOVERY_FAILED,
    Matter.STUCK,
    Matter.GIVEN_UP,
    Matter.HELD,
    Matter.CHECK_FAILED,
    Matter.HEAL_GIVEN_UP,
)
ENDS: Mapping[Matter, tuple[Matter, ...]] = MappingProxyType(
    {
        Matter.RECOVERED: _OF_A_SUBJECT,
        Matter.RESTORABLE: (Matter.NOT_RESTORABLE,),
        Matter.CHECK_RECOVERED: _OF_A_SUBJECT,
    }
)
"""Which matters of the same session, or of the same check, are over with each good one."""
GOOD_NEWS = frozenset(ENDS)
"""Matters that nobody has to do anything about, and that end what the others began."""


class ChannelKind(StrEnum):
    """The ``channel`` label."""

    TMUX = "tmux"
    WEBHOOK = "webhook"
    ALERTMANAGER = "alertmanager"
    EMAIL = "email"
    APPRISE = "apprise"


class Delivery(StrEnum):
    """The ``outcome`` label of ``sidecar_notifications_total``."""

    DELIVERED = "delivered"
    NOBODY_THERE = "nobody_there"
    """A message in tmux, and no client that could show it."""
    FAILED = "failed"
    """Given up: refused, or tried in vain for a day."""
    SILENCED = "silenced"
    """Held back by a silence or a window, until that is over."""


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing to tell."""

    matter: Matter
    session: str
    """Name; empty for the tmux server or the sidecar itself."""
    text: str
    """One or two sentences, without secrets."""
    at: float
    """Wall seconds."""
    trace: str = ""
    check: str = ""
    """Name of the health check that it is about, if it is about one."""

    @property
    def subject(self) -> str:
        """Whom it is about, for people."""
        return self.session or (f"{SUBJECT}{self.check}" if self.check else "")


def labels_of_alerts(notice: Notice, host: str) -> list[dict[str, str]]:
    """The labels of the alerts that a notice raises or, being good news, resolves."""
    return [_labels(notice, matter, host) for matter in ENDS.get(notice.matter, (notice.matter,))]


def _labels(notice: Notice, matter: Matter, host: str) -> dict[str, str]:
    """The labels of the alert that tells of this matter of whomever the notice is about."""
    name = "".join(word.capitalize() for word in matter.split("_"))
    check = {"check": notice.check} if notice.check else {}
    return {
        "alertname": f"TmuxSidecar{name}",
        "session": notice.session,
        "instance": host,
        "severity": "info" if matter is Matter.TEST else "critical",
        **check,
    }


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a message that was sent through one channel for a test."""

    channel: str
    kind: ChannelKind
    outcome: Delivery
    seconds: float
    error: str = ""
    hint: str = ""


@dataclass(frozen=True, slots=True)
class UnknownChannel:
    """No channel is called so; ``known`` are those that there are."""

    channel: str
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QueuedNotice:
    """A notice on its way through one channel."""

    id: int
    channel: str
    notice: Notice
    attempts: int = 0
    due: float = 0.0
    """Wall seconds before which it is not tried again."""


@dataclass(frozen=True, slots=True)
class Pacing:
    """How much one channel may say. A rate that is used up, or a digest, lets notices wait and go as one."""

    matters: frozenset[Matter] = frozenset(Matter)
    """What the channel wants to hear of."""
    rate: Budget = field(default_factory=lambda: Budget(20, 600.0))
    """Messages; what is more waits, and goes as one."""
    digest: float = 0.0
    """Seconds that a notice waits for others to go with it."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """A server that takes a JSON object by POST."""

    url: str = field(repr=False)
    """Address that gets a JSON object by POST; its ``text`` is what Slack, Mattermost and their like show."""
    token_file: str = ""
    """File with a bearer token, read at each delivery."""


@dataclass(frozen=True, slots=True)
class Alertmanager:
    """POST to API v2: fires on failure, resolved on recovery."""

    url: str
    """Address of an Alertmanager, without the path: alerts fire on failure and are resolved on recovery."""


@dataclass(frozen=True, slots=True)
class Email:
    """Through an SMTP server, or a local ``sendmail``."""

    to: tuple[str, ...]
    """Mail addresses."""
    sender: str
    """Mail address that it comes from."""
    smtp: str = ""
    """HOST:PORT; empty uses ``sendmail``."""
    starttls: bool = False
    """Encrypt the connection, and check the server's certificate."""
    user: str = ""
    """Log in as this user."""
    password_file: str = ""
    """File whose first line is the password, read at each delivery."""
    sendmail: str = "/usr/sbin/sendmail"
    """Program that takes the mail where there is no ``smtp``."""


@dataclass(frozen=True, slots=True)
class Apprise:
    """Any of the services that Apprise knows; an optional package."""

    url: str = field(repr=False)
    """Address as Apprise writes it, as ``ntfy://TOPIC``; needs the extra ``tmux-sidecar[apprise]``."""

    @property
    def scheme(self) -> str:
        """The only part of the address that is no secret."""
        return self.url.partition("://")[0]


@dataclass(frozen=True, slots=True)
class Channel:
    """One way to people beside tmux itself."""

    name: str
    """Unique; the queue remembers it across restarts."""
    target: Webhook | Alertmanager | Email | Apprise
    pacing: Pacing = field(default_factory=Pacing)
    template: str = "{text}"
    """Of each notice, with ``{text}``, ``{session}``, ``{matter}``, ``{time}`` and ``{host}``."""

    @property
    def kind(self) -> ChannelKind:
        match self.target:
            case Webhook():
                return ChannelKind.WEBHOOK
            case Alertmanager():
                return ChannelKind.ALERTMANAGER
            case Email():
                return ChannelKind.EMAIL
            case Apprise():
                return ChannelKind.APPRISE


@dataclass(frozen=True, slots=True)
class Message:
    """What is handed to a channel: one notice, or several that go as one."""

    subject: str
    body: str
    notices: tuple[Notice, ...]
    host: str
