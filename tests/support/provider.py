"""A payment provider in memory, honest to the contract that `PixProvider` is held to."""

import itertools
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime

from billing.payments import pix
from billing.payments.provider import (
    Charge,
    Confirmed,
    Notice,
    NotPaid,
    Outcome,
    ProviderAway,
    Unknown,
)

_numbers = itertools.count(1)


@dataclass(slots=True)
class FakeProvider:
    """`away` makes every question fail; `asked` counts the confirmations."""

    name: str = "pix"
    away: bool = False
    asked: int = 0
    charges: dict[str, Charge] = field(default_factory=dict)
    payments: dict[str, Confirmed] = field(default_factory=dict)

    async def create_charge(self, txid: str, amount_cents: int, text: str) -> Charge:
        self._reach()
        self.charges[txid] = Charge(txid, amount_cents, f"copia-e-cola:{txid}")
        return self.charges[txid]

    async def confirm(self, external_id: str, txid: str | None) -> Outcome:
        self.asked += 1
        self._reach()
        if external_id in self.payments:
            return self.payments[external_id]
        if txid in self.charges and all(p.txid != txid for p in self.payments.values()):
            return NotPaid("the charge waits")
        return Unknown("no such payment")

    async def received(self, since: datetime, until: datetime) -> list[Confirmed]:
        self._reach()
        return [p for p in self.payments.values() if since <= p.paid_at <= until]

    def notices(self, body: bytes) -> list[Notice]:
        return pix.read_notices(body)

    def pay(self, txid: str | None, amount_cents: int, at: datetime | None = None) -> Confirmed:
        """Receive money; nobody is told."""
        paid = Confirmed(e2e(), txid, amount_cents, at or datetime.now(UTC))
        self.payments[paid.external_id] = paid
        return paid

    def _reach(self) -> None:
        if self.away:
            raise ProviderAway("the fake provider is away")


def e2e() -> str:
    """An endToEndId that was not used before."""
    return f"E00000000202609261200{next(_numbers):011d}"


def webhook_body(*payments: Confirmed) -> bytes:
    """What the provider would post for these payments."""
    items = [
        {
            "endToEndId": paid.external_id,
            **({"txid": paid.txid} if paid.txid else {}),
            "valor": pix.amount(paid.amount_cents),
            "horario": paid.paid_at.astimezone(UTC).isoformat(),
        }
        for paid in payments
    ]
    return json.dumps({"pix": items}).encode()
