"""E-mail through an SMTP server, or by a local sendmail."""

from __future__ import annotations

import asyncio
import contextlib
import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

from sidecar.edges.notify.webhook import read_secret
from sidecar.errors import Permanent, Temporary
from sidecar.model.notice import Email, Message

_SECONDS = 20.0


async def deliver(target: Email, message: Message) -> None:
    """See :meth:`sidecar.edges.notify.LocalMessenger.deliver`."""
    letter = compose(target, message)
    if target.smtp:
        await asyncio.to_thread(_by_smtp, target, letter)
    else:
        await _by_sendmail(target, letter)


def compose(target: Email, message: Message) -> EmailMessage:
    letter = EmailMessage(policy=SMTP)
    letter["From"] = target.sender
    letter["To"] = ", ".join(target.to)
    # A session's name may hold whatever its user has typed; a header is one line.
    letter["Subject"] = "".join(c if c.isprintable() else " " for c in message.subject)
    letter["Date"] = formatdate(message.notices[-1].at)
    letter["Message-ID"] = make_msgid(domain="tmux-sidecar")
    letter["Auto-Submitted"] = "auto-generated"
    letter.set_content(message.body + "\n")
    return letter


def _by_smtp(target: Email, letter: EmailMessage) -> None:
    host, _, port = target.smtp.rpartition(":")
    try:
        with smtplib.SMTP(host.strip("[]"), int(port), timeout=_SECONDS) as server:
            if target.starttls:
                server.starttls(context=ssl.create_default_context())
            if target.user:
                server.login(target.user, read_secret(target.password_file))
            server.send_message(letter, target.sender, list(target.to))
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        raise _refused(target, str(error), max(codes, default=550)) from error
    except smtplib.SMTPResponseException as error:
        raise _refused(target, f"{error.smtp_code} {_words(error.smtp_error)}", error.smtp_code) from error
    except smtplib.SMTPNotSupportedError as error:
        raise Permanent(f"{target.smtp}: {error}", hint="Check starttls and user.") from error
    except (OSError, smtplib.SMTPException) as error:
        raise Temporary(
            f"{target.smtp} did not take the mail: {error}", hint="Is the mail server up?"
        ) from error


def _refused(target: Email, said: str, code: int) -> Temporary | Permanent:
    sentence = f"{target.smtp} refused the mail: {said}"
    if 400 <= code < 500:
        return Temporary(sentence, hint="It is tried again.")
    return Permanent(sentence, hint="Check the addresses, user and password; it is not sent again.")


def _words(said: bytes | str) -> str:
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else said


async def _by_sendmail(target: Email, letter: EmailMessage) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            target.sendmail, "-i", "-f", target.sender, "--", *target.to,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
    except OSError as error:
        raise Permanent(
            f"{target.sendmail} cannot be started: {error.strerror}", hint="Set `smtp`, or install one."
        ) from error
    try:
        async with asyncio.timeout(_SECONDS):
            _, said = await process.communicate(letter.as_bytes())
    except TimeoutError as error:
        raise Temporary(f"{target.sendmail} hangs", hint="It is tried again.") from error
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode:
        words = said.decode("utf-8", "replace").strip()[:200]
        raise Temporary(
            f"{target.sendmail} failed with {process.returncode}: {words}", hint="It is tried again."
        )
