"""One e-mail: its address, its bytes, the file that it is kept as, and its way by SMTP."""

import asyncio
import os
from dataclasses import dataclass
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiosmtplib

from api.channels.channel import BadAddress, Outcome, Postponed, Refused, Sent
from api.notice_text import Wording, one_line
from config.settings import Settings

SEND_WITHIN_S = 20.0
_DEFAULT_PORTS = {"smtp": 25, "smtps": 465, "smtp+starttls": 587}


@dataclass(frozen=True, slots=True)
class Route:
    """An SMTP server, from `smtp://`, `smtps://` or `smtp+starttls://user:password@host:port`."""

    scheme: str
    host: str
    port: int
    user: str | None
    password: str | None


def parse_route(url: str) -> Route:
    """Read RELIGA_SMTP_URL.

    Raises:
        ValueError: another scheme, or no host; the text does not repeat the password.
    """
    parts = urlsplit(url)
    default = _DEFAULT_PORTS.get(parts.scheme)
    if default is None or not parts.hostname:
        raise ValueError(
            "RELIGA_SMTP_URL is smtp://, smtps:// or smtp+starttls:// and a host, as in"
            " smtp+starttls://user:password@mail.example:587"
        )
    return Route(
        scheme=parts.scheme,
        host=parts.hostname,
        port=parts.port or default,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def compose(
    *, sender: Address, to: Address, wording: Wording, message_id: str, at: datetime
) -> bytes:
    """The message as it goes out. No header can hold a line break, whatever the texts are."""
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = to
    message["Subject"] = wording.subject
    message["Date"] = format_datetime(at)
    message["Message-ID"] = f"<{message_id}>"
    # So that no auto-responder answers to a letter nobody typed (RFC 3834).
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(wording.plain, cte="quoted-printable")
    message.add_alternative(wording.html, subtype="html", cte="quoted-printable")
    return message.as_bytes()


def address(name: str, mailbox: str) -> Address:
    """One address with its shown name.

    Raises:
        BadAddress: not `local@domain` in plain ASCII.
    """
    if not mailbox.isascii() or not mailbox.isprintable() or " " in mailbox:
        raise BadAddress(f"not an e-mail address: {mailbox!r:.80}")
    try:
        parsed = Address(addr_spec=mailbox)
    except (ValueError, IndexError, MessageError) as error:
        raise BadAddress(f"not an e-mail address: {mailbox!r:.80}") from error
    if not parsed.username or not parsed.domain.strip("."):
        raise BadAddress(f"not an e-mail address: {mailbox!r:.80}")
    return Address(one_line(name), parsed.username, parsed.domain)


def keep(folder: Path, message_id: str, content: bytes) -> None:
    """Write `<message id>.eml`: whole or not at all, and for nobody else's eyes."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = folder / f"{message_id}.eml"
    partial = target.with_suffix(f".{os.getpid()}.part")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
    directory = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def route_of(settings: Settings) -> Route | None:
    """Where mail goes; None: it stays in files."""
    url = settings.smtp_url.get_secret_value()
    return parse_route(url) if url else None


async def send(route: Route, sender: str, recipient: str, content: bytes) -> Outcome:
    """Hand one message to the server. What is our own fault is postponed, never held against it."""
    try:
        async with asyncio.timeout(SEND_WITHIN_S):
            _, said = await aiosmtplib.send(
                content,
                sender=sender,
                recipients=[recipient],
                hostname=route.host,
                port=route.port,
                username=route.user,
                password=route.password,
                use_tls=route.scheme == "smtps",
                start_tls=route.scheme == "smtp+starttls",
            )
    except aiosmtplib.SMTPRecipientsRefused as error:
        refusal = error.recipients[0]
        return _judged(refusal.code, f"{refusal.code} {one_line(refusal.message)}"[:300])
    except aiosmtplib.SMTPDataError as error:
        return _judged(error.code, f"{error.code} {one_line(error.message)}"[:300])
    except (aiosmtplib.SMTPException, OSError) as error:
        return Postponed(f"{type(error).__name__}: {one_line(str(error))}"[:300])
    return Sent("email", provider_id=one_line(said)[:200] or None)


def _judged(code: int, said: str) -> Refused | Postponed:
    return Refused(said) if code >= 500 else Postponed(said)
