"""Hands a message to whichever door its channel needs."""

from __future__ import annotations

from sidecar.edges.notify import alertmanager, apprise, silences, webhook
from sidecar.model.notice import Alertmanager, Apprise, Channel, Email, Message, Webhook
from sidecar.model.quiet import ForeignSilence


class LocalMessenger:
    """Implements :class:`sidecar.flow.ports.Messenger` and :class:`sidecar.flow.ports.Silencers`."""

    async def deliver(self, channel: Channel, message: Message) -> None:
        """Hand it over, within a time limit.

        Raises:
            Temporary: it may be taken another time.
            Permanent: it was refused, and would be again.
        """
        match channel.target:
            case Webhook() as target:
                await webhook.deliver(target, message)
            case Alertmanager() as target:
                await alertmanager.deliver(target, message)
            case Email() as target:
                # Its libraries take 2 MB, which nobody pays who sends no mail.
                from sidecar.edges.notify import mail

                await mail.deliver(target, message)
            case Apprise() as target:
                await apprise.deliver(target, message)

    async def silences(self, target: Alertmanager) -> tuple[ForeignSilence, ...]:
        """What an Alertmanager keeps quiet; see :mod:`silences`."""
        return await silences.silences(target)
