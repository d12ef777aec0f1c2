"""Bounces, read from the report that a mail server sends: RFC 3464 in a report of RFC 6522."""

import email
import email.policy
from collections.abc import Iterator
from dataclasses import dataclass
from email.message import Message

from api.notice_text import one_line

# Groups of a report: one of the message, one for each recipient.
GROUPS_MAX = 1_000


class BadReport(ValueError):
    """Not a report that tells what became of one of our letters; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Report:
    """What it says of one recipient. `action` as in RFC 3464 section 2.3.3, `failed` for good."""

    message_id: str
    recipient: str
    action: str
    status: str
    diagnostic: str

    @property
    def reason(self) -> str:
        return f"{self.status} {self.diagnostic}".strip()[:300] or "it came back"


def read(raw: bytes) -> list[Report]:
    """What a raw message reports, one item for each recipient.

    Raises:
        BadReport: it is no delivery report, or does not name the letter that it is of.
    """
    try:
        message = email.message_from_bytes(raw, policy=email.policy.compat32)
        groups = list(_groups(message))
        message_id = _original_id(message)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise BadReport("the message cannot be read") from error
    if not groups:
        raise BadReport("it has no part message/delivery-status; only reports of RFC 3464 are read")
    if not message_id:
        raise BadReport("it does not hold the Message-ID of the letter that it is of")
    reports = [
        Report(
            message_id=message_id,
            recipient=_after_type(group, "Final-Recipient"),
            action=_text(group, "Action").lower(),
            status=_text(group, "Status"),
            diagnostic=_after_type(group, "Diagnostic-Code"),
        )
        for group in groups
        if group.get("Action") is not None
    ]
    if not reports:
        raise BadReport("it says of no recipient what became of the letter")
    return reports


def _groups(message: Message) -> Iterator[Message]:
    for part in message.walk():
        if part.get_content_type() == "message/delivery-status":
            payload = part.get_payload()
            if isinstance(payload, list):
                for group in payload[:GROUPS_MAX]:
                    if isinstance(group, Message):
                        yield group


def _original_id(message: Message) -> str:
    """The Message-ID of the letter that is sent back, whole or its header alone."""
    for part in message.walk():
        kind = part.get_content_type()
        if kind in ("message/rfc822", "message/global"):
            inner = part.get_payload()
            if isinstance(inner, list) and inner and isinstance(inner[0], Message):
                return _bare(_text(inner[0], "Message-ID"))
        if kind in ("text/rfc822-headers", "message/rfc822-headers"):
            held = part.get_payload(decode=True)
            if isinstance(held, bytes):
                return _bare(_text(email.message_from_bytes(held), "Message-ID"))
    return ""


def _bare(message_id: str) -> str:
    return message_id.removeprefix("<").removesuffix(">")


def _text(group: Message, name: str) -> str:
    return one_line(str(group.get(name, "")))[:300]


def _after_type(group: Message, name: str) -> str:
    """The value without its type, as `rfc822;` or `smtp;`."""
    kind, semicolon, value = _text(group, name).partition(";")
    return value.strip() if semicolon else kind.strip()
