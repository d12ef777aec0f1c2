"""What every payment provider is to us: charges out, notices in, and the question "is it so?".

A notice is only a hint that wakes us; money is posted from what the provider answers when asked
(invariant S8). Types and one protocol, no I/O; `api/pix.py` is the first that speaks it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class BadNotice(ValueError):
    """A notice that is not in the provider's shape; the text says which field and why."""


class ProviderAway(Exception):
    """The provider gave no usable answer: nothing is known, ask again later."""


@dataclass(frozen=True, slots=True)
class Charge:
    """What a payer can pay. `txid` is ours, `copy_and_paste` is what the payer's app reads."""

    txid: str
    amount_cents: int
    copy_and_paste: str


@dataclass(frozen=True, slots=True)
class Notice:
    """One event of a provider's notice, as claimed by whoever sent it.

    `fingerprint` is the SHA-256 of the fields that may never change under one `external_id`. `body`
    is what is kept of it: those fields, and nothing about the payer.
    """

    external_id: str
    kind: str
    txid: str | None
    fingerprint: bytes
    body: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The provider says that the money is ours. `paid_at` is aware."""

    external_id: str
    txid: str | None
    amount_cents: int
    paid_at: datetime


@dataclass(frozen=True, slots=True)
class NotPaid:
    """The provider knows the charge and has no money for it yet."""

    detail: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """The provider knows nothing of it: forged, or of somebody else."""

    detail: str


Outcome = Confirmed | NotPaid | Unknown


class PaymentProvider(Protocol):
    """One provider. Asynchronous methods raise `ProviderAway` when there is no usable answer."""

    @property
    def name(self) -> str:
        """The name in `/webhooks/{name}` and in every table's `provider` column."""
        ...

    async def create_charge(self, txid: str, amount_cents: int, text: str) -> Charge:
        """Make the charge, or revise it: the same `txid` again is the same charge."""
        ...

    async def confirm(self, external_id: str, txid: str | None) -> Outcome:
        """Ask about one payment."""
        ...

    async def received(self, since: datetime, until: datetime) -> list[Confirmed]:
        """Everything received between two aware instants, in real time."""
        ...

    def notices(self, body: bytes) -> list[Notice]:
        """Read a notice's raw body. Raises `BadNotice`; never partly read."""
        ...
