"""E-mail as a channel: kept as a file first, then handed to the SMTP server if there is one."""

import asyncio

from api import mail
from api.channels.channel import BadAddress, Letter, Outcome, Outgoing, Postponed, Sent
from config.settings import Settings

MAIL_FOLDER = "mail"


class EmailChannel:
    """What the recipient's server accepted is proven, until it comes back."""

    name = "email"

    def __init__(self, settings: Settings) -> None:
        """Read the settings.

        Raises:
            ValueError: RELIGA_SMTP_URL or RELIGA_MAIL_FROM is not usable.
        """
        self._route = mail.route_of(settings)
        self._sender = mail.address(settings.provider_name, settings.mail_from)
        self._folder = settings.data_dir / MAIL_FOLDER

    def message_id(self, name: str, tag: str) -> str:
        return f"{name}.{tag}@{self._sender.domain}"

    def address(self, name: str, email: str | None, phone: str | None) -> str:
        if not email:
            raise BadAddress("the subscriber has no e-mail address")
        return mail.address(name, email).addr_spec

    def write(self, letter: Letter) -> Outgoing:
        content = mail.compose(
            sender=self._sender,
            to=mail.address(letter.name, letter.address),
            wording=letter.wording,
            message_id=letter.id,
            at=letter.at,
        )
        return Outgoing(letter.id, letter.address, content)

    async def send(self, outgoing: Outgoing) -> Outcome:
        try:
            # Kept before it is sent: with a full disk there is no proof, so nothing goes out.
            await asyncio.to_thread(mail.keep, self._folder, outgoing.id, outgoing.content)
        except OSError as error:
            return Postponed(f"it cannot be kept under {self._folder}: {error.strerror}")
        if self._route is None:
            return Sent("eml_file")
        return await mail.send(
            self._route, self._sender.addr_spec, outgoing.address, outgoing.content
        )

    async def close(self) -> None:
        """Nothing is held open between two letters."""
