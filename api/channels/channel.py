"""What every channel is asked for, and what it may answer."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from api.notice_text import Wording


class BadAddress(ValueError):
    """Not an address that this channel can send to."""


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be said to whom; `id` is ours and names this letter on this channel for good."""

    id: str
    kind: str
    name: str
    address: str
    wording: Wording
    at: datetime


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Exactly these bytes go out, are kept and are hashed."""

    id: str
    address: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """Accepted. `confirmed`: that is all the proof of delivery that there is at once.

    `channel` is what the proof names; `provider_id` what the other side calls it.
    """

    channel: str
    confirmed: bool = True
    provider_id: str | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """Refused for good: this address takes nothing of ours."""

    reason: str


@dataclass(frozen=True, slots=True)
class Postponed:
    """Not now: their server or ours is in trouble. It is asked again under the same id."""

    reason: str


Outcome = Sent | Refused | Postponed


class Channel(Protocol):
    """One way to reach people."""

    @property
    def name(self) -> str: ...

    def message_id(self, name: str, tag: str) -> str:
        """The id of a letter here, from its own name and a tag that nobody can guess."""
        ...

    def address(self, name: str, email: str | None, phone: str | None) -> str:
        """Where a person is reached.

        Raises:
            BadAddress: nowhere; the text says why.
        """
        ...

    def write(self, letter: Letter) -> Outgoing:
        """The letter as it goes out.

        Raises:
            BadAddress: its address cannot be written to.
        """
        ...

    async def send(self, outgoing: Outgoing) -> Outcome: ...

    async def close(self) -> None: ...
