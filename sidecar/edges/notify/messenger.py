"""Hands a message to whichever door its channel needs."""

from __future__ import annotations

from sidecar.edges.notify import alertmanager, webhook
from sidecar.model.notice import Alertmanager, Channel, Email, Message, Webhook


class LocalMessenger:
    """Implements :class:`sidecar.flow.ports.Messenger`."""

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
